"""Recognises which of its forms a tool printed, and whether it was the tool of this vendor."""

from __future__ import annotations

import enum
import re

from collectors.accelerators.kunlun import device_table, grid_table, machine_rows, query
from collectors.accelerators.kunlun.facts import Chip

_INTEL = re.compile(r"\bIntel\b|\bLevel Zero\b|oneAPI", re.IGNORECASE)


class Form(enum.Enum):
    """Names the layout of a text."""

    DEVICES = "the table of XRE 4"
    GRID = "the table of XRE 5"
    QUERY = "the long form of XRE 5"
    ROWS = "the machine-readable form"


def form_of(text: str) -> Form | None:
    """Return the form of a text; None where it holds no device."""
    for line in text.splitlines():
        if device_table.is_header(line.strip()):
            return Form.DEVICES
        if grid_table.is_header(line):
            return Form.GRID
        if query.is_header(line):
            return Form.QUERY
        if machine_rows.is_row(line):
            return Form.ROWS
    return None


def parse(text: str) -> list[Chip]:
    """Return the chips in a text of any form, in the tool's order."""
    form = form_of(text)
    lines = text.splitlines()
    is_last_cut = bool(lines) and not text.endswith(("\n", "\r"))
    if form is Form.DEVICES:
        return device_table.parse(lines)
    if form is Form.GRID:
        return grid_table.parse(lines)
    if form is Form.QUERY:
        return query.parse(lines[:-1] if is_last_cut else lines)
    if form is Form.ROWS:
        return machine_rows.parse(lines, is_last_cut=is_last_cut)
    return []


def is_of_intel(text: str) -> bool:
    """Whether the text is that of Intel's xpu-smi, which has the same name."""
    return form_of(text) is None and _INTEL.search(text) is not None
