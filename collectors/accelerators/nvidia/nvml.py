"""Asks NVML through NVIDIA's own binding, nvidia-ml-py (module `pynvml`); converts nothing.

The binding has one global library for a process and never unloads it. Its import costs memory, so
it is imported when a library is opened and not before.
"""

from __future__ import annotations

import ctypes
from types import ModuleType
from typing import Any

from collectors.accelerators.nvidia import explain
from collectors.accelerators.nvidia.answers import Condition, Identity, Number, Occupancy, Sensors
from collectors.accelerators.nvidia.explain import Failure

BINDINGS_LIBRARY = "libnvidia-ml.so.1"

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

Handle = Any


class Nvml:
    """Is the library, opened or not; each method asks one thing. For one thread.

    A call that hangs in the driver hangs here: whoever uses this runs in a process that may be
    killed.
    """

    def __init__(self, library: str) -> None:
        self._library = library
        self._binding: ModuleType | None = None

    @property
    def is_open(self) -> bool:
        """Whether questions can be asked."""
        return self._binding is not None

    def open(self) -> Failure | None:
        """Load and initialize the library; return why not, or None."""
        import pynvml

        # The binding asks the dynamic loader for one fixed name, and loads only while it has no
        # library: given another one beforehand, it uses that. Unlike preloading, this also works
        # for a library whose SONAME is different.
        if self._library != BINDINGS_LIBRARY and pynvml.nvmlLib is None:
            try:
                pynvml.nvmlLib = ctypes.CDLL(self._library)
            except OSError:
                return Failure(explain.LIBRARY_NOT_FOUND)
        self._binding = pynvml
        failure = self._ask("nvmlInit")
        if isinstance(failure, Failure):
            self._binding = None
            return failure
        return None

    def close(self) -> None:
        """Shut the library down; it stays loaded. May be called twice."""
        if self._binding is not None:
            self._ask("nvmlShutdown")
            self._binding = None

    def count(self) -> Number:
        """Return the number of cards, lost ones included."""
        return self._number("nvmlDeviceGetCount")

    def card(self, index: int) -> Handle | Failure:
        """Return the card at an index of NVML's own order, which is that of the PCI bus."""
        return self._ask("nvmlDeviceGetHandleByIndex", index)

    def slices(self, card: Handle) -> list[tuple[int, Handle | Failure]] | Failure:
        """Return index and handle of each MIG slice; [] if the card is not divided.

        Indices are sparse: a slice that was taken away leaves its number free.
        """
        mode = self._ask("nvmlDeviceGetMigMode", card)
        if isinstance(mode, Failure):
            return [] if mode.code in _TRY_OLDER_CALL else mode
        if mode[0] != _MIG_ENABLED:
            return []
        most = self._number("nvmlDeviceGetMaxMigDeviceCount", card)
        if isinstance(most, Failure):
            return most
        found = [
            (index, self._ask("nvmlDeviceGetMigDeviceHandleByIndex", card, index))
            for index in range(most)
        ]
        return [(index, handle) for index, handle in found if handle != _NO_SLICE]

    def identity(self, handle: Handle) -> Identity:
        """Return what names a card or a slice."""
        pci = self._ask("nvmlDeviceGetPciInfo", handle)
        memory = self._memory(handle)
        return Identity(
            uuid=self._ask("nvmlDeviceGetUUID", handle),
            name=self._ask("nvmlDeviceGetName", handle),
            bus_id=pci if isinstance(pci, Failure) else _decoded(pci.busId),
            memory_total_bytes=memory if isinstance(memory, Failure) else int(memory.total),
        )

    def occupancy(self, handle: Handle) -> Occupancy:
        """Return how much of a card or a slice is in use now."""
        memory = self._memory(handle)
        utilization = self._ask("nvmlDeviceGetUtilizationRates", handle)
        return Occupancy(
            memory_used_bytes=memory if isinstance(memory, Failure) else int(memory.used),
            utilization_percent=(
                utilization if isinstance(utilization, Failure) else int(utilization.gpu)
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
        rows = self._ask("nvmlDeviceGetRemappedRows", card)
        pending, failed = (rows, rows) if isinstance(rows, Failure) else (rows[2], rows[3])
        return Condition(
            uncorrected_errors=self._number(
                "nvmlDeviceGetTotalEccErrors", card, _UNCORRECTED, _SINCE_DRIVER_LOAD
            ),
            rows_pending=pending,
            rows_failed=failed,
            recovery_action=self._recovery_action(card),
        )

    def _memory(self, handle: Handle) -> Any:
        # The first version counts what the driver keeps for itself as used.
        memory = self._ask("nvmlDeviceGetMemoryInfo", handle, _MEMORY_V2)
        if isinstance(memory, Failure) and memory.code in _TRY_OLDER_CALL:
            return self._ask("nvmlDeviceGetMemoryInfo", handle)
        return memory

    def _temperature(self, card: Handle) -> Number:
        celsius = self._number("nvmlDeviceGetTemperatureV", card, _TEMPERATURE_SENSOR_GPU)
        if isinstance(celsius, Failure) and celsius.code in _TRY_OLDER_CALL:
            return self._number("nvmlDeviceGetTemperature", card, _TEMPERATURE_SENSOR_GPU)
        return celsius

    def _recovery_action(self, card: Handle) -> Number:
        fields = self._ask("nvmlDeviceGetFieldValues", card, [_FIELD_RECOVERY_ACTION])
        if isinstance(fields, Failure):
            return fields
        if fields[0].nvmlReturn != 0:
            return Failure(int(fields[0].nvmlReturn))
        if fields[0].valueType != _UNSIGNED_INT:
            return Failure(explain.UNKNOWN)
        return int(fields[0].value.uiVal)

    def _number(self, function: str, *arguments: Any) -> Number:
        answer = self._ask(function, *arguments)
        return answer if isinstance(answer, Failure) else int(answer)

    def _ask(self, function: str, *arguments: Any) -> Any:
        if self._binding is None:
            return Failure(explain.UNINITIALIZED)
        call = getattr(self._binding, function, None)
        if call is None:  # an older binding
            return Failure(explain.FUNCTION_NOT_FOUND)
        try:
            return call(*arguments)
        except self._binding.NVMLError as error:
            return Failure(int(error.value))
        except UnicodeDecodeError:
            return Failure(explain.UNKNOWN)


def _decoded(text: bytes | str) -> str:
    return text if isinstance(text, str) else text.decode("ascii", "replace")
