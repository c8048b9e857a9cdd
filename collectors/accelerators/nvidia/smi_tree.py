"""Reads the two long forms of nvidia-smi, `-q -x` (XML) and `-q` (text); pure.

Both are trees of the same names, so that the text is made into elements and read as the XML is.
Only what ended is believed: of a document that was cut off, the cards before the cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from collectors.accelerators.nvidia import smi_users, smi_values
from collectors.accelerators.nvidia.answers import (
    Condition,
    Identity,
    Nodes,
    Number,
    Occupancy,
    Sensors,
)
from collectors.accelerators.nvidia.explain import Failure
from collectors.accelerators.nvidia.smi_facts import Shown, SmiGpu, SmiSlice
from collectors.accelerators.nvidia.smi_users import UserTable

_ROOT = "nvidia_smi_log"
_START = f"<{_ROOT}"
# Long lists that are not read as XML. Names of processes stand in them, as their owners chose them.
_PROCESSES = "processes"
_NOT_READ = ("accounted_processes", "supported_clocks")
_GPU_LINE = re.compile(r"GPU ((?:[0-9A-Fa-f]{4,8}:)?[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7])")
_NO_WORD = re.compile(r"[^a-z0-9]+")

_POWERS = (
    "power_draw",
    "average_power_draw",
    "instant_power_draw",
    "instantaneous_power_draw",
)
_UNCORRECTED = (
    "sram_uncorrectable",
    "sram_uncorrectable_parity",
    "sram_uncorrectable_secded",
    "sram_uncorrectable_sec_ded",
    "dram_uncorrectable",
)


def is_xml(text: str) -> bool:
    """Whether the text is a document of `-q -x`."""
    return _START in text


def is_long_text(text: str) -> bool:
    """Whether the text is one of `-q`."""
    return any(_GPU_LINE.fullmatch(line.strip()) for line in text.splitlines())


def read_xml(text: str) -> Shown:
    """Return the cards whose elements ended.

    What stands before the root is left out, so that no entity can be declared.
    """
    document = text[text.index(_START) :]
    for name in _NOT_READ:
        document, _ = _without_lists(document, name)
    document, lists = _without_lists(document, _PROCESSES)
    parser: ET.XMLPullParser[Any] = ET.XMLPullParser(("start", "end"))
    parser.feed(document)
    depth = 0
    facts: dict[str, str] = {}
    gpus: list[Element] = []
    try:
        events: Iterator[Any] = parser.read_events()
        for event, element in events:
            depth += 1 if event == "start" else -1
            if event == "end" and depth == 1:
                if element.tag == "gpu":
                    gpus.append(element)
                else:
                    facts[element.tag] = element.text or ""
    except ET.ParseError:  # cut off, or garbled: what ended before stays
        pass
    return _shown(facts, gpus, lists=lists)


def read_long_text(text: str) -> Shown:
    """Return the cards of `-q`; of the last one as much as is there."""
    lines = text.split("\n")
    lines.pop()  # one that was cut off; the text ends with a line's end otherwise
    facts: dict[str, str] = {}
    gpus: list[Element] = []
    # Who encloses the next line: elements by how far they stand to the right.
    open_elements: list[tuple[int, Element]] = []
    for line in lines:
        stripped = line.strip()
        if not stripped:
            continue
        start = _GPU_LINE.fullmatch(stripped)
        if start is not None:
            gpus.append(Element("gpu", {"id": start[1]}))
            open_elements = [(-1, gpus[-1])]
            continue
        key, _, value = stripped.partition(":")
        tag = _NO_WORD.sub("_", key.casefold()).strip("_") or "_"
        if not gpus:
            facts.setdefault(tag, value.strip())
            continue
        indent = len(line) - len(line.lstrip())
        while open_elements[-1][0] >= indent:
            open_elements.pop()
        element = ET.SubElement(open_elements[-1][1], tag)
        element.text = value.strip()
        open_elements.append((indent, element))
    return _shown(facts, gpus)


def _without_lists(document: str, name: str) -> tuple[str, list[str]]:
    """Return the document with a number in place of each list of this name, and the lists."""
    opening, closing = f"<{name}>", f"</{name}>"
    kept: list[str] = []
    lists: list[str] = []
    position = 0
    while (start := document.find(opening, position)) >= 0:
        end = document.find(closing, start)
        if end < 0:
            break
        kept.append(f"{document[position:start]}<{name}>{len(lists)}{closing}")
        lists.append(document[start + len(opening) : end])
        position = end + len(closing)
    return "".join((*kept, document[position:])), lists


def _shown(facts: dict[str, str], gpus: list[Element], *, lists: Sequence[str] = ()) -> Shown:
    announced = smi_values.count(facts.get("attached_gpus"))
    version = smi_values.text(facts.get("driver_version"))
    return Shown(
        gpus=tuple(_gpu(each, table=_table(each, lists)) for each in gpus if _is_told_apart(each)),
        is_known=True,
        announced=None if isinstance(announced, Failure) else announced,
        driver_version=None if isinstance(version, Failure) else version,
    )


def _is_told_apart(gpu: Element) -> bool:
    # Cut off before its UUID, a card would get another name for once; without the slices that it
    # is divided into, it would be taken for whole.
    if _text(gpu, "uuid", "gpu_uuid") is None:
        return False
    if _slice_elements(gpu):
        return any(True for _ in _slices(gpu))
    return gpu.find("fb_memory_usage") is not None or _mig_mode(gpu) != "Enabled"


def _slice_elements(gpu: Element) -> list[Element]:
    if _mig_mode(gpu) not in ("Enabled", ""):
        return []
    return [*gpu.findall("mig_devices/mig_device"), *gpu.findall("mig_device")]


def _mig_mode(gpu: Element) -> str:
    return (_text(gpu, "mig_mode/current_mig", "mig_mode/current") or "").strip()


def _table(gpu: Element, lists: Sequence[str]) -> UserTable:
    number = smi_values.count(_text(gpu, _PROCESSES))
    if isinstance(number, Failure) or number >= len(lists):
        return smi_values.NOT_SHOWN
    return smi_users.read(lists[number])


def _gpu(gpu: Element, *, table: UserTable) -> SmiGpu:
    total = smi_values.amount_bytes(_text(gpu, "fb_memory_usage/total"))
    return SmiGpu(
        index=None,
        identity=Identity(
            uuid=smi_values.text(_text(gpu, "uuid", "gpu_uuid")),
            name=smi_values.name(_text(gpu, "product_name")),
            bus_id=smi_values.text(gpu.get("id") or _text(gpu, "pci/pci_bus_id", "pci/bus_id")),
            memory_total_bytes=total,
        ),
        occupancy=Occupancy(
            memory_used_bytes=smi_values.used_bytes(
                _text(gpu, "fb_memory_usage/used"), total=total
            ),
            utilization_percent=smi_values.percent(
                _text(gpu, "utilization/gpu_util", "utilization/gpu")
            ),
        ),
        sensors=Sensors(
            temperature_celsius=smi_values.celsius(
                _text(gpu, "temperature/gpu_temp", "temperature/gpu_current_temp")
            ),
            power_milliwatts=smi_values.first_given(_powers(gpu)),
            energy_millijoules=smi_values.NOT_SHOWN,
        ),
        condition=Condition(
            uncorrected_errors=_uncorrected_errors(gpu),
            rows_pending=smi_values.flag(
                _text(gpu, "remapped_rows/remapped_row_pending", "remapped_rows/pending")
            ),
            rows_failed=smi_values.flag(
                _text(
                    gpu,
                    "remapped_rows/remapped_row_failure",
                    "remapped_rows/remapping_failure_occurred",
                )
            ),
            recovery_action=_recovery_action(gpu),
        ),
        nodes=Nodes(
            minor=smi_values.count(_text(gpu, "minor_number")),
            gpu_instance=smi_values.NOT_SHOWN,
            compute_instance=smi_values.NOT_SHOWN,
        ),
        slices=tuple(_slices(gpu, table=table)),
        users=smi_users.of_card(table),
    )


def _slices(gpu: Element, *, table: UserTable = smi_values.NOT_SHOWN) -> Iterator[SmiSlice]:
    for element in _slice_elements(gpu):
        index = smi_values.count(_text(element, "index"))
        instance = smi_values.count(_text(element, "gpu_instance_id"))
        compute = smi_values.count(_text(element, "compute_instance_id"))
        if isinstance(index, Failure):
            continue
        if isinstance(instance, Failure) or isinstance(compute, Failure):
            continue  # it would get another name for once
        total = smi_values.amount_bytes(
            _text(element, "fb_memory_usage/total", "shared_fb_memory_usage/total")
        )
        used = _text(element, "fb_memory_usage/used", "shared_fb_memory_usage/used")
        yield SmiSlice(
            index=index,
            identity=Identity(
                uuid=smi_values.NOT_SHOWN,
                name=smi_values.NOT_SHOWN,
                bus_id=smi_values.NOT_SHOWN,
                memory_total_bytes=total,
            ),
            memory_used_bytes=smi_values.used_bytes(used, total=total),
            nodes=Nodes(
                minor=smi_values.NOT_SHOWN,
                gpu_instance=instance,
                compute_instance=compute,
            ),
            users=smi_users.of_slice(table, gpu_instance=instance, compute_instance=compute),
        )


def _powers(gpu: Element) -> Iterator[Number]:
    # Memory and module have sections of their own.
    for section in ("gpu_power_readings", "power_readings"):
        for name in _POWERS:
            yield smi_values.milliwatts(_text(gpu, f"{section}/{name}"))


def _uncorrected_errors(gpu: Element) -> Number:
    """Return the count since the driver was loaded; before Turing it stands as a total."""
    older = smi_values.count(_text(gpu, "ecc_errors/volatile/double_bit/total"))
    if not isinstance(older, Failure):
        return older
    return smi_values.total(
        smi_values.count(_text(gpu, f"ecc_errors/volatile/{name}")) for name in _UNCORRECTED
    )


def _recovery_action(gpu: Element) -> Number:
    action = smi_values.recovery_action(_text(gpu, "gpu_recovery_action"))
    if not isinstance(action, Failure):
        return action
    # What drivers said before there was the action; a "No" there is not all that it says.
    for name, number in (("reset_required", 1), ("drain_and_reset_recommended", 4)):
        if smi_values.flag(_text(gpu, f"gpu_reset_status/{name}")) == 1:
            return number
    return action


def _text(element: Element, *paths: str) -> str | None:
    """Return the text at the first of these paths that is there."""
    for path in paths:
        found = element.find(path)
        if found is not None:
            return found.text or ""
    return None
