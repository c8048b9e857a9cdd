"""What nvidia-smi showed, in the units and failures of NVML's own answers."""

from __future__ import annotations

from dataclasses import dataclass

from collectors.accelerators.nvidia import explain
from collectors.accelerators.nvidia.answers import (
    Condition,
    Identity,
    Nodes,
    Number,
    Occupancy,
    Sensors,
    Users,
)
from collectors.accelerators.nvidia.explain import Failure

_NOT_SHOWN = Failure(explain.NOT_SHOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmiSlice:
    """Is a MIG slice; its identity has neither UUID nor name: another answer of the tool does."""

    index: int
    identity: Identity
    memory_used_bytes: Number
    nodes: Nodes
    users: Users = _NOT_SHOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class SmiGpu:
    """Is a card. `index` is None where its place among the others is all that tells it."""

    index: int | None
    identity: Identity
    occupancy: Occupancy
    sensors: Sensors
    condition: Condition
    nodes: Nodes
    slices: tuple[SmiSlice, ...] = ()
    users: Users = _NOT_SHOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class LostGpu:
    """Is a card of which the tool says only that it cannot be reached, and why."""

    index: int | None
    bus_id: str | None
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Is what one text of the tool shows.

    `is_known` tells that the text has a layout that is known here, even without a card in it.
    `announced` is how many cards the tool says there are, None where it does not.
    """

    gpus: tuple[SmiGpu, ...] = ()
    lost: tuple[LostGpu, ...] = ()
    is_known: bool = False
    announced: int | None = None
    driver_version: str | None = None

    @property
    def count(self) -> int:
        """Return the number of cards, lost ones included."""
        return len(self.gpus) + len(self.lost)
