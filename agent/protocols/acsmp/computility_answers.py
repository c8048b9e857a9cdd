"""Reads what the device API of another agent tells of its node (T/BAX 0006.5, annex G).

The other direction of `wire_monitoring`: GiB become bytes, and a key that is not there is a value
that is not known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from agent.errors import TransientError
from agent.model.operations import CardLoad, NodeLoad
from agent.protocols.acsmp import tolerant, wire
from agent.protocols.acsmp.tolerant import WireError

_GIB_BYTES = 2**30
# Beyond this it is no size of a memory, but a wrong unit.
_GIB_MAXIMUM = 2**30
_CARDS_MAXIMUM = 4096
_TABLE = "example of annex G"


def decode_node(body: bytes, *, status: int) -> NodeLoad:
    """Return the one node of an answer.

    An agent that several platforms know under different codes answers with an entry for each, with
    the same figures: that is one node.

    Raises:
        PlatformRejected: the credentials, or the question, were refused.
        TransientError: what came is no such answer, or tells of no node, or of several.
    """
    data = wire.decode_data(body, status=status)
    try:
        loads = [
            (_code(device) or _code(content), _load(device))
            for content in _objects(_object(data), "PageContent")
            for device in _objects(content, "DeviceInfos")
        ]
    except WireError as error:
        raise TransientError(f"HTTP {status}: {wire.printable(error.reason)}") from error
    if not loads:
        raise TransientError("the answer tells of no node")
    first = loads[0][1]
    if any(load != first for _, load in loads):
        raise TransientError(
            "the answer tells of several nodes; each entry of sources.nodes is one agent"
        )
    return NodeLoad(
        codes=frozenset(code for code, _ in loads if code is not None),
        logical_cores=first.logical_cores,
        cpu_utilization_ratio=first.cpu_utilization_ratio,
        memory_total_bytes=first.memory_total_bytes,
        memory_used_bytes=first.memory_used_bytes,
        cards=first.cards,
    )


def _load(device: Mapping[str, Any]) -> NodeLoad:
    cores = tolerant.as_int(tolerant.pick(device, "Cpu"), field="Cpu", table=_TABLE, minimum=0)
    cards = None
    if tolerant.pick(device, "XpuMonitors") is not None:
        entries = _objects(device, "XpuMonitors")
        if len(entries) > _CARDS_MAXIMUM:
            raise WireError(f"XpuMonitors has {len(entries)} entries", field="XpuMonitors")
        cards = tuple(_card(entry) for entry in entries)
    return NodeLoad(
        logical_cores=cores,
        cpu_utilization_ratio=_ratio(device, "CpuUtilization"),
        memory_total_bytes=_bytes(device, "Memory"),
        memory_used_bytes=_bytes(device, "MemoryUsed"),
        cards=cards,
    )


def _card(entry: Mapping[str, Any]) -> CardLoad:
    return CardLoad(
        memory_total_bytes=_bytes(entry, "XpuMemory"),
        memory_used_bytes=_bytes(entry, "XpuMemoryUsed"),
        utilization_ratio=_ratio(entry, "XpuUtilization"),
    )


def _code(fields: Mapping[str, Any]) -> str | None:
    return tolerant.as_text(
        tolerant.pick(fields, "DeviceID", "ComputilityCode", "Code"),
        field="DeviceID",
        table=_TABLE,
        maximum=64,
    )


def _object(data: Any) -> Mapping[str, Any]:
    return tolerant.as_object(data, field="Data", table="table G.2")


def _objects(fields: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return tolerant.as_objects(tolerant.pick(fields, name), field=name, table=_TABLE)


def _bytes(fields: Mapping[str, Any], name: str) -> int | None:
    gib = _number(fields, name, maximum=_GIB_MAXIMUM)
    return None if gib is None else round(gib * _GIB_BYTES)


def _ratio(fields: Mapping[str, Any], name: str) -> float | None:
    return _number(fields, name, maximum=1)


def _number(fields: Mapping[str, Any], name: str, *, maximum: float) -> float | None:
    value = tolerant.pick(fields, name)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= maximum:
        shown = value if is_number else tolerant.kind_of(value)
        raise WireError(f"{name} is {shown}, expected a number from 0 to {maximum}", field=name)
    return float(value)
