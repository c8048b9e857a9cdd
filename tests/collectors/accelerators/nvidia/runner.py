"""Runs the NVIDIA plugin in a process of its own and prints what it gave, as JSON.

    python runner.py '{"steps": ["probe", "list", "read"]}'

A step is `probe`, `list`, `read`, `close`, `answers` (what NVML answered, unconverted),
`record`, `{"grant": UUIDS}`, `{"copy": [FROM, TO]}` or `{"make": FOLDER}`. `library`, `tool`
and `container_access` are handed to the plugin, `root` is where it finds the kernel's files, and
`replay` a recording that it reads instead. The output is a list with one object for each step.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.errors import NotPresent, ReadingUnavailable
from collectors.accelerators.machine_files import LiveFiles
from collectors.accelerators.nvidia.calls import LiveLibrary
from collectors.accelerators.nvidia.explain import Failure
from collectors.accelerators.nvidia.nvml import Nvml
from collectors.accelerators.nvidia.plugin import NvidiaConfig, NvidiaPlugin


def main() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    task = json.loads(sys.argv[1])
    # The tool of the machine that runs the tests would answer in its place.
    task.setdefault("tool", "/no/such/nvidia-smi")
    config = NvidiaConfig(
        **{key: task[key] for key in ("library", "tool", "container_access") if key in task}
    )
    if "replay" in task:
        plugin = NvidiaPlugin.replay(config, task["replay"])
    else:
        plugin = NvidiaPlugin(config, files=LiveFiles(Path(task.get("root", "/"))))
    calls: dict[str, Callable[[], Any]] = {
        "probe": plugin.probe,
        "list": lambda: [dataclasses.asdict(each) for each in plugin.list_accelerators()],
        "read": lambda: [dataclasses.asdict(each) for each in plugin.read()],
        "close": plugin.close,
        "record": lambda: dict(plugin.record()),
        "grant": lambda uuids: dataclasses.asdict(plugin.grant(uuids)),
        "answers": lambda: answers(config.library),
    }
    print(json.dumps([perform(step, calls=calls) for step in task["steps"]]))


def perform(step: Any, *, calls: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    arguments = []
    if isinstance(step, dict):
        [(step, argument)] = step.items()
        if step == "make":
            Path(argument).mkdir(parents=True)
            return {"result": None}
        if step == "copy":
            shutil.copyfile(*argument)
            return {"result": None}
        arguments = [argument]
    try:
        return {"result": calls[step](*arguments)}
    except (NotPresent, ReadingUnavailable) as error:
        return {"error": type(error).__name__, "reason": error.reason, "hint": error.hint}


def answers(library: str) -> list[Any]:
    live = LiveLibrary(library)
    nvml = Nvml(live)
    failure = live.open()
    if failure is not None:
        return [dataclasses.asdict(failure)]
    count = nvml.count()
    given = []
    for index in range(0 if isinstance(count, Failure) else count):
        card = nvml.card(index)
        if isinstance(card, Failure):
            given.append(dataclasses.asdict(card))
            continue
        slices = nvml.slices(card)
        given.append(
            {
                **dataclasses.asdict(nvml.identity(card)),
                **dataclasses.asdict(nvml.occupancy(card)),
                **dataclasses.asdict(nvml.sensors(card)),
                **dataclasses.asdict(nvml.condition(card)),
                "slices": slices.code if isinstance(slices, Failure) else len(slices),
            }
        )
    live.close()
    return given


main()
