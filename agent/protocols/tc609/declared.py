"""What an operator declares of projects and centres (TC609, tables A.2-1 and A.5-1)."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

NAME_CHARACTERS = 40
DESCRIPTION_CHARACTERS = 800
CLUSTERS = {
    "1": "张家口集群",
    "2": "长三角生态绿色一体化发展示范区集群",
    "3": "芜湖集群",
    "4": "韶关集群",
    "5": "天府集群",
    "6": "重庆集群",
    "7": "和林格尔集群",
    "8": "贵安集群",
    "9": "庆阳集群",
    "10": "中卫集群",
}
HUBS = {
    "11": "京津冀枢纽",
    "12": "长三角枢纽",
    "13": "粤港澳大湾区枢纽",
    "14": "成渝枢纽",
    "15": "内蒙古枢纽",
    "16": "贵州枢纽",
    "17": "甘肃枢纽",
    "18": "宁夏枢纽",
}
_REGION = re.compile(r"[1-9][0-9]{5}")


class CentreType(enum.IntEnum):
    """Says what a centre computes (table A.5-1)."""

    GENERAL = 0
    AI = 1
    SUPERCOMPUTING = 2
    GENERAL_AI = 3
    GENERAL_SUPERCOMPUTING = 4
    AI_SUPERCOMPUTING = 5
    GENERAL_AI_SUPERCOMPUTING = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredProject:
    """Is a project as a platform should have it (table A.2-1).

    `investment` is 算力投入 by wire names. `cluster` and `hub` are codes of annexes D and E, None
    where the project belongs to none.

    Raises:
        ValueError: a field is not as the standard wants it; names the field.
    """

    name: str
    province: str
    investment: Mapping[str, Any] = field(default_factory=dict)
    cluster: str | None = None
    hub: str | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_region(self.province, field_name="province")
        _check_code(self.cluster, CLUSTERS, field_name="cluster", annex="D")
        _check_code(self.hub, HUBS, field_name="hub", annex="E")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredCentre:
    """Is a computing centre as a platform should have it (table A.5-1).

    `projects` are names of declared projects. `longitude` and `latitude` are degrees, told with at
    most six decimals. `production_date` None: not in production yet.

    Raises:
        ValueError: a field is not as the standard wants it; names the field.
    """

    name: str
    province: str
    city: str
    longitude: float
    latitude: float
    type: CentreType
    projects: tuple[str, ...] = ()
    description: str | None = None
    cluster: str | None = None
    hub: str | None = None
    production_date: date | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.description is not None and len(self.description) > DESCRIPTION_CHARACTERS:
            raise ValueError(
                f"description has {len(self.description)} characters, at most "
                f"{DESCRIPTION_CHARACTERS} are allowed"
            )
        _check_region(self.province, field_name="province")
        _check_region(self.city, field_name="city")
        if self.city[:2] != self.province[:2]:
            raise ValueError(f"city {self.city} does not lie in province {self.province}")
        if not -180.0 <= self.longitude <= 180.0:
            raise ValueError(f"longitude {self.longitude} is not between -180 and 180")
        if not -90.0 <= self.latitude <= 90.0:
            raise ValueError(f"latitude {self.latitude} is not between -90 and 90")
        _check_code(self.cluster, CLUSTERS, field_name="cluster", annex="D")
        _check_code(self.hub, HUBS, field_name="hub", annex="E")


def _check_name(name: str) -> None:
    if not name.strip():
        raise ValueError("name is empty")
    if len(name) > NAME_CHARACTERS:
        raise ValueError(f"name has {len(name)} characters, at most {NAME_CHARACTERS} are allowed")


def _check_region(code: str, *, field_name: str) -> None:
    if _REGION.fullmatch(code) is None:
        raise ValueError(
            f"{field_name} {code!r} is no code of six digits (GB/T 2260), such as 110000"
        )


def _check_code(code: str | None, known: Mapping[str, str], *, field_name: str, annex: str) -> None:
    if code is not None and code not in known:
        raise ValueError(f"{field_name} {code!r} is not in annex {annex} ({', '.join(known)})")
