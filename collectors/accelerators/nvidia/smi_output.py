"""Recognises which of its forms nvidia-smi printed, and what it says in place of one; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from collectors.accelerators.nvidia import explain
from collectors.accelerators.nvidia.explain import Failure
from collectors.accelerators.nvidia.smi_facts import LostGpu, Shown

_LOST = re.compile(
    r"Unable to determine the device handle for GPU\s*(?:([0-9]{1,4}):\s+)?"
    r"((?:[0-9A-Fa-f]{4,8}:)?[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7])?:?\s*(.+)",
    re.IGNORECASE,
)
# What the tool says of the driver as a whole; the first that is found.
_SENTENCES = (
    ("couldn't communicate with the nvidia driver", explain.DRIVER_NOT_LOADED),
    ("driver not loaded", explain.DRIVER_NOT_LOADED),
    ("driver/library version mismatch", explain.LIB_RM_VERSION_MISMATCH),
    ("couldn't find libnvidia-ml", explain.LIBRARY_NOT_FOUND),
    ("no devices were found", explain.NO_CARD),
    ("insufficient permissions", explain.NO_PERMISSION),
)
_LISTED_GPU = re.compile(r"GPU [0-9]+: .* \(UUID: (GPU-[0-9A-Za-z-]+)\)")
_LISTED_SLICE = re.compile(r"(MIG \S+)\s+Device\s+([0-9]{1,4}): \(UUID: (MIG-[0-9A-Za-z/-]+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceName:
    """Is how the list (`-L`) names a slice."""

    uuid: str
    profile: str


def read(text: str) -> Shown:
    """Return what a text of any form shows."""
    # Where NVML answers, nothing of the tool is ever read: its parsers are no load for the child.
    from collectors.accelerators.nvidia import smi_csv, smi_table, smi_tree

    if smi_tree.is_xml(text):
        shown = smi_tree.read_xml(text)
    elif smi_tree.is_long_text(text):
        shown = smi_tree.read_long_text(text)
    else:
        shown = smi_csv.read_csv(text)
        if not shown.is_known:
            shown = smi_table.read_table(text)
    return replace(shown, lost=_lost(text))


def failure(text: str) -> Failure | None:
    """Return why the tool as a whole had nothing to show; None if it does not say."""
    said = text.casefold()
    for sentence, code in _SENTENCES:
        if sentence in said:
            return Failure(code)
    lost = _lost(text)
    return lost[0].failure if lost else None


def is_refusal(text: str) -> bool:
    """Whether the tool said what keeps it from all cards: asked otherwise it says the same."""
    said = text.casefold()
    return any(sentence in said for sentence, _ in _SENTENCES)


def slice_names(text: str) -> Mapping[tuple[str, int], SliceName]:
    """Return the names of the slices in a list, by their card's UUID and their index in it."""
    names: dict[tuple[str, int], SliceName] = {}
    card = ""
    for line in text.splitlines():
        gpu = _LISTED_GPU.fullmatch(line.strip())
        if gpu is not None:
            card = gpu[1]
        elif line.startswith("GPU"):
            card = ""
        entry = _LISTED_SLICE.fullmatch(line.strip())
        if entry is not None and card:
            names[card, int(entry[2])] = SliceName(uuid=entry[3], profile=entry[1])
    return names


def _lost(text: str) -> tuple[LostGpu, ...]:
    found: dict[tuple[str, str], LostGpu] = {}
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        shape = _LOST.search(line)
        if shape is None or not (shape[1] or shape[2]):
            continue
        code = _code(shape[3].casefold())
        if code == explain.UNKNOWN and number == len(lines):
            continue  # it was cut off
        found[shape[1] or "", shape[2] or ""] = LostGpu(
            index=None if shape[1] is None else int(shape[1]),
            bus_id=shape[2],
            failure=Failure(code),
        )
    return tuple(found.values())


def _code(words: str) -> int:
    if "is lost" in words:
        return explain.GPU_IS_LOST
    return explain.RESET_REQUIRED if "reset" in words else explain.UNKNOWN
