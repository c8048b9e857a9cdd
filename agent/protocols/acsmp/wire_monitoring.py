"""The messages of T/BAX 0006.5 annex G, in which a platform reads the resources of nodes.

A value that is not known has no key at all: the tables have no word for unknown, and 0 would be a
lie. Units are those of the example: GiB and fractions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType, field

from agent.protocols.acsmp import tolerant, wire
from agent.protocols.acsmp.tolerant import WireError

# The path below the prefix: clause 8.1.3, tables 43 and 44.
COMPUTILITY_PATH = "/Computility"

CODE_MAXIMUM = 20
TYPE_MAXIMUM = 20
ORDER_PROPERTY_MAXIMUM = 64
ORDER_DIRECTION_MAXIMUM = 4
DEFAULT_PAGE_NUMBER = 1
DEFAULT_PAGE_SIZE = 10

# Table G.1 lists CCP, which table B.1 does not know, and misprints FRONT_END_DEVICE.
QUERY_TYPES = frozenset(
    {
        "EDGE_COMPUTE_DEVICE",
        "FRONT_END_DEVICE",
        "AI_CAMERA",
        "AI_BOX",
        "AI_CLOUD",
        "CCP",
        "CAP",
        "CAD",
    }
)
_TYPE_MISPRINTS = {"FRONT_END_DEVIE": "FRONT_END_DEVICE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Is one property to order by (table A.9)."""

    by: str | None
    direction: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputilityQuery:
    """Is a ComputilityListRequest (table G.1): which nodes, and which page of them (A.8)."""

    computility_code: str | None = None
    node_type: str | None = None
    page_number: int = DEFAULT_PAGE_NUMBER
    page_size: int = DEFAULT_PAGE_SIZE
    orders: tuple[Order, ...] = ()


def decode_computility_query(fields: Mapping[str, Any]) -> ComputilityQuery:
    """Return the query in a decoded body, or in a query string; {} asks for everything.

    Raises:
        WireError: a field has the wrong kind or lies out of bounds; names it and its table.
    """
    nested = tolerant.pick(fields, "PageRequest", "PageReqest")
    page = (
        fields
        if nested is None
        else tolerant.as_object(nested, field="PageRequest", table="table G.1")
    )
    return ComputilityQuery(
        computility_code=tolerant.as_text(
            tolerant.pick(fields, "ComputilityCode", "Code", "DeviceID"),
            field="ComputilityCode",
            table="table G.1",
            maximum=CODE_MAXIMUM,
        ),
        node_type=_query_type(tolerant.pick(fields, "Type")),
        page_number=_page_int(page, "PageNumber", default=DEFAULT_PAGE_NUMBER),
        page_size=_page_int(page, "PageSize", default=DEFAULT_PAGE_SIZE),
        orders=_orders(page),
    )


def _query_type(value: Any) -> str | None:
    node_type = tolerant.as_text(value, field="Type", table="table G.1", maximum=TYPE_MAXIMUM)
    if node_type is None:
        return None
    node_type = _TYPE_MISPRINTS.get(node_type, node_type)
    if node_type not in QUERY_TYPES:
        raise WireError(
            f"Type is {node_type!r}, table G.1 has {', '.join(sorted(QUERY_TYPES))}", field="Type"
        )
    return node_type


def _page_int(page: Mapping[str, Any], name: str, *, default: int) -> int:
    value = tolerant.as_int(tolerant.pick(page, name), field=name, table="table A.8", minimum=1)
    return default if value is None else value


def _orders(page: Mapping[str, Any]) -> tuple[Order, ...]:
    items = tolerant.as_objects(
        tolerant.pick(page, "OrderList"),
        field="OrderList",
        table="table A.8",
    )
    return tuple(
        Order(
            by=tolerant.as_text(
                tolerant.pick(item, "Property"),
                field="Property",
                table="table A.9",
                maximum=ORDER_PROPERTY_MAXIMUM,
            ),
            direction=tolerant.as_text(
                tolerant.pick(item, "Direction"),
                field="Direction",
                table="table A.9",
                maximum=ORDER_DIRECTION_MAXIMUM,
            ),
        )
        for item in items
    )


class DiskDetail(msgspec.Struct, frozen=True, kw_only=True):
    """Is an entry of DiskDetails in the example of annex G; GiB."""

    path: str = field(name="Path")
    total: float | UnsetType = field(name="Disk", default=UNSET)
    used: float | UnsetType = field(name="DiskUsed", default=UNSET)


class XpuMonitor(msgspec.Struct, frozen=True, kw_only=True):
    """Is an entry of XpuMonitors in the example of annex G; GiB and fractions."""

    memory: float | UnsetType = field(name="XpuMemory", default=UNSET)
    memory_used: float | UnsetType = field(name="XpuMemoryUsed", default=UNSET)
    utilization: float | UnsetType = field(name="XpuUtilization", default=UNSET)
    type: str | UnsetType = field(name="XpuType", default=UNSET)


class AlgoServiceMonitor(msgspec.Struct, frozen=True, kw_only=True):
    """Is an entry of AlgoServiceMonitors in the example of annex G; GiB and fractions."""

    service_id: str = field(name="AlgoServiceID")
    package_id: str = field(name="AlgoFilePackageID")
    memory: float | UnsetType = field(name="XpuMemory", default=UNSET)
    memory_used: float | UnsetType = field(name="XpuMemoryUsed", default=UNSET)
    utilization: float | UnsetType = field(name="XpuUtilization", default=UNSET)
    type: str | UnsetType = field(name="XpuType", default=UNSET)


class DeviceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Is DeviceInfo of the example of annex G; its table A.2 of T/BAX 0006.4 is not public."""

    device_id: str = field(name="DeviceID")
    ip: str | UnsetType = field(name="IP", default=UNSET)
    host_name: str | UnsetType = field(name="HostName", default=UNSET)
    is_online: bool = field(name="IsOnline", default=True)
    os: str | UnsetType = field(name="OS", default=UNSET)
    cpu: int | UnsetType = field(name="Cpu", default=UNSET)
    cpu_type: str | UnsetType = field(name="CpuType", default=UNSET)
    cpu_utilization: float | UnsetType = field(name="CpuUtilization", default=UNSET)
    memory: float | UnsetType = field(name="Memory", default=UNSET)
    memory_used: float | UnsetType = field(name="MemoryUsed", default=UNSET)
    disk: float | UnsetType = field(name="Disk", default=UNSET)
    disk_used: float | UnsetType = field(name="DiskUsed", default=UNSET)
    disk_details: Sequence[DiskDetail] | UnsetType = field(name="DiskDetails", default=UNSET)
    xpu_monitors: Sequence[XpuMonitor] | UnsetType = field(name="XpuMonitors", default=UNSET)
    algo_service_monitors: Sequence[AlgoServiceMonitor] | UnsetType = field(
        name="AlgoServiceMonitors", default=()
    )


class ComputilityInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Is table G.4."""

    computility_code: str = field(name="ComputilityCode")
    device_infos: Sequence[DeviceInfo] = field(name="DeviceInfos")


class _ApiOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Is table A.9."""

    by: str | UnsetType = field(name="Property", default=UNSET)
    direction: str | UnsetType = field(name="Direction", default=UNSET)


class _ApiPageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Is table A.8."""

    page_number: int = field(name="PageNumber")
    page_size: int = field(name="PageSize")
    order_list: Sequence[_ApiOrder] | UnsetType = field(name="OrderList", default=UNSET)


class _ComputilityPageResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Is table G.3, whose PageReqest the example calls PageRequest: both are sent."""

    page_content: Sequence[ComputilityInfo] = field(name="PageContent")
    page_request: _ApiPageRequest = field(name="PageRequest")
    page_reqest: _ApiPageRequest = field(name="PageReqest")
    total: int = field(name="Total")
    total_pages: int = field(name="TotalPages")


class _ComputilityListResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Is table G.2."""

    code: int = field(name="Code")
    message: str = field(name="Message")
    data: _ComputilityPageResponse = field(name="Data")
    request_id: str = field(name="RequestID")


def encode_computility_list(
    matching: Sequence[ComputilityInfo], *, query: ComputilityQuery, request_id: str
) -> bytes:
    """Return ComputilityListResponse (tables G.2 to G.4): one page of the nodes that match.

    A page after the last one is empty; `Total` and `TotalPages` speak of all of them.
    """
    first = (query.page_number - 1) * query.page_size
    page = _ApiPageRequest(
        page_number=query.page_number,
        page_size=query.page_size,
        order_list=[
            _ApiOrder(
                by=UNSET if order.by is None else order.by,
                direction=UNSET if order.direction is None else order.direction,
            )
            for order in query.orders
        ]
        or UNSET,
    )
    return msgspec.json.encode(
        _ComputilityListResponse(
            code=wire.SUCCESS,
            message="success",
            data=_ComputilityPageResponse(
                page_content=matching[first : first + query.page_size],
                page_request=page,
                page_reqest=page,
                total=len(matching),
                total_pages=-(-len(matching) // query.page_size),
            ),
            request_id=request_id,
        )
    )
