"""The operational data of a centre (table B.1-3), whose members the standard leaves open.

The table names two groups without identifiers, 算力负载 (load) and 算力规模 (scale), and tells in
words what they mainly hold. `DEFAULT_MEMBERS` gives each figure that this program may know of a
centre (`agent.model.operations`) its place there; a site whose platform expects other names
replaces the map. Ratios are 0 to 1, memory is GiB, accelerators are counted, computing power is
TFLOPS at 16 bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from agent.model.operations import CentreLoad
from agent.protocols.tc609 import wire

LOAD_GROUP = "computePowerLoad"
SCALE_GROUP = "computePowerScale"
# Figure → "group.member"; a place without a dot is a member of `data` itself.
DEFAULT_MEMBERS: Mapping[str, str] = {
    # 算力负载: 算力使用率, 内存使用率
    "computing_utilization_ratio": f"{LOAD_GROUP}.computePowerUsageRate",
    "cpu_utilization_ratio": f"{LOAD_GROUP}.cpuUsageRate",
    "accelerator_utilization_ratio": f"{LOAD_GROUP}.acceleratorUsageRate",
    "memory_utilization_ratio": f"{LOAD_GROUP}.memoryUsageRate",
    "accelerator_memory_utilization_ratio": f"{LOAD_GROUP}.acceleratorMemoryUsageRate",
    # 算力规模: 总算力规模, 可调度算力规模
    "computing_power_tflops": f"{SCALE_GROUP}.totalComputePower",
    "schedulable_computing_power_tflops": f"{SCALE_GROUP}.schedulableComputePower",
    "node_count": f"{SCALE_GROUP}.nodeCount",
    "accelerator_count": f"{SCALE_GROUP}.acceleratorCount",
    "memory_gib": f"{SCALE_GROUP}.memory",
}
_DEPTH_MAXIMUM = 4
_DECIMALS = 4


class OperationalMembers:
    """Places figures into the groups of table B.1-3; a figure without a place is not shown."""

    def __init__(self, members: Mapping[str, str] = DEFAULT_MEMBERS) -> None:
        """Take figure → place.

        Raises:
            ValueError: a place is empty, too deep, taken twice, or both a group and a member.
        """
        self._places = {figure: tuple(place.split(".")) for figure, place in members.items()}
        taken: set[tuple[str, ...]] = set()
        groups: set[tuple[str, ...]] = set()
        for figure, place in self._places.items():
            if not all(place) or len(place) > _DEPTH_MAXIMUM:
                raise ValueError(f"{figure}: {members[figure]!r} is not a place such as group.name")
            if place in taken:
                raise ValueError(f"{figure}: {members[figure]} has a figure already")
            taken.add(place)
            groups.update(place[:depth] for depth in range(1, len(place)))
        both = taken & groups
        if both:
            raise ValueError(f"{'.'.join(min(both))} cannot be both a group and a figure")

    def encode(self, load: CentreLoad | None) -> bytes:
        """Return tables B.1-2 and B.1-3; None says that nothing can be told of the centre now.

        A figure that is not known is null, and `msg` names it with the reason.
        """
        data: dict[str, Any] = {}
        unknown: dict[str | None, list[str]] = {}
        for figure, place in self._places.items():
            value = None if load is None else _number(load.figures.get(figure))
            if value is None:
                reason = None if load is None else load.unknown.get(figure)
                unknown.setdefault(reason, []).append(".".join(place))
            group = data
            for name in place[:-1]:
                group = group.setdefault(name, {})
            group[place[-1]] = value
        if load is None:
            return wire.encode_data(
                data, remarks=["the operational data of this centre are not known now"]
            )
        return wire.encode_data(
            data,
            remarks=[
                f"unknown: {', '.join(places)}" + (f" ({reason})" if reason else "")
                for reason, places in unknown.items()
            ],
        )


def _number(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DECIMALS) if math.isfinite(value) else None
    return value if isinstance(value, int | str) else None
