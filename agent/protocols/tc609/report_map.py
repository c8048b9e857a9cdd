"""Which figure stands under which name in a month's report (TC609, tables A.2-1 and A.8-1).

The standard names the groups (算力投入, 算力供给, 算力应用, 算电协同, 算网安全) and tells in words
what is in them; names on the wire it gives none. `DEFAULT_MAP` is our reading of those words; a
platform that wants others gets a map of its own.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass


class Group(str, enum.Enum):
    """Names the groups of members that the standard leaves open."""

    INVESTMENT = "investment"
    SUPPLY = "supply"
    APPLICATION = "application"
    ELECTRICITY = "electricity"
    SECURITY = "security"


MONTH_GROUPS = (Group.SUPPLY, Group.APPLICATION, Group.ELECTRICITY, Group.SECURITY)


class Kind(str, enum.Enum):
    """Says what a figure may be: RATIO is 0 to 1, COUNT a whole number, NUMBER at least 0."""

    NUMBER = "number"
    COUNT = "count"
    RATIO = "ratio"
    TEXT = "text"


METERED_FIGURES = {
    "electricity_kwh": Kind.NUMBER,
    "it_electricity_kwh": Kind.NUMBER,
    "green_electricity_kwh": Kind.NUMBER,
    "water_litres": Kind.NUMBER,
    "pue": Kind.NUMBER,
    "wue_litres_per_kwh": Kind.NUMBER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Is one member of a group: its name on the wire, and the figure that stands there.

    `figure` is a key of the file of figures, or one of `METERED_FIGURES`. `title` is what the
    standard or we call it in Chinese.
    """

    wire_name: str
    figure: str
    title: str
    kind: Kind = Kind.NUMBER


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMap:
    """Is one group with its name on the wire; None puts its members beside the other fields."""

    wire_name: str | None
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMap:
    """Is what a platform wants in each group."""

    investment: GroupMap
    supply: GroupMap
    application: GroupMap
    electricity: GroupMap
    security: GroupMap

    def __post_init__(self) -> None:
        kinds: dict[str, Kind] = {}
        for group in Group:
            for member in self.group(group).members:
                kind = METERED_FIGURES.get(member.figure, kinds.get(member.figure, member.kind))
                if kind is not member.kind:
                    raise ValueError(f"the figure {member.figure} is {kind.value} elsewhere")
                kinds[member.figure] = kind
        self._check_names((Group.INVESTMENT,), heads=_PROJECT_HEADS)
        self._check_names(MONTH_GROUPS, heads=_REPORT_HEADS)

    def group(self, group: Group) -> GroupMap:
        """Return the map of one group."""
        return {
            Group.INVESTMENT: self.investment,
            Group.SUPPLY: self.supply,
            Group.APPLICATION: self.application,
            Group.ELECTRICITY: self.electricity,
            Group.SECURITY: self.security,
        }[group]

    def figures(self, *groups: Group) -> Iterator[Member]:
        """Yield the members of groups whose figure stands in the file, or may."""
        for group in groups:
            yield from self.group(group).members

    def _check_names(self, groups: tuple[Group, ...], *, heads: tuple[str, ...]) -> None:
        """Refuse two fields of one message under one name."""
        taken = list(heads)
        for group in groups:
            mapped = self.group(group)
            names = [member.wire_name for member in mapped.members]
            if mapped.wire_name is None:
                taken += names
            else:
                taken.append(mapped.wire_name)
                _refuse_twice(names)
        _refuse_twice(taken)


_PROJECT_HEADS = ("projectName", "id", "province", "clusterId", "hubId")
_REPORT_HEADS = ("centerId", "centerName", "reportMonth")


def _refuse_twice(names: list[str]) -> None:
    for position, name in enumerate(names):
        if name in names[:position]:
            raise ValueError(f"two fields have the name {name}")


def _member(wire_name: str, figure: str, title: str, kind: Kind = Kind.NUMBER) -> Member:
    return Member(wire_name=wire_name, figure=figure, title=title, kind=kind)


DEFAULT_MAP = ReportMap(
    investment=GroupMap(
        wire_name="computePowerInvestment",
        members=(
            _member("projectStatus", "project_status", "项目状态", Kind.TEXT),
            _member("projectProgress", "project_progress_ratio", "项目进度", Kind.RATIO),
            _member("totalInvestment", "total_investment_10k_cny", "总投资（万元）"),
            _member("completedInvestment", "completed_investment_10k_cny", "已完成投资（万元）"),
        ),
    ),
    supply=GroupMap(
        wire_name="computePowerSupply",
        members=(
            _member("totalRacks", "racks", "机架规模（架）", Kind.COUNT),
            _member("rackRate", "rack_ratio", "上架率", Kind.RATIO),
            _member("computePower", "compute_pflops", "计算能力（PFLOPS，FP16）"),
            _member("storageCapacity", "storage_pb", "存储能力（PB）"),
        ),
    ),
    application=GroupMap(
        wire_name="computePowerApplication",
        members=(
            _member("userCount", "users", "算力运营：服务用户数", Kind.COUNT),
            _member(
                "computePowerUsageRate", "compute_used_ratio", "算力运行：算力使用率", Kind.RATIO
            ),
        ),
    ),
    electricity=GroupMap(
        wire_name="computeElectricitySynergy",
        members=(
            _member("powerCapacity", "power_capacity_kva", "电力容量（kVA）"),
            _member("electricityConsume", "electricity_kwh", "电力消耗（kWh）"),
            _member("itElectricityConsume", "it_electricity_kwh", "IT 设备耗电量（kWh）"),
            _member("greenElectricityConsume", "green_electricity_kwh", "绿电消纳量（kWh）"),
            _member("waterConsume", "water_litres", "水资源消耗量（L）"),
            _member("pue", "pue", "电能利用效率"),
            _member("wue", "wue_litres_per_kwh", "水资源利用效率（L/kWh）"),
        ),
    ),
    security=GroupMap(
        wire_name="computeNetworkSecurity",
        members=(
            _member("domesticRate", "domestic_ratio", "国产化率", Kind.RATIO),
            _member("securityService", "security_service", "安全服务", Kind.TEXT),
        ),
    ),
)
