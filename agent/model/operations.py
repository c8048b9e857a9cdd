"""What a node, and a computing centre of many nodes, has and does at one moment.

Memory is counted in bytes and utilisation in fractions; what is not known is None, and a reason
stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# The figures of a centre that can be told (TC609, table B.1-3, names their groups alone).
FIGURES = (
    "computing_utilization_ratio",
    "cpu_utilization_ratio",
    "accelerator_utilization_ratio",
    "memory_utilization_ratio",
    "accelerator_memory_utilization_ratio",
    "computing_power_tflops",
    "schedulable_computing_power_tflops",
    "node_count",
    "accelerator_count",
    "memory_gib",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardLoad:
    """Is one accelerator of a node; a card of which nothing is known is still one."""

    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    utilization_ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLoad:
    """Is what one node has and does.

    `codes` are the computility codes under which it is known. `cards` is None where it is not
    known which cards it has; an empty tuple says that it has none.
    """

    codes: frozenset[str] = frozenset()
    logical_cores: int | None = None
    cpu_utilization_ratio: float | None = None
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    cards: tuple[CardLoad, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreLoad:
    """Is what is known of a centre: each of `FIGURES` is in `figures`, or in `unknown` with why."""

    figures: Mapping[str, float] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
