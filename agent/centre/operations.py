"""Makes the operational figures of a centre out of those of its nodes; pure.

A sum of which a part is not known is not known: no figure speaks of a part of the centre as if it
were the whole. Ratios are weighted by what they are ratios of: a node's CPU by its cores, memory by
its bytes, an accelerator counts as one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from agent.model.operations import FIGURES, CardLoad, CentreLoad, NodeLoad
from agent.model.view import AgentView, PluginState

_T = TypeVar("_T")

_GIB_BYTES = 2**30
_NAMED_NODES = 8
_MAY_HIDE_CARDS = frozenset(
    {PluginState.STARTING, PluginState.FAILING, PluginState.STALLED, PluginState.BROKEN}
)
_RATIOS = frozenset(name for name in FIGURES if name.endswith("_ratio"))
_COUNTS = frozenset(name for name in FIGURES if name.endswith("_count"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedNode:
    """Is a node of the centre; `load` is None while it does not tell."""

    name: str
    load: NodeLoad | None


class _Unknown(Exception):  # noqa: N818 - no fault, a gap
    """Says why a figure is not known."""


def of_view(view: AgentView, *, codes: frozenset[str]) -> NodeLoad:
    """Return what this node, known under `codes`, has and does.

    Its cards are not known while a plugin that may know others has not answered or is at fault.
    """
    cpu, memory = view.cpu, view.memory
    vendors = {each.accelerator.vendor for each in view.accelerators}
    hides_cards = any(
        plugin.group == "accelerators"
        and plugin.state in _MAY_HIDE_CARDS
        and plugin.name not in vendors
        for plugin in view.plugins
    )
    cards = tuple(
        CardLoad(
            memory_total_bytes=each.accelerator.memory_total_bytes,
            memory_used_bytes=each.reading.memory_used_bytes,
            utilization_ratio=each.reading.utilization_ratio,
        )
        for each in view.accelerators
    )
    return NodeLoad(
        codes=codes,
        logical_cores=cpu.logical_cores if cpu else None,
        cpu_utilization_ratio=cpu.utilization_ratio if cpu else None,
        memory_total_bytes=memory.total_bytes if memory else None,
        memory_used_bytes=memory.used_bytes if memory else None,
        # A view that knows of no plugin yet was taken before any of them was asked.
        cards=None if hides_cards or (not view.plugins and not cards) else cards,
    )


def of_nodes(nodes: Sequence[NamedNode], *, declared: Mapping[str, float]) -> CentreLoad:
    """Return the figures of a centre that has exactly these nodes.

    `declared` holds what a person says and nothing measures.
    """
    return _collected(
        {
            "node_count": lambda: len(nodes),
            "cpu_utilization_ratio": lambda: _cpu(nodes),
            "memory_utilization_ratio": lambda: _memory_ratio(nodes),
            "memory_gib": lambda: _memory_bytes(nodes) / _GIB_BYTES,
            "accelerator_count": lambda: len(_cards(nodes)),
            "accelerator_utilization_ratio": lambda: _card_ratio(nodes),
            "accelerator_memory_utilization_ratio": lambda: _card_memory_ratio(nodes),
            "computing_utilization_ratio": lambda: _computing(nodes),
        },
        declared=declared,
    )


def of_values(
    values: Mapping[str, float], *, unknown: Mapping[str, str], declared: Mapping[str, float]
) -> CentreLoad:
    """Return the figures that somebody else has worked out, each within its bounds."""

    def checked(name: str) -> Callable[[], float]:
        return lambda: _checked(name, values=values, unknown=unknown)

    return _collected(
        {name: checked(name) for name in FIGURES if name in values or name in unknown},
        declared=declared,
    )


def _collected(
    ways: Mapping[str, Callable[[], float]], *, declared: Mapping[str, float]
) -> CentreLoad:
    figures: dict[str, float] = {}
    unknown: dict[str, str] = {}
    for name in FIGURES:
        try:
            if name in ways:
                figures[name] = ways[name]()
            elif name in declared:
                figures[name] = declared[name]
            else:
                unknown[name] = "nothing tells it"
        except _Unknown as error:
            unknown[name] = str(error)
    return CentreLoad(figures=figures, unknown=unknown)


def _checked(name: str, *, values: Mapping[str, float], unknown: Mapping[str, str]) -> float:
    if name in unknown:
        raise _Unknown(unknown[name])
    value = values[name]
    if not math.isfinite(value) or value < 0:
        raise _Unknown(f"{value} is no such figure")
    if name in _RATIOS and value > 1:
        raise _Unknown(f"{value:g} is no ratio from 0 to 1; is it a percentage?")
    if name in _COUNTS:
        if not value.is_integer():
            raise _Unknown(f"{value:g} is no whole number")
        return int(value)
    return value


def _loads(nodes: Sequence[NamedNode]) -> list[tuple[str, NodeLoad]]:
    missing = [each.name for each in nodes if each.load is None]
    if missing:
        raise _Unknown(f"no answer of {_listed(missing, of=len(nodes))}")
    known = [(each.name, each.load) for each in nodes if each.load is not None]
    counted = Counter(code for _, load in known for code in load.codes)
    doubled = [name for name, load in known if any(counted[code] > 1 for code in load.codes)]
    if doubled:
        raise _Unknown(f"the same node stands under several names: {_listed(doubled)}")
    return known


def _cpu(nodes: Sequence[NamedNode]) -> float:
    return _weighted(
        [(name, load.logical_cores, load.cpu_utilization_ratio) for name, load in _loads(nodes)],
        what="CPU",
    )


def _memory_bytes(nodes: Sequence[NamedNode]) -> int:
    return sum(
        _all([(name, load.memory_total_bytes) for name, load in _loads(nodes)], what="memory")
    )


def _memory_ratio(nodes: Sequence[NamedNode]) -> float:
    used = _all([(name, load.memory_used_bytes) for name, load in _loads(nodes)], what="memory")
    return _share(sum(used), of=_memory_bytes(nodes), what="memory")


def _cards(nodes: Sequence[NamedNode]) -> list[tuple[str, CardLoad]]:
    loads = _loads(nodes)
    of_nodes = _all([(name, load.cards) for name, load in loads], what="accelerators")
    return [
        (name, card) for (name, _), cards in zip(loads, of_nodes, strict=True) for card in cards
    ]


def _card_ratio(nodes: Sequence[NamedNode]) -> float:
    return _weighted(
        [(name, 1, card.utilization_ratio) for name, card in _cards(nodes)],
        what="accelerators",
    )


def _card_memory_ratio(nodes: Sequence[NamedNode]) -> float:
    cards = _cards(nodes)
    what = "memory of accelerators"
    used = _all([(name, card.memory_used_bytes) for name, card in cards], what=what)
    total = _all([(name, card.memory_total_bytes) for name, card in cards], what=what)
    return _share(sum(used), of=sum(total), what=what)


def _computing(nodes: Sequence[NamedNode]) -> float:
    """Return the load of what the centre computes with: its accelerators, or CPUs without any."""
    return _card_ratio(nodes) if _cards(nodes) else _cpu(nodes)


def _weighted(parts: Sequence[tuple[str, int | None, float | None]], *, what: str) -> float:
    weights = _all([(name, weight) for name, weight, _ in parts], what=what)
    ratios = _all([(name, ratio) for name, _, ratio in parts], what=what)
    busy = math.fsum(weight * ratio for weight, ratio in zip(weights, ratios, strict=True))
    return _share(busy, of=sum(weights), what=what)


def _share(part: float, *, of: int, what: str) -> float:
    if of <= 0:
        raise _Unknown(f"the centre has no {what}")
    # Used memory is rounded apart from the total, on its way from other nodes.
    return min(1.0, part / of)


def _all(parts: Sequence[tuple[str, _T | None]], *, what: str) -> list[_T]:
    """Return the values if every one is known."""
    missing = dict.fromkeys(name for name, value in parts if value is None)
    if missing:
        raise _Unknown(f"{what} of {_listed(list(missing))} not known")
    return [value for _, value in parts if value is not None]


def _listed(names: Sequence[str], *, of: int | None = None) -> str:
    shown = ", ".join(names[:_NAMED_NODES]) + (", …" if len(names) > _NAMED_NODES else "")
    return shown if of is None else f"{len(names)} of {of} nodes: {shown}"
