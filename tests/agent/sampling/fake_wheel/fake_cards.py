"""A vendor's plugin that behaves as the file `mode` in a folder tells it to, at each call."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agent.contracts import AcceleratorPlugin
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.accelerator import (
    Accelerator,
    AcceleratorKind,
    AcceleratorProcess,
    AcceleratorReading,
    Health,
)

FOLDER = Path(os.environ["FAKE_CARDS_FOLDER"])


def mode() -> str:
    return (FOLDER / "mode").read_text()


def note(name: str, value: object) -> None:
    """Write so that a reader never sees half of it."""
    (FOLDER / f"{name}.part").write_text(str(value))
    (FOLDER / f"{name}.part").replace(FOLDER / name)


def write_to_the_channel(text: bytes) -> None:
    for fd in range(3, 20):
        try:
            if str(Path(f"/proc/self/fd/{fd}").readlink()).startswith("pipe:"):
                os.write(fd, text)
        except OSError:
            continue


if mode() == "import error":
    raise ImportError("libvendor.so.7: cannot open shared object file")
if mode() == "exit at import":
    sys.exit(3)
if mode() == "hang at import":
    threading.Event().wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeConfig:
    tool: str = "fake-smi"
    source: Literal["auto", "tool"] = "auto"


class FakePlugin:
    name = "fake"
    config_type = FakeConfig

    def __init__(self, config: FakeConfig) -> None:
        self._config = config
        note("pid", os.getpid())

    def probe(self) -> None:
        if mode() == "absent":
            raise NotPresent("no fake card", hint="put one in")
        if mode() == "probe fails":
            raise RuntimeError("the driver is upset")

    def list_accelerators(self) -> list[Accelerator]:
        return [
            Accelerator(
                uuid=f"card-{index}",
                vendor="a lie",
                kind=AcceleratorKind.NPU,
                index=index,
                product_name=self._config.tool,
                memory_total_bytes=100,
            )
            for index in range(int((FOLDER / "cards").read_text()))
        ]

    def read(self) -> list[AcceleratorReading]:
        told = mode()
        if told.startswith("hang"):
            tool = subprocess.Popen(["sleep", "600"])
            note("tool", tool.pid)
            if told == "hang in the interpreter":
                # Keeps the interpreter's lock, unlike CDLL, and goes on after a signal.
                ctypes.PyDLL(None).waitpid(tool.pid, None, 0)
            tool.wait()
        elif told == "segfault":
            ctypes.string_at(0)
        elif told == "exit":
            os.write(2, b"vendor: fatal: license expired\n")
            os._exit(7)
        elif told == "garbage":
            write_to_the_channel(b"\x00\xff not JSON\n")
        elif told == "list":
            write_to_the_channel(b"[1, 2]\n")
        elif told == "endless line":
            write_to_the_channel(b"x" * (2 << 20))
        elif told == "close the channel":
            os.closerange(3, 20)
        elif told == "chatty":
            print("vendor banner")
            os.write(1, b"vendor banner from C\n" * 20_000)
        elif told == "unavailable":
            raise ReadingUnavailable("the driver is busy", hint="wait")
        elif told == "gone":
            raise NotPresent("the last card was pulled out")
        elif told == "error":
            raise ValueError("a mistake in the plugin")
        elif told == "wrong type":
            return ["no reading"]  # type: ignore[list-item]
        elif told == "unplugged in between":
            return []
        elif told == "environment":
            note("environment", "\n".join(f"{key}={value}" for key, value in os.environ.items()))
        return [
            AcceleratorReading(
                uuid=each.uuid,
                memory_used_bytes=10,
                utilization_ratio=float("nan") if told == "nan" else 0.5,
                temperature_celsius=40.0,
                power_watts=12.5,
                energy_joules=None,
                health=Health.OK,
                processes=(AcceleratorProcess(pid=4321, memory_used_bytes=8),),
                unknown={"energy_joules": "not offered"},
            )
            for each in self.list_accelerators()
        ]

    def close(self) -> None:
        note("closed", os.getpid())


_conforms: type[AcceleratorPlugin] = FakePlugin
