"""Reads the processes below the table that `npu-smi info` prints; pure.

A line of `=` ends what is told of a card. Of a card whose part did not end, or holds a line that is
not understood, nothing is believed: it could be shown as used by nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from agent.model.accelerator import AcceleratorProcess
from collectors.accelerators.ascend.facts import Missing, Users

NOT_SHOWN = Missing("npu-smi shows no processes of this card")
_NOT_UNDERSTOOD = Missing("what npu-smi shows of this card's processes is not understood")
_CUT = Missing("npu-smi lists no more than eight processes of a chip")

# The tool leaves out what goes beyond.
_MOST_ROWS = 8
_MIB = 1024 * 1024
_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)
_NOBODY = re.compile(r"No running processes found in NPU ([0-9]{1,9})", re.ASCII)
# Where a head is not one of these, its rows are not understood.
_PLACES = (("npu", "chip"), ("npu", "device"), ("npu id",))
_PID = "process id"
_MEMORY = "process memory(mb)"


class ProcessTable:
    """Holds who uses which chip, by the number of the card and that of the chip on it."""

    def __init__(
        self,
        cards: Mapping[int, Missing | None],
        users: Mapping[tuple[int, int], Sequence[AcceleratorProcess]],
    ) -> None:
        self._cards = cards
        self._users = users

    def of_chip(self, card: int, chip: int) -> Users:
        """Return who uses a chip; () if the table says that nobody does."""
        problem = self._cards.get(card, NOT_SHOWN)
        if problem is not None:
            return problem
        users = self._users.get((card, chip), ())
        return tuple(users) if len(users) < _MOST_ROWS else _CUT


def parse(lines: Iterable[str]) -> ProcessTable:
    """Return what the lines from the head of the processes on say."""
    cards: dict[int, Missing | None] = {}
    users: dict[tuple[int, int], list[AcceleratorProcess]] = {}
    head: list[str] = []
    part: set[int] = set()
    idle: set[int] = set()
    is_understood = True
    for line in lines:
        bare = line.strip()
        if not bare:
            continue
        if bare.startswith("+") and bare.endswith("+") and len(bare) > 2:
            if "=" in bare:
                is_sound = is_understood and len(part | idle) == 1 and not part & idle
                for card in part | idle:
                    is_new = card not in cards
                    cards[card] = None if is_sound and is_new else _NOT_UNDERSTOOD
                part, idle, is_understood = set(), set(), True
            continue
        cells = _cells(bare)
        nobody = _NOBODY.fullmatch(cells[0]) if len(cells) == 1 else None
        if not head:
            head = [" ".join(cell.lower().split()) for cell in cells]
        elif nobody is not None:
            idle.add(int(nobody[1]))
        else:
            row = _row(head, cells)
            if row is None:
                is_understood = False
                continue
            card, chip, process = row
            part.add(card)
            users.setdefault((card, chip), []).append(process)
    # What comes after the last line of `=` has not ended, and tells that what ended is not all.
    for card in part | idle:
        cards[card] = _NOT_UNDERSTOOD
    return ProcessTable(cards, users)


def _cells(bare: str) -> list[str]:
    if len(bare) < 2 or bare[0] != "|" or bare[-1] != "|":
        return []
    return [cell.strip() for cell in bare[1:-1].split("|")]


def _row(head: Sequence[str], cells: Sequence[str]) -> tuple[int, int, AcceleratorProcess] | None:
    if len(cells) != len(head) or head.count(_PID) != 1 or head.count(_MEMORY) != 1:
        return None
    if not any(" ".join(place) == head[0] for place in _PLACES):
        return None
    place = cells[0].split()
    pid, memory = cells[head.index(_PID)], cells[head.index(_MEMORY)]
    numbers = (*place, pid)
    if len(place) != (1 if head[0] == "npu id" else 2):
        return None
    if not all(_COUNT.fullmatch(number) for number in numbers):
        return None
    used = int(memory) * _MIB if _COUNT.fullmatch(memory) else None
    chip = int(place[1]) if len(place) > 1 else 0
    process = AcceleratorProcess(pid=int(pid), memory_used_bytes=used)
    return int(place[0]), chip, process
