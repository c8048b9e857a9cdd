"""Runs the plugin in child processes, because NVIDIA's binding loads one library for good."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from collectors.accelerators.nvidia import explain
from collectors.accelerators.nvidia.calls import RecordedLibrary
from collectors.accelerators.nvidia.plugin import NvidiaConfig, NvidiaPlugin
from collectors.accelerators.vendor_tool import ToolAnswer

RUNNER = Path(__file__).parent / "runner.py"
ROOT = Path(__file__).parents[4]

Answer = dict[str, Any]


@pytest.fixture
def run_plugin() -> Callable[..., list[Answer]]:
    """Return a function that performs steps in a child and returns what each gave.

    Whatever was read, each value that is unknown has a reason, and each reason a value.
    """

    def run(
        *steps: Any, environment: Mapping[str, str] = os.environ, **options: Any
    ) -> list[Answer]:
        done = subprocess.run(
            [sys.executable, "-W", "error", RUNNER, json.dumps({"steps": steps, **options})],
            env={**environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        sys.stderr.write(done.stderr)
        answers = json.loads(done.stdout)
        for step, answer in zip(steps, answers, strict=True):
            if step in ("list", "read"):
                for entry in answer.get("result", ()):
                    assert_reasons(entry)
        return answers

    return run


class FakeTool:
    """Is a tool that answers with texts; what it was asked is in `asked`."""

    program = "nvidia-smi"

    def __init__(self, answers: Mapping[str, str | Exception], *, otherwise: str) -> None:
        self.answers = dict(answers)
        self.otherwise = otherwise
        self.asked: list[str] = []

    def find(self) -> None:
        """Return: it is there."""

    def run(self, *words: str) -> ToolAnswer:
        """Return the answer to the first word, or the one for all others."""
        self.asked.append(words[0].partition("=")[0])
        answer = self.answers.get(self.asked[-1], self.otherwise)
        if isinstance(answer, Exception):
            raise answer
        return ToolAnswer(text=answer, exit_status=0)


@pytest.fixture
def smi_plugin() -> Callable[..., NvidiaPlugin]:
    """Return a function that makes a plugin without NVML, whose tool always prints one text.

    `listed` is printed for `-L` and `queried` for `--query-gpu`, where they are given.
    """

    def make(
        text: str, *, listed: str = "", queried: str | None = None, **more: Any
    ) -> NvidiaPlugin:
        answers: dict[str, str | Exception] = {"-L": listed}
        if queried is not None:
            answers["--query-gpu"] = queried
        config = {key: more.pop(key) for key in ("source", "container_access") if key in more}
        tool = FakeTool(answers, otherwise=text)
        missing = {"nvmlInit()": {"code": explain.LIBRARY_NOT_FOUND}}
        return NvidiaPlugin(
            NvidiaConfig(**config),
            **{"library": RecordedLibrary(missing), "tool": tool, "files": NoFiles(), **more},
        )

    return make


class NoFiles:
    """Is a machine without any of the kernel's files."""

    def read(self, path: str) -> str:
        """Raise: there is none."""
        raise FileNotFoundError(path)

    def names(self, path: str) -> list[str]:
        """Raise: there is none."""
        raise FileNotFoundError(path)

    def exists(self, path: str) -> bool:
        """Return False."""
        return False


def assert_reasons(entry: Answer) -> None:
    optional = {"parent_uuid", "board_name", "card", "chips_on_card"}
    unknown = {name for name, value in entry.items() if value is None} - optional
    if entry.get("health") == "unknown":
        unknown.add("health")
    assert set(entry["unknown"]) == unknown, entry
    assert all(entry["unknown"].values()), entry
