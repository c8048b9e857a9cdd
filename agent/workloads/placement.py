"""Chooses the chips that a replica is given; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from agent.errors import TransientError
from agent.model.accelerator import Health
from agent.model.view import AcceleratorView, AgentView, PluginState

# A plugin in one of these may still find chips; all others have said what they have.
_UNDECIDED = frozenset({PluginState.STARTING})


def choose(
    view: AgentView,
    *,
    count: int,
    taken: Mapping[str, int],
    can_grant: Callable[[str], bool],
) -> tuple[AcceleratorView, ...]:
    """Return the chips for one replica, all of one vendor; none where it wants none.

    A chip that fewer replicas were given goes first, so that they spread; then the one with more
    free memory, one of which that is unknown last. `taken` counts the replicas of all services by
    the chip's uuid, `can_grant` tells of a plugin whether it hands chips to containers. A chip in
    a critical state is not given, and neither is a card that is cut into slices: they are.

    Raises:
        TransientError: this node has not so many; it says what it has.
    """
    if count <= 0:
        return ()
    vendors: dict[str, list[AcceleratorView]] = defaultdict(list)
    for chip in _usable(view):
        vendors[chip.accelerator.vendor].append(chip)
    enough = [
        _best(chips, count=count, taken=taken)
        for vendor, chips in sorted(vendors.items())
        if len(chips) >= count and can_grant(vendor)
    ]
    if not enough:
        raise TransientError(_shortage(view, count=count, can_grant=can_grant))
    # Of the vendors too the least used: the same order, on what each would give.
    return min(enough, key=lambda chips: [_order(chip, taken=taken)[:3] for chip in chips])


def automatic_count(view: AgentView, *, can_grant: Callable[[str], bool]) -> int:
    """Return how many chips a replica gets where nobody says: one where there is any, else none.

    A sick chip counts: it is why a replica waits, and no reason to run it without any.

    Raises:
        TransientError: a plugin has not yet told what it has.
    """
    vendors = dict.fromkeys(chip.accelerator.vendor for chip in view.accelerators)
    if any(can_grant(vendor) for vendor in vendors):
        return 1
    starting = [
        plugin.name
        for plugin in view.plugins
        if plugin.group == "accelerators" and plugin.state in _UNDECIDED
    ]
    if starting:
        raise TransientError(
            f"it is not known yet whether there are accelerators: {', '.join(starting)} starting",
            retry_after_seconds=5.0,
        )
    return 0


def _usable(view: AgentView) -> list[AcceleratorView]:
    cut = _cut(view)
    return [
        chip
        for chip in view.accelerators
        if chip.reading.health is not Health.CRITICAL and _name(chip) not in cut
    ]


def _cut(view: AgentView) -> set[tuple[str, str]]:
    """Return the cards that are cut into slices."""
    return {
        (chip.accelerator.vendor, chip.accelerator.parent_uuid)
        for chip in view.accelerators
        if chip.accelerator.parent_uuid is not None
    }


def _name(chip: AcceleratorView) -> tuple[str, str]:
    return chip.accelerator.vendor, chip.accelerator.uuid


def _best(
    chips: Sequence[AcceleratorView], *, count: int, taken: Mapping[str, int]
) -> tuple[AcceleratorView, ...]:
    return tuple(sorted(chips, key=lambda chip: _order(chip, taken=taken))[:count])


def _order(chip: AcceleratorView, *, taken: Mapping[str, int]) -> tuple[int, bool, int, int, str]:
    free_bytes = _free_bytes(chip)
    return (
        taken.get(chip.accelerator.uuid, 0),
        free_bytes is None,
        -(free_bytes or 0),
        chip.accelerator.index,
        chip.accelerator.uuid,
    )


def _free_bytes(chip: AcceleratorView) -> int | None:
    total, used = chip.accelerator.memory_total_bytes, chip.reading.memory_used_bytes
    return None if total is None or used is None else total - used


def _shortage(view: AgentView, *, count: int, can_grant: Callable[[str], bool]) -> str:
    has: dict[str, int] = defaultdict(int)
    sick = silent = 0
    cut = _cut(view)
    for chip in view.accelerators:
        if _name(chip) in cut:
            continue
        if not can_grant(chip.accelerator.vendor):
            silent += 1
        elif chip.reading.health is Health.CRITICAL:
            sick += 1
        else:
            has[chip.accelerator.vendor] += 1
    said = [f"{number} of {vendor}" for vendor, number in sorted(has.items())]
    if sick:
        said.append(f"{sick} in a critical state")
    if silent:
        said.append(f"{silent} whose plugin hands none to containers")
    return (
        f"a replica wants {count} accelerators of one vendor; this node has "
        f"{', '.join(said) or 'none'}"
    )
