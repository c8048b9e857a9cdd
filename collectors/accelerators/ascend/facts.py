"""What Ascend's interfaces said of a chip, in their own units, with a reason for each gap."""

from __future__ import annotations

from dataclasses import dataclass

from agent.model.accelerator import AcceleratorProcess

OF_WHOLE_CARD = "measured for the whole card; it stands at the card's first chip"


@dataclass(frozen=True, slots=True)
class Missing:
    """Stands for a value that was not given, and says why."""

    reason: str


Number = float | Missing
Text = str | Missing
# A word of npu-smi ("OK"), or a level of DCMI (0 to 3).
Grade = str | int | Missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Is the memory that models use: HBM where the chip has it, DDR otherwise; in MiB."""

    used_mib: Number
    total_mib: Number


Users = tuple[AcceleratorProcess, ...] | Missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """Is one chip as it was read.

    `card` is the NPU id (DCMI: card id), `chip` the number of the chip on it. `bus_id` is the PCI
    address as the kernel writes it. `index` is the logical number of the chip, which is also that
    of its device node; None where it was not told. `chips_on_card` is None where not all of the
    card could be seen. `utilization_percent` is that of the AI cores, or of the whole chip where
    only that is offered.
    """

    card: int
    chip: int
    bus_id: Text
    name: Text
    health: Grade
    power_watts: Number
    temperature_celsius: Number
    utilization_percent: Number
    memory: Memory
    users: Users = Missing("not asked")
    index: int | None = None
    node_number: int | None = None
    chips_on_card: int | None = None
    board_name: str | None = None


def unread(*, card: int, chip: int, reason: str, name: Text | None = None) -> Chip:
    """Return a chip of which only its place is known."""
    missing = Missing(reason)
    return Chip(
        card=card,
        chip=chip,
        bus_id=missing,
        name=missing if name is None else name,
        health=missing,
        power_watts=missing,
        temperature_celsius=missing,
        utilization_percent=missing,
        memory=Memory(used_mib=missing, total_mib=missing),
        users=missing,
    )


def board_name(text: str) -> str | None:
    """Return the product as it is sold, or None where the text is a board code or no name.

    One build of the driver leaves letters out: its "A300I Duo" is an Atlas 300I Duo.
    """
    words = " ".join(text.split())
    if words.lower().startswith("atlas "):
        return words
    if len(words) > 3 and words[0] == "A" and words[1:4].isdigit():
        return f"Atlas {words[1:]}"
    return None
