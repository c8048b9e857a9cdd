"""The list of computing nodes as annex G asks for it, made of what the devices last said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.simulator.store import Node
from agent.simulator.validation import Finding


def page_of(
    nodes: Sequence[Node], *, request: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """Return table G.3 for an accepted table G.1, and what was odd about the request.

    `nodes` stand in the order of their codes. A node that was never read has no DeviceInfos.
    """
    page = request["PageRequest"]
    findings = _oddities(page)
    wanted = [node for node in nodes if _matches(node, request)]
    if _descends(page):
        wanted.reverse()
    size, number = page["PageSize"], page["PageNumber"]
    start = (number - 1) * size
    content = [_info(node) for node in wanted[start : start + size]]
    return {
        "PageContent": content,
        "PageRequest": page,
        "Total": len(wanted),
        "TotalPages": -(-len(wanted) // size),
    }, findings


def _matches(node: Node, request: Mapping[str, Any]) -> bool:
    wanted_type = request.get("Type", node.type)
    if wanted_type == "FRONT_END_DEVIE":
        wanted_type = "FRONT_END_DEVICE"
    wanted_code = request.get("ComputilityCode", node.code)
    return (node.code, node.type) == (wanted_code, wanted_type)


def _info(node: Node) -> dict[str, Any]:
    devices: list[dict[str, Any]] = [
        dict(device)
        for info in node.read_back.content or ()
        for device in info.get("DeviceInfos", ())
    ]
    if node.is_lost:
        # The last that the device said of itself was before it was lost.
        devices = [{**device, "IsOnline": False} for device in devices]
    return {"ComputilityCode": node.code, "DeviceInfos": devices}


def _descends(page: Mapping[str, Any]) -> bool:
    orders = page.get("OrderList") or [{}]
    return str(orders[0].get("Direction", "asc")).lower() == "desc"


def _oddities(page: Mapping[str, Any]) -> tuple[Finding, ...]:
    findings = []
    for index, order in enumerate(page.get("OrderList", ())):
        path = f"PageRequest.OrderList[{index}]"
        if str(order.get("Property", "ID")).upper() != "ID":
            findings.append(
                _note(1, f"{path}.Property", "is ignored: nodes are ordered by their code (ID)")
            )
        if str(order.get("Direction", "asc")).lower() not in ("asc", "desc"):
            findings.append(_note(2, f"{path}.Direction", "is not asc or desc; asc was taken"))
    return tuple(findings)


def _note(row: int, field: str, problem: str) -> Finding:
    return Finding(table="A.9", row=row, field=field, problem=problem, fatal=False)
