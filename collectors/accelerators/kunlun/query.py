"""Reads what `xpu-smi -q` of XRE 5 prints: sections by indentation, `key : value` in each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from collectors.accelerators.kunlun import quantities
from collectors.accelerators.kunlun.facts import Chip, Missing, Number, Text, Whole

_Path = tuple[str, ...]
_DEVICE = re.compile(r"\s*XPU ([0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7])\s*")


def is_header(line: str) -> bool:
    """Whether a line begins a device."""
    return _DEVICE.fullmatch(line) is not None


def parse(lines: Sequence[str]) -> list[Chip]:
    """Return the chips of these lines, in their order.

    The output has no index: the minor number, which names the device node, is taken for it, and
    where one is missing a number that is free.
    """
    blocks: list[tuple[str, list[str]]] = []
    for line in lines:
        match = _DEVICE.fullmatch(line)
        if match is not None:
            blocks.append((match.group(1), []))
        elif blocks:
            blocks[-1][1].append(line)
    values = [_values(below) for _, below in blocks]
    minors = [
        quantities.whole(each.get(("Minor Number",), ""), name="Minor Number") for each in values
    ]
    taken = {minor for minor in minors if not isinstance(minor, Missing)}
    free = (number for number in range(2 * len(blocks)) if number not in taken)
    return [
        _chip(
            each,
            address=address,
            index=next(free) if isinstance(minor, Missing) else minor,
            minor=minor,
        )
        for (address, _), each, minor in zip(blocks, values, minors, strict=True)
    ]


def _chip(values: Mapping[_Path, str], *, address: str, index: int, minor: Whole) -> Chip:
    return Chip(
        index=index,
        pci_address=quantities.pci_address(address, name="Bus Id"),
        model=_text(values, "Product Name"),
        serial=_serial(values),
        uuid=_text(values, "XPU UUID"),
        state=quantities.not_shown("state"),
        memory_total_bytes=_memory(values, "Total"),
        memory_used_bytes=_memory(values, "Used"),
        utilization_percent=_measured(values, "Utilization", "Xpu"),
        temperature_celsius=_measured(values, "Temperature", "XPU Current Temp"),
        power_watts=_measured(values, "Power Readings", "Power Draw"),
        uncorrected_errors=_errors(values),
        node_number=None if isinstance(minor, Missing) else minor,
    )


def _text(values: Mapping[_Path, str], *path: str) -> Text:
    if path not in values:
        return quantities.not_shown(path[-1])
    return quantities.text(values[path], name=path[-1])


def _serial(values: Mapping[_Path, str]) -> Text:
    if ("Serial Number",) not in values:
        return quantities.not_shown("Serial Number")
    return quantities.serial(values["Serial Number",], name="Serial Number")


def _memory(values: Mapping[_Path, str], name: str) -> Whole:
    if ("Memory Usage", name) not in values:
        return quantities.not_shown(f"Memory Usage {name}")
    return quantities.memory(values["Memory Usage", name], name=f"Memory Usage {name}")


def _measured(values: Mapping[_Path, str], *path: str) -> Number:
    name = path[-1]
    if path not in values:
        return quantities.not_shown(name)
    if name == "Xpu":
        return quantities.percent(values[path], name=name)
    if name == "Power Draw":
        return quantities.watts(values[path], unit="W", name=name)
    return quantities.celsius(values[path], unit="C", name=name)


def _errors(values: Mapping[_Path, str]) -> Whole:
    path = ("ECC Errors", "Volatile", "DRAM Uncorrectable")
    if path not in values:
        return quantities.not_shown("DRAM Uncorrectable")
    return quantities.whole(values[path], name="DRAM Uncorrectable")


def _values(lines: Sequence[str]) -> dict[_Path, str]:
    """Return each value by the titles above it; a path that comes twice is left out."""
    found: dict[_Path, str] = {}
    twice: set[_Path] = set()
    above: list[tuple[int, str]] = []
    outermost: int | None = None
    for line in lines:
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        outermost = indent if outermost is None else outermost
        if indent < outermost:
            continue
        while above and above[-1][0] >= indent:
            above.pop()
        name, colon, value = line.strip().partition(" : ")
        path = (*(title for _, title in above), name.strip())
        if colon:
            if path in found:
                twice.add(path)
            found[path] = value
        else:
            above.append((indent, name.strip()))
    return {path: value for path, value in found.items() if path not in twice}
