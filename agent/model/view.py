"""The one picture of this node that everything else reads."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from agent.model.accelerator import Accelerator, AcceleratorReading
from agent.model.readings import CpuReading, DiskReading, HostReading, MemoryReading


class PluginState(str, enum.Enum):
    """Says how a plugin fares; what each state means stands in ARCHITECTURE.md."""

    STARTING = "starting"
    ACTIVE = "active"
    DISABLED = "disabled"
    ABSENT = "absent"
    BROKEN = "broken"
    FAILING = "failing"
    STALLED = "stalled"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginStatus:
    """Tells the state of one plugin; `detail` says why in words, with what to do, None if fine."""

    group: str
    name: str
    state: PluginState
    detail: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorView:
    """Joins a chip with its last reading.

    Once a reading is too old its values are None here, with the age as the reason.
    """

    accelerator: Accelerator
    reading: AcceleratorReading


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """Is everything that was known of this node at one moment; immutable, safe in every thread.

    A part that is None was never read, or is too old to be shown; `unknown` then says why, by the
    name of the part. `taken_monotonic_seconds` is the same moment on the monotonic clock.
    """

    taken_at: datetime
    taken_monotonic_seconds: float
    host: HostReading | None = None
    cpu: CpuReading | None = None
    memory: MemoryReading | None = None
    disks: tuple[DiskReading, ...] | None = None
    accelerators: tuple[AcceleratorView, ...] = ()
    plugins: tuple[PluginStatus, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)

    def at(self, monotonic_seconds: float, *, max_age_seconds: float) -> AgentView:
        """Return this view as it may be shown at a later moment.

        A view older than `max_age_seconds` loses every value that moves: whoever took it has
        stopped, and an old figure would be shown as if it were new.
        """
        age_seconds = monotonic_seconds - self.taken_monotonic_seconds
        if age_seconds <= max_age_seconds:
            return self
        reason = f"last sampled {age_seconds:.0f} s ago"
        return replace(
            self,
            cpu=None,
            memory=None,
            disks=None,
            accelerators=tuple(
                AcceleratorView(
                    accelerator=each.accelerator,
                    reading=unknown_reading(each.accelerator.uuid, reason),
                )
                for each in self.accelerators
            ),
            unknown={**self.unknown, **dict.fromkeys(("cpu", "memory", "disks"), reason)},
        )


MOVING_FIELDS = (
    "memory_used_bytes",
    "utilization_ratio",
    "temperature_celsius",
    "power_watts",
    "energy_joules",
)


def unknown_reading(uuid: str, reason: str) -> AcceleratorReading:
    """Return a reading of which nothing is known, with the same reason for every field."""
    fields = (*MOVING_FIELDS, "health", "processes")
    return AcceleratorReading(uuid=uuid, unknown=dict.fromkeys(fields, reason))
