"""Reads what `xpu_smi -m` prints: a line of values for each device, without a header.

Only the place tells what a value is. The firmware's version and the model, which look like nothing
else in the line, show that the places are those that are known here; where they are not found, or
the line ends before them, its values stay unknown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from collectors.accelerators.kunlun import quantities
from collectors.accelerators.kunlun.facts import Chip, Missing, blank_chip

_WORD = re.compile(r'"[^"]*"|\S+')
_FIRMWARE = re.compile(r"[0-9A-Fa-f]+(?:[.:][0-9A-Fa-f]+)*:[0-9A-Fa-f]+(?:[.:][0-9A-Fa-f]+)*")

_ADDRESS, _INDEX, _SERIAL, _TEMPERATURE, _POWER = 0, 2, 3, 4, 8
_MEMORY_USED, _MEMORY_TOTAL, _UTILIZATION = 17, 18, 19
_VERSIONS, _MODEL, _CHIP = 20, 21, 22


def is_row(line: str) -> bool:
    """Whether a line begins as a device's does: an address and two numbers."""
    words = line.split()
    return (
        len(words) > _INDEX
        and quantities.is_pci_address(words[_ADDRESS])
        and all(word.isdecimal() for word in words[1 : _INDEX + 1])
    )


def parse(lines: Sequence[str], *, is_last_cut: bool = False) -> list[Chip]:
    """Return the chips of these lines; `is_last_cut` says that the last line has no end."""
    chips = []
    for number, line in enumerate(lines):
        words = _words(line, is_cut=is_last_cut and number == len(lines) - 1)
        if is_row(" ".join(words[: _INDEX + 1])):
            chips.append(_chip(words))
    return chips


def _chip(words: Sequence[str]) -> Chip:
    index = int(words[_INDEX])
    address = quantities.pci_address(words[_ADDRESS], name="PCI address")
    if not _is_known_layout(words):
        unread = blank_chip(index, why="the tool's line is cut, or its layout is not known")
        return replace(unread, pci_address=address)
    chip = quantities.whole(words[_CHIP], name="chip") if len(words) > _CHIP else Missing("cut")
    return Chip(
        index=index,
        pci_address=address,
        model=quantities.text(words[_MODEL], name="model"),
        serial=quantities.serial(words[_SERIAL], name="serial number"),
        uuid=quantities.not_shown("UUID"),
        state=quantities.not_shown("state"),
        memory_total_bytes=quantities.mebibytes(words[_MEMORY_TOTAL], name="memory"),
        memory_used_bytes=quantities.mebibytes(words[_MEMORY_USED], name="used memory"),
        utilization_percent=quantities.measured(
            words[_UTILIZATION], unit="", low=0, high=100, name="utilisation"
        ),
        temperature_celsius=quantities.celsius(words[_TEMPERATURE], unit="", name="temperature"),
        power_watts=quantities.unlabelled_power(words[_POWER], name="power"),
        uncorrected_errors=quantities.not_shown("memory errors"),
        chip_on_card=None if isinstance(chip, Missing) else chip,
    )


def _is_known_layout(words: Sequence[str]) -> bool:
    # Two words end before the model, so that the words between are counted from both sides.
    return (
        len(words) > _MODEL
        and (_FIRMWARE.fullmatch(words[_VERSIONS]) is not None)
        and re.search(r"[A-Za-z]", words[_MODEL]) is not None
        and not quantities.is_no_value(words[_MODEL])
    )


def _words(line: str, *, is_cut: bool) -> list[str]:
    if line.count('"') % 2:
        line, is_cut = line.rpartition('"')[0], False
    words = _WORD.findall(line)
    return words[:-1] if is_cut else words
