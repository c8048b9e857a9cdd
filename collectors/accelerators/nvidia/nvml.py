"""Asks NVML, call by call, and converts nothing."""

from __future__ import annotations

from typing import Any

from collectors.accelerators.nvidia import explain
from collectors.accelerators.nvidia.answers import (
    Condition,
    Identity,
    Nodes,
    Number,
    Occupancy,
    Sensors,
    Text,
    User,
    Users,
)
from collectors.accelerators.nvidia.calls import (
    COMPUTE_PROCESSES,
    GRAPHICS_PROCESSES,
    SHARED_PROCESSES,
    Handle,
    Library,
)
from collectors.accelerators.nvidia.explain import Failure

# Structure versions: size of the structure, and the version in the highest byte.
_MEMORY_V2 = 0x2000028
_TEMPERATURE_SENSOR_GPU = 0
_UNCORRECTED = 1
_SINCE_DRIVER_LOAD = 0
_FIELD_RECOVERY_ACTION = 230
_UNSIGNED_INT = 1
_MIG_ENABLED = 1

# An older driver or a clone of the library may know only the older form of a call.
_TRY_OLDER_CALL = frozenset(
    {
        explain.INVALID_ARGUMENT,
        explain.NOT_SUPPORTED,
        explain.FUNCTION_NOT_FOUND,
        explain.ARGUMENT_VERSION_MISMATCH,
    }
)

_NO_SLICE = Failure(explain.NOT_FOUND)


class Nvml:
    """Asks an open library; each method asks one thing. For one thread."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def driver_version(self) -> Text:
        """Return the driver's version, which ends the names of some of its files."""
        version: Text = self._library.ask("nvmlSystemGetDriverVersion")
        return version

    def count(self) -> Number:
        """Return the number of cards, lost ones included."""
        return self._number("nvmlDeviceGetCount")

    def card(self, index: int) -> Handle | Failure:
        """Return the card at an index of NVML's own order, which is that of the PCI bus."""
        card: Handle | Failure = self._library.ask("nvmlDeviceGetHandleByIndex", index)
        return card

    def slices(self, card: Handle) -> list[tuple[int, Handle | Failure]] | Failure:
        """Return index and handle of each MIG slice; [] if the card is not divided.

        Indices are sparse: a slice that was taken away leaves its number free.
        """
        mode = self._library.ask("nvmlDeviceGetMigMode", card)
        if isinstance(mode, Failure):
            return [] if mode.code in _TRY_OLDER_CALL else mode
        if mode[0] != _MIG_ENABLED:
            return []
        most = self._number("nvmlDeviceGetMaxMigDeviceCount", card)
        if isinstance(most, Failure):
            return most
        found = [
            (index, self._library.ask("nvmlDeviceGetMigDeviceHandleByIndex", card, index))
            for index in range(most)
        ]
        return [(index, handle) for index, handle in found if handle != _NO_SLICE]

    def identity(self, handle: Handle) -> Identity:
        """Return what names a card or a slice."""
        pci = self._library.ask("nvmlDeviceGetPciInfo", handle)
        memory = self._memory(handle)
        return Identity(
            uuid=self._library.ask("nvmlDeviceGetUUID", handle),
            name=self._library.ask("nvmlDeviceGetName", handle),
            bus_id=pci if isinstance(pci, Failure) else pci["bus_id"],
            memory_total_bytes=memory if isinstance(memory, Failure) else memory["total"],
        )

    def occupancy(self, handle: Handle) -> Occupancy:
        """Return how much of a card or a slice is in use now."""
        memory = self._memory(handle)
        utilization = self._library.ask("nvmlDeviceGetUtilizationRates", handle)
        return Occupancy(
            memory_used_bytes=memory if isinstance(memory, Failure) else memory["used"],
            utilization_percent=(
                utilization if isinstance(utilization, Failure) else utilization["gpu"]
            ),
        )

    def sensors(self, card: Handle) -> Sensors:
        """Return what a card measures of itself."""
        return Sensors(
            temperature_celsius=self._temperature(card),
            power_milliwatts=self._number("nvmlDeviceGetPowerUsage", card),
            energy_millijoules=self._number("nvmlDeviceGetTotalEnergyConsumption", card),
        )

    def condition(self, card: Handle) -> Condition:
        """Return what a card says of its health."""
        rows = self._library.ask("nvmlDeviceGetRemappedRows", card)
        pending, failed = (rows, rows) if isinstance(rows, Failure) else (rows[2], rows[3])
        return Condition(
            uncorrected_errors=self._number(
                "nvmlDeviceGetTotalEccErrors", card, _UNCORRECTED, _SINCE_DRIVER_LOAD
            ),
            rows_pending=pending,
            rows_failed=failed,
            recovery_action=self._recovery_action(card),
        )

    def users(self, handle: Handle) -> Users:
        """Return the processes that use a card or a slice, of compute and of graphics.

        What their share is, the driver tells for whole cards only, and not of each.
        """
        found: list[dict[str, int | None]] = []
        for functions in (COMPUTE_PROCESSES, GRAPHICS_PROCESSES, SHARED_PROCESSES):
            listed = self._running(functions, handle)
            if not isinstance(listed, Failure):
                found += listed
            elif functions is COMPUTE_PROCESSES or listed.code not in _TRY_OLDER_CALL:
                return listed
        shares = self._shares(handle) if found else {}
        return tuple(
            User(
                pid=each["pid"] or 0,
                memory_used_bytes=each["memory"],
                utilization_percent=shares.get(each["pid"]),
            )
            for each in found
        )

    def _running(self, functions: tuple[str, str], handle: Handle) -> Any:
        newest, older = functions
        answer = self._library.ask(newest, handle)
        is_missing = answer == Failure(explain.FUNCTION_NOT_FOUND)
        has_rows = not isinstance(answer, Failure) and len(answer) > 0
        if is_missing or (has_rows and _has_longer_rows(self.driver_version())):
            return self._library.ask(older, handle)
        return answer

    def _shares(self, handle: Handle) -> dict[int | None, int]:
        # 0 is since ever: what the driver keeps are its last few seconds.
        samples = self._library.ask("nvmlDeviceGetProcessUtilization", handle, 0)
        if isinstance(samples, Failure):
            return {}
        in_order = sorted(samples, key=lambda each: each["time"])
        return {each["pid"]: each["gpu"] for each in in_order if each["time"] > 0}

    def nodes(self, handle: Handle) -> Nodes:
        """Return the numbers under which the driver's device nodes know a card or a slice."""
        return Nodes(
            minor=self._number("nvmlDeviceGetMinorNumber", handle),
            gpu_instance=self._number("nvmlDeviceGetGpuInstanceId", handle),
            compute_instance=self._number("nvmlDeviceGetComputeInstanceId", handle),
        )

    def _memory(self, handle: Handle) -> Any:
        # The first version counts what the driver keeps for itself as used.
        memory = self._library.ask("nvmlDeviceGetMemoryInfo", handle, _MEMORY_V2)
        if isinstance(memory, Failure) and memory.code in _TRY_OLDER_CALL:
            return self._library.ask("nvmlDeviceGetMemoryInfo", handle)
        return memory

    def _temperature(self, card: Handle) -> Number:
        celsius = self._number("nvmlDeviceGetTemperatureV", card, _TEMPERATURE_SENSOR_GPU)
        if isinstance(celsius, Failure) and celsius.code in _TRY_OLDER_CALL:
            return self._number("nvmlDeviceGetTemperature", card, _TEMPERATURE_SENSOR_GPU)
        return celsius

    def _recovery_action(self, card: Handle) -> Number:
        fields = self._library.ask("nvmlDeviceGetFieldValues", card, [_FIELD_RECOVERY_ACTION])
        if isinstance(fields, Failure):
            return fields
        [action] = fields
        if action["code"] != 0:
            return Failure(action["code"])
        if action["type"] != _UNSIGNED_INT:
            return Failure(explain.UNKNOWN)
        return int(action["unsigned"])

    def _number(self, function: str, *arguments: Any) -> Number:
        answer = self._library.ask(function, *arguments)
        return answer if isinstance(answer, Failure) else int(answer)


def _has_longer_rows(driver_version: Text) -> bool:
    """Whether this driver's newest form has rows longer than before and after: the first of 535."""
    if isinstance(driver_version, Failure):
        return True
    release, _, rest = driver_version.partition(".")
    minor = rest.partition(".")[0]
    return release == "535" and not (minor.isdecimal() and int(minor) >= 104)
