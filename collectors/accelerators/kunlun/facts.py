"""What a source told of a chip: base units, and `Missing` where it gave no value."""

from __future__ import annotations

from dataclasses import dataclass

from agent.model.accelerator import AcceleratorProcess


@dataclass(frozen=True, slots=True)
class Missing:
    """Is a value that a source did not give, and why; `code` is the library's, None from a tool."""

    reason: str
    code: int | None = None


Text = str | Missing
Whole = int | Missing
Number = float | Missing
Users = tuple[AcceleratorProcess, ...] | Missing

_NOT_READ = Missing("a table of this tool that lists processes was never seen: it is not read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """Is one line of a source: a chip, or a function of one that SR-IOV divides.

    `index` is the source's own number. `pci_address` is as the kernel writes it. `uuid` is the
    maker's. `chip_on_card` counts from 0, None where the source has no number for it.
    `node_number` is N of /dev/xpuN; None where the source does not tell. `state` is the source's
    word or letter. `uncorrected_errors` counts memory errors since the driver was loaded.
    """

    index: int
    pci_address: Text
    model: Text
    serial: Text
    uuid: Text
    state: Text
    memory_total_bytes: Whole
    memory_used_bytes: Whole
    utilization_percent: Number
    temperature_celsius: Number
    power_watts: Number
    uncorrected_errors: Whole
    users: Users = _NOT_READ
    chip_on_card: int | None = None
    node_number: int | None = None


def blank_chip(index: int, *, why: str) -> Chip:
    """Return a chip of which nothing is known but its number, for one reason."""
    missing = Missing(why)
    return Chip(
        index=index,
        pci_address=missing,
        model=missing,
        serial=missing,
        uuid=missing,
        state=missing,
        memory_total_bytes=missing,
        memory_used_bytes=missing,
        utilization_percent=missing,
        temperature_celsius=missing,
        power_watts=missing,
        uncorrected_errors=missing,
        users=missing,
    )


def count_known(chip: Chip) -> int:
    """Return how many of the values that are measured a source gave."""
    return sum(
        not isinstance(value, Missing)
        for value in (
            chip.state,
            chip.memory_total_bytes,
            chip.memory_used_bytes,
            chip.utilization_percent,
            chip.temperature_celsius,
            chip.power_watts,
        )
    )
