"""Reads the table that `xpu_smi` of XRE 4 prints: one line for each device, columns by header.

Widths grow with the content and versions differ in their columns, so that a cell is found by its
column's name alone. A cell counts only if a separator closes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collectors.accelerators.kunlun import quantities
from collectors.accelerators.kunlun.facts import Chip, Missing, Number, Whole

_INDEX, _ADDRESS = "devid", "pci addr"


def is_header(line: str) -> bool:
    """Whether a line names the columns of the devices: other parts have no address."""
    return {_INDEX, _ADDRESS} <= set(_names(line))


def parse(lines: Sequence[str]) -> list[Chip]:
    """Return the chips of the table in these lines; those that cannot be numbered are left out."""
    columns: list[str] | None = None
    chips = []
    for line in lines:
        stripped = line.strip()
        if is_header(stripped):
            columns = _names(stripped)
        elif columns and stripped.startswith("|"):
            chip = _chip(_row(stripped, columns=columns))
            if chip is not None:
                chips.append(chip)
        elif columns and stripped.strip("-+="):
            break  # the next part, or text after the table
    return chips


def _chip(row: Mapping[str, str]) -> Chip | None:
    index = quantities.whole(row.get(_INDEX, ""), name="DevID")
    if isinstance(index, Missing):
        return None
    used, total = (
        quantities.memory_pair(row["memory"], name="Memory")
        if "memory" in row
        else (
            quantities.not_shown("Memory"),
            quantities.not_shown("Memory"),
        )
    )
    return Chip(
        index=index,
        pci_address=quantities.pci_address(row.get(_ADDRESS, ""), name="PCI Addr"),
        model=(
            quantities.text(row["model"], name="Model")
            if "model" in row
            else quantities.not_shown("Model")
        ),
        serial=(
            quantities.serial(row["sn"], name="SN") if "sn" in row else quantities.not_shown("SN")
        ),
        uuid=quantities.not_shown("UUID"),
        state=(
            quantities.text(row["state"], name="State")
            if "state" in row
            else quantities.not_shown("State")
        ),
        memory_total_bytes=total,
        memory_used_bytes=used,
        utilization_percent=(
            quantities.percent(row["userate"], name="UseRate")
            if "userate" in row
            else quantities.not_shown("UseRate")
        ),
        temperature_celsius=_temperature(row),
        power_watts=_power(row),
        uncorrected_errors=_no_errors(),
        node_number=quantities.node_number(row.get("inode", "")),
    )


def _temperature(row: Mapping[str, str]) -> Number:
    for name in ("temp", "temp(c)"):
        if name in row:
            unit = "C" if row[name].rstrip().endswith("C") else ""
            return quantities.celsius(row[name], unit=unit, name="Temp")
    return quantities.not_shown("Temp")


def _power(row: Mapping[str, str]) -> Number:
    if "power(w)" in row:
        return quantities.watts(row["power(w)"], unit="", name="Power")
    return quantities.not_shown("Power(W)")


def _no_errors() -> Whole:
    return quantities.not_shown("memory errors")


def _row(line: str, *, columns: Sequence[str]) -> Mapping[str, str]:
    # What follows the last separator is a cell that was cut, or the author's own dots.
    cells = line.split("|")[1:-1]
    return {
        name: cell
        for name, cell in zip(columns, cells, strict=False)
        if name and columns.count(name) == 1
    }


def _names(line: str) -> list[str]:
    if not line.startswith("|"):
        return []
    return [" ".join(cell.split()).lower() for cell in line.split("|")[1:]]
