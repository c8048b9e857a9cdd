"""Names the chips that a service was given, as XpuType (T/BAX 0006.5, annex H); pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.model.accelerator import Accelerator
from agent.model.view import AgentView
from agent.model.workloads import AcceleratorAssignment

IdentifyAccelerator = Callable[[Accelerator], str | None]


def of_chips(
    chips: Sequence[AcceleratorAssignment], *, view: AgentView, identify: IdentifyAccelerator
) -> str | None:
    """Return the identifier of these chips, several joined by commas; None where one is unknown.

    A service of several replicas may have chips of several kinds.
    """
    cards = {
        (each.accelerator.vendor, each.accelerator.uuid): each.accelerator
        for each in view.accelerators
    }
    names = []
    for chip in chips:
        card = cards.get((chip.vendor, chip.uuid))
        name = None if card is None else identify(card)
        if name is None:
            return None
        names.append(name)
    return ",".join(dict.fromkeys(names)) or None
