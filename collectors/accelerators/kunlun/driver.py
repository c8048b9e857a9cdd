"""What Kunlunxin's kernel driver and the PCI bus show of the cards, without library or tool."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from collectors.accelerators.kunlun.facts import Missing, Text

# The older cards carry Baidu's number, the newer ones Kunlunxin's own.
_VENDORS = frozenset({"0x1d22", "0x2057"})
_CONTROL_NODE = "dev/xpuctrl"
# What the maker's container tools and examples put into a container beside the devices: the tool,
# and the library that the tool of XRE 5 loads. XRE itself belongs to the image.
_TOOLS = (
    "usr/local/bin/xpu-smi",
    "usr/local/bin/xpu_smi",
    "usr/local/xpu/bin/xpu-smi",
    "usr/local/xpu/bin/xpu_smi",
)
_LIBRARIES = (
    "lib/x86_64-linux-gnu/libxpunvidia-ml.so.1",
    "lib/aarch64-linux-gnu/libxpunvidia-ml.so.1",
    "usr/lib64/libxpunvidia-ml.so.1",
)
_MOST_CHARACTERS = 64
_NO_STATE = Missing("neither the tool nor the driver tells the card's state")


class Driver:
    """Reads below `root`, which is / but in tests."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def is_card_on_bus(self) -> bool | None:
        """Whether a card of this vendor is on the PCI bus; None where the bus cannot be seen."""
        try:
            devices = list((self._root / "sys/bus/pci/devices").iterdir())
        except OSError:
            return None
        return any(_first_line(device / "vendor") in _VENDORS for device in devices)

    def state(self, number: int) -> Text:
        """Return the driver's word for the state of /dev/xpuN."""
        return _first_line(self._root / _state_path(number).lstrip("/")) or _NO_STATE

    def node(self, number: int) -> str | None:
        """Return the path of a device's node; None where there is none."""
        return self._existing(f"dev/xpu{number}")

    def control_node(self) -> str | None:
        """Return the path of the driver's own node; None where there is none."""
        return self._existing(_CONTROL_NODE)

    def container_files(self) -> tuple[str, ...]:
        """Return the paths of the files that a container needs beside the devices."""
        tools = [path for each in _TOOLS if (path := self._existing(each))]
        libraries = [path for each in _LIBRARIES if (path := self._existing(each))]
        return (*tools, *libraries)

    def _existing(self, path: str) -> str | None:
        return f"/{path}" if (self._root / path).exists() else None


class RecordedDriver:
    """Plays back states of cards; nothing else of a machine is in a recording."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    def is_card_on_bus(self) -> bool | None:
        """Return None: the bus was not recorded."""
        return None

    def state(self, number: int) -> Text:
        """Return the recorded state."""
        recorded = self._answers.get(_state_path(number))
        word = recorded.get("value") if isinstance(recorded, Mapping) else None
        return word if isinstance(word, str) and word else _NO_STATE

    def node(self, number: int) -> str | None:  # noqa: ARG002 - as the driver's
        """Return None: a recording has no nodes."""
        return None

    def control_node(self) -> str | None:
        """Return None: a recording has no nodes."""
        return None

    def container_files(self) -> tuple[str, ...]:
        """Return nothing: a recording has no files to give."""
        return ()


class RecordingDriver:
    """Passes questions for states on to the driver and keeps what it answered."""

    def __init__(self, driver: Driver | RecordedDriver) -> None:
        self._driver = driver
        self.answers: dict[str, Any] = {}

    def state(self, number: int) -> Text:
        """Return the driver's word, and keep it."""
        word = self._driver.state(number)
        if not isinstance(word, Missing):
            self.answers[_state_path(number)] = {"code": 0, "value": word}
        return word


def _state_path(number: int) -> str:
    return f"/proc/xpu/dev{number}/state"


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.readline(_MOST_CHARACTERS).strip()
    except OSError:
        return ""
