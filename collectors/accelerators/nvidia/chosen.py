"""Picks the cards and slices that a container is to have, as either source listed them; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from agent.errors import ReadingUnavailable
from collectors.accelerators.nvidia import explain
from collectors.accelerators.nvidia.explain import Failure
from collectors.accelerators.nvidia.grants import GrantedChip
from collectors.accelerators.nvidia.smi_convert import SmiUnit
from collectors.accelerators.nvidia.walk import Unit

_Unit = TypeVar("_Unit", Unit, SmiUnit)


def by_library(units: Sequence[Unit], *, uuids: Sequence[str]) -> list[Unit]:
    """Return these of NVML's entries; raises ReadingUnavailable where one cannot be used."""
    picked = _picked({unit.accelerator.uuid: unit for unit in units}, uuids=uuids)
    for unit in picked:
        if not unit.is_built_in:
            _check(unit.accelerator.uuid, unit.handle)
    return picked


def by_tool(units: Sequence[SmiUnit], *, uuids: Sequence[str]) -> list[SmiUnit]:
    """Return these of the tool's entries; raises ReadingUnavailable where one cannot be used."""
    picked = _picked({unit.accelerator.uuid: unit for unit in units}, uuids=uuids)
    for unit in picked:
        _check(unit.accelerator.uuid, unit.failure)
    return picked


def visible_names(units: Sequence[SmiUnit]) -> list[str]:
    """Return how NVIDIA's runtime knows them: by UUID, or by number where the tool shows none."""
    return [
        unit.accelerator.uuid if unit.accelerator.uuid.startswith(("GPU-", "MIG-")) else unit.number
        for unit in units
    ]


def tool_chips(units: Sequence[SmiUnit]) -> list[GrantedChip]:
    """Return what their device nodes are found by."""
    return [
        GrantedChip(
            uuid=unit.accelerator.uuid,
            is_slice=unit.accelerator.parent_uuid is not None,
            card=unit.card_nodes,
            own=unit.own_nodes,
        )
        for unit in units
    ]


def _picked(by_uuid: Mapping[str, _Unit], *, uuids: Sequence[str]) -> list[_Unit]:
    lost = next((uuid for uuid in uuids if uuid not in by_uuid), None)
    if lost is not None:
        raise ReadingUnavailable(f"no NVIDIA card or slice {lost} is on this machine")
    return [by_uuid[uuid] for uuid in dict.fromkeys(uuids)]


def _check(uuid: str, failure: object) -> None:
    if isinstance(failure, Failure):
        explanation = explain.explain(failure)
        raise ReadingUnavailable(f"{uuid}: {explanation.reason}", hint=explanation.hint)
