"""Reads the table that nvidia-smi prints when it is asked nothing; pure.

A card has no UUID there. Slices of MIG stand in a second table.
"""

from __future__ import annotations

import re

from collectors.accelerators import quantities, tables
from collectors.accelerators.nvidia import smi_values
from collectors.accelerators.nvidia.answers import Condition, Identity, Nodes, Occupancy, Sensors
from collectors.accelerators.nvidia.smi_facts import Shown, SmiGpu, SmiSlice
from collectors.accelerators.tables import Entry, TableLayout

_BUS_ID = re.compile(r"(?:[0-9A-Fa-f]{4,8}:)?[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]|NA|ERR!")
_CARDS = TableLayout(
    title=("GPU", "Name", "Bus-Id"),
    signs={
        "GPU": tables.INDEX,
        "Bus-Id": _BUS_ID,
        "GPU-Util": tables.PERCENTAGE,
        "MIG M.": re.compile(r"Enabled|Disabled|NA|ERR!"),
    },
    phrases=("Volatile Uncorr. ECC", "Compute M.", "MIG M."),
)
_SLICES = TableLayout(
    title=("GPU", "GI", "CI", "MIG"),
    signs=dict.fromkeys(("GPU", "GI", "CI", "MIG"), tables.INDEX),
    phrases=("Shared Memory-Usage", "Shared BAR1-Usage"),
)


def read_table(text: str) -> Shown:
    """Return the cards of the table; a text without one is not known."""
    cards = tables.read_table(text, _CARDS)
    if not cards:
        return Shown()
    slices = tables.read_table(text, _SLICES)
    gpus = []
    for number, entry in enumerate(cards):
        own = [each for each in slices if each.get("gpu") == entry.get("gpu")]
        is_last = number == len(cards) - 1
        if own or not _may_be_divided(entry, text=text.casefold(), is_last=is_last):
            gpus.append(_gpu(entry, slices=own))
    return Shown(gpus=tuple(gpus), is_known=True)


def _may_be_divided(entry: Entry, *, text: str, is_last: bool) -> bool:
    """Whether slices of the card may be missing because the text was cut off before them."""
    mode = entry.get("mig m.")
    if mode == "Enabled":
        return "no mig devices" not in text
    return not mode and is_last and "mig m." in text


def _gpu(entry: Entry, *, slices: list[Entry]) -> SmiGpu:
    used, total_text = _amounts(entry, "memory-usage")
    total = smi_values.amount_bytes(total_text)
    temperature = _get(entry, "temp")
    return SmiGpu(
        index=int(entry.get("gpu")),
        identity=Identity(
            uuid=smi_values.NOT_SHOWN,
            name=smi_values.name(_get(entry, "name")),
            bus_id=smi_values.text(_get(entry, "bus-id")),
            memory_total_bytes=total,
        ),
        occupancy=Occupancy(
            memory_used_bytes=smi_values.used_bytes(used, total=total),
            utilization_percent=smi_values.percent(_get(entry, "gpu-util")),
        ),
        sensors=Sensors(
            temperature_celsius=smi_values.celsius(temperature),
            power_milliwatts=smi_values.milliwatts(_power(entry)),
            energy_millijoules=smi_values.NOT_SHOWN,
        ),
        condition=Condition(
            uncorrected_errors=smi_values.count(_get(entry, "volatile uncorr. ecc")),
            rows_pending=smi_values.NOT_SHOWN,
            rows_failed=smi_values.NOT_SHOWN,
            recovery_action=smi_values.NOT_SHOWN,
        ),
        nodes=Nodes(
            minor=smi_values.NOT_SHOWN,
            gpu_instance=smi_values.NOT_SHOWN,
            compute_instance=smi_values.NOT_SHOWN,
        ),
        slices=tuple(map(_slice, slices)),
    )


def _slice(entry: Entry) -> SmiSlice:
    used, total_text = _amounts(entry, "shared memory-usage", "memory-usage")
    total = smi_values.amount_bytes(total_text)
    return SmiSlice(
        index=int(entry.get("mig")),
        identity=Identity(
            uuid=smi_values.NOT_SHOWN,
            name=smi_values.NOT_SHOWN,
            bus_id=smi_values.NOT_SHOWN,
            memory_total_bytes=total,
        ),
        memory_used_bytes=smi_values.used_bytes(used, total=total),
        nodes=Nodes(
            minor=smi_values.NOT_SHOWN,
            gpu_instance=smi_values.count(entry.get("gi")),
            compute_instance=smi_values.count(entry.get("ci")),
        ),
    )


def _get(entry: Entry, *words: str) -> str | None:
    return entry.get(*words) or None


def _power(entry: Entry) -> str | None:
    """Return the first of `110W / 350W`; newer tables may leave the limit away."""
    shown = _get(entry, "pwr:usage/cap")
    return None if shown is None else shown.partition("/")[0]


def _amounts(entry: Entry, *words: str) -> tuple[str | None, str | None]:
    shown = _get(entry, *words)
    if shown is None:
        return None, None
    used, total = quantities.parts(shown)
    return (used, total) if total else (shown, shown)
