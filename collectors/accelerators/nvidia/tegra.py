"""Reads the GPU that is built into a Tegra (Jetson) from the kernel's files; converts nothing.

NVML gives little of it (JetPack 6: that it is there and its name; JetPack 7: more) or is not there
at all (before JetPack 6).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from collectors.accelerators.nvidia.files import MISSING, FileText, KernelFiles, Unreadable

_DEVICE_TREE = "/proc/device-tree"
_TEGRA = re.compile(r"nvidia,tegra[0-9]+")

# Older kernels put the GPU's platform device straight under /sys/devices.
_LOADS = ("/sys/devices/platform/gpu.0/load", "/sys/devices/gpu.0/load")
_DEVFREQ = "/sys/class/devfreq"
_GPU_NODES = frozenset({"gpu", "gp10b", "gv11b", "ga10b"})

_THERMAL = "/sys/class/thermal"
_GPU_ZONES = frozenset({"gpu-thermal", "GPU-therm"})

_HWMON = "/sys/class/hwmon"
_IIO = "/sys/bus/iio/devices"
_POWER_MONITOR = re.compile(r"ina3221x?")
_CHANNELS = (1, 2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class TegraIdentity:
    """Is what names the machine, and the memory that GPU and CPU share (/proc/meminfo)."""

    model: FileText
    serial_number: FileText
    memory_information: FileText


@dataclass(frozen=True, slots=True, kw_only=True)
class Rail:
    """Is one supply that the board measures: its power, or its voltage and its current."""

    label: str
    milliwatts: FileText = MISSING
    millivolts: FileText = MISSING
    milliamperes: FileText = MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class TegraSensors:
    """Is what the kernel measures: the GPU's load, its temperature, and the board's rails."""

    load_per_mille: FileText
    temperature_millicelsius: FileText
    rails: tuple[Rail, ...]


class Tegra:
    """Asks for the built-in GPU; each method reads a handful of small files."""

    def __init__(self, files: KernelFiles) -> None:
        self._files = files

    def is_present(self) -> bool:
        """Tell whether this machine is a Tegra."""
        compatible = self._files.read(f"{_DEVICE_TREE}/compatible")
        if isinstance(compatible, Unreadable):
            return False
        return any(_TEGRA.fullmatch(each) for each in compatible.split("\0"))

    def identity(self) -> TegraIdentity:
        """Return what does not change."""
        return TegraIdentity(
            model=self._files.read(f"{_DEVICE_TREE}/model"),
            serial_number=self._files.read(f"{_DEVICE_TREE}/serial-number"),
            memory_information=self._files.read("/proc/meminfo"),
        )

    def sensors(self) -> TegraSensors:
        """Return what is measured now."""
        return TegraSensors(
            load_per_mille=self._load(),
            temperature_millicelsius=self._temperature(),
            rails=(*self._hwmon_rails(), *self._iio_rails()),
        )

    def _load(self) -> FileText:
        load: FileText = MISSING
        for path in self._load_paths():
            load = self._files.read(path)
            if load != MISSING:
                break
        return load

    def _load_paths(self) -> Iterator[str]:
        yield from _LOADS
        for name in self._files.names(_DEVFREQ):
            node = self._files.read(f"{_DEVFREQ}/{name}/device/of_node/name")
            if not isinstance(node, Unreadable) and node.strip("\0") in _GPU_NODES:
                yield f"{_DEVFREQ}/{name}/device/load"

    def _temperature(self) -> FileText:
        for zone in self._files.names(_THERMAL):
            if self._files.read(f"{_THERMAL}/{zone}/type") in _GPU_ZONES:
                return self._files.read(f"{_THERMAL}/{zone}/temp")
        return MISSING

    def _hwmon_rails(self) -> Iterator[Rail]:
        for monitor in self._files.names(_HWMON):
            folder = f"{_HWMON}/{monitor}"
            if not self._is_power_monitor(f"{folder}/name"):
                continue
            for channel in _CHANNELS:
                label = self._files.read(f"{folder}/in{channel}_label")
                if not isinstance(label, Unreadable):
                    yield Rail(
                        label=label,
                        millivolts=self._files.read(f"{folder}/in{channel}_input"),
                        milliamperes=self._files.read(f"{folder}/curr{channel}_input"),
                    )

    def _iio_rails(self) -> Iterator[Rail]:
        # JetPack 4 and before.
        for monitor in self._files.names(_IIO):
            folder = f"{_IIO}/{monitor}"
            if not self._is_power_monitor(f"{folder}/name"):
                continue
            for channel in range(len(_CHANNELS)):
                label = self._files.read(f"{folder}/rail_name_{channel}")
                if not isinstance(label, Unreadable):
                    yield Rail(
                        label=label,
                        milliwatts=self._files.read(f"{folder}/in_power{channel}_input"),
                    )

    def _is_power_monitor(self, path: str) -> bool:
        name = self._files.read(path)
        return not isinstance(name, Unreadable) and bool(_POWER_MONITOR.fullmatch(name))
