"""Reads the processes that `nvidia-smi -q -x` lists for a card; pure.

The names that stand among them are what the processes' owners chose, and need not be XML: the list
is read line by line, and a line that is not as it must be makes all of the list unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from collectors.accelerators.nvidia import smi_values
from collectors.accelerators.nvidia.answers import Number, User, Users
from collectors.accelerators.nvidia.explain import Failure

_START, _END = "<process_info>", "</process_info>"
_FIELD = re.compile(r"<([a-z_]+)>(.*)</\1>")
_NEEDED = frozenset({"pid", "used_memory"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Is one process; the instances are failures where the card is not divided."""

    gpu_instance: Number
    compute_instance: Number
    user: User


UserTable = tuple[Row, ...] | Failure


def read(inside: str) -> UserTable:
    """Return the rows of a list, of which `inside` is what stands between its two marks."""
    lines = [line.strip() for line in inside.splitlines() if line.strip()]
    if len(lines) == 1 and not lines[0].startswith("<"):
        given = smi_values.text(lines[0])
        return given if isinstance(given, Failure) else smi_values.NOT_UNDERSTOOD
    rows: list[Row] = []
    entry: list[tuple[str, str]] | None = None
    for line in lines:
        field = _FIELD.fullmatch(line)
        if line == _START and entry is None:
            entry = []
        elif line == _END and entry is not None:
            row = _row(entry)
            if row is None:
                return smi_values.NOT_UNDERSTOOD
            rows.append(row)
            entry = None
        elif field is not None and entry is not None:
            entry.append((field[1], field[2]))
        else:
            return smi_values.NOT_UNDERSTOOD
    return tuple(rows) if entry is None else smi_values.NOT_UNDERSTOOD


def of_card(table: UserTable) -> Users:
    """Return who uses a card as a whole."""
    return table if isinstance(table, Failure) else tuple(row.user for row in table)


def of_slice(table: UserTable, *, gpu_instance: int, compute_instance: int) -> Users:
    """Return who uses a slice; unknown where a process does not tell its slice."""
    if isinstance(table, Failure):
        return table
    for row in table:
        for instance in (row.gpu_instance, row.compute_instance):
            if isinstance(instance, Failure):
                return instance
    wanted = (gpu_instance, compute_instance)
    return tuple(row.user for row in table if (row.gpu_instance, row.compute_instance) == wanted)


def _row(entry: list[tuple[str, str]]) -> Row | None:
    texts = dict(entry)
    if len(texts) != len(entry) or _NEEDED - texts.keys():
        return None
    pid = smi_values.count(texts["pid"])
    if isinstance(pid, Failure):
        return None
    used = smi_values.amount_bytes(texts["used_memory"])
    return Row(
        gpu_instance=smi_values.count(texts.get("gpu_instance_id")),
        compute_instance=smi_values.count(texts.get("compute_instance_id")),
        user=User(pid=pid, memory_used_bytes=None if isinstance(used, Failure) else used),
    )
