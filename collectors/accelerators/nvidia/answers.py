"""What NVML answered, unconverted: its own units, and a `Failure` where it gave no value."""

from __future__ import annotations

from dataclasses import dataclass

from collectors.accelerators.nvidia.explain import Failure

Number = int | Failure
Text = str | Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Is what names a card or a MIG slice, and what is built into it."""

    uuid: Text
    name: Text
    bus_id: Text
    memory_total_bytes: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """Is how much of a card or of a MIG slice is in use now."""

    memory_used_bytes: Number
    utilization_percent: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensors:
    """Is what is measured for a whole card; the energy counts since the driver was loaded."""

    temperature_celsius: Number
    power_milliwatts: Number
    energy_millijoules: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Is what a card says of its own health.

    `uncorrected_errors` counts since the driver was loaded. `rows_pending` and `rows_failed` are
    0 or 1: bad memory rows wait for a reset to be replaced, or cannot be replaced any more.
    `recovery_action` is `nvmlDeviceGpuRecoveryAction_t`.
    """

    uncorrected_errors: Number
    rows_pending: Number
    rows_failed: Number
    recovery_action: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """Is how device nodes are numbered: `minor` of a card, the two instances of a MIG slice."""

    minor: Number
    gpu_instance: Number
    compute_instance: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Is a process that uses a card or a slice; the share is of the card's processors."""

    pid: int
    memory_used_bytes: int | None
    utilization_percent: int | None = None


Users = tuple[User, ...] | Failure
