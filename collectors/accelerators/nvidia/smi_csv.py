"""Reads what nvidia-smi answers to `--query-gpu=… --format=csv`; pure.

Columns are found by the names in the header, whatever their order. Other lines among the rows,
such as that of a lost card, have another number of cells and are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from collectors.accelerators.nvidia import smi_values
from collectors.accelerators.nvidia.answers import Condition, Identity, Nodes, Occupancy, Sensors
from collectors.accelerators.nvidia.explain import Failure
from collectors.accelerators.nvidia.smi_facts import Shown, SmiGpu

_HEADING = re.compile(r"([a-zA-Z0-9_.]+)(?:\s*\[([^\]]*)\])?")
_BARE_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_WHO = frozenset({"index", "uuid", "gpu_uuid", "pci.bus_id", "gpu_bus_id"})
_WHAT = frozenset(
    {"name", "memory.total", "memory.used", "utilization.gpu", "temperature.gpu", "power.draw"}
)


def read_csv(text: str) -> Shown:
    """Return the cards in the rows below the header; a text without one is not known."""
    lines = text.split("\n")
    is_last_cut = bool(lines[-1].strip())
    number = next((n for n, line in enumerate(lines) if _headings(line) is not None), None)
    headings = None if number is None else _headings(lines[number])
    if number is None or headings is None:
        return Shown()
    gpus = []
    for position in range(number + 1, len(lines)):
        cells = [cell.strip() for cell in lines[position].split(",")]
        if len(cells) != len(headings):
            continue
        texts = dict(
            _with_unit(heading, cell) for heading, cell in zip(headings, cells, strict=True)
        )
        if is_last_cut and position == len(lines) - 1:
            texts.pop(headings[-1][0])
        gpu = _gpu(texts)
        if gpu is not None:
            gpus.append(gpu)
    return Shown(gpus=tuple(gpus), is_known=True)


def _headings(line: str) -> list[tuple[str, str]] | None:
    """Return names and units; None where the line is no header of cards."""
    shapes = [_HEADING.fullmatch(cell.strip()) for cell in line.split(",")]
    headings = [(shape[1].casefold(), shape[2] or "") for shape in shapes if shape is not None]
    names = {name for name, _ in headings}
    is_whole = len(headings) == len(shapes) and len(names) == len(headings)
    # With a process number it is a list of processes.
    if not is_whole or not names & _WHO or not names & _WHAT or "pid" in names:
        return None
    return headings


def _with_unit(heading: tuple[str, str], cell: str) -> tuple[str, str]:
    name, unit = heading
    if name == "temperature.gpu" and not unit:
        unit = "C"
    return name, f"{cell} {unit}" if unit and _BARE_NUMBER.fullmatch(cell) else cell


def _gpu(texts: Mapping[str, str]) -> SmiGpu | None:
    index = smi_values.count(texts.get("index"))
    uuid = smi_values.text(texts.get("uuid", texts.get("gpu_uuid")))
    bus_id = smi_values.text(texts.get("pci.bus_id", texts.get("gpu_bus_id")))
    if isinstance(index, Failure) and isinstance(uuid, Failure) and isinstance(bus_id, Failure):
        return None
    total = smi_values.amount_bytes(texts.get("memory.total"))
    return SmiGpu(
        index=None if isinstance(index, Failure) else index,
        identity=Identity(
            uuid=uuid,
            name=smi_values.name(texts.get("name", texts.get("gpu_name"))),
            bus_id=bus_id,
            memory_total_bytes=total,
        ),
        occupancy=Occupancy(
            memory_used_bytes=smi_values.used_bytes(texts.get("memory.used"), total=total),
            utilization_percent=smi_values.percent(texts.get("utilization.gpu")),
        ),
        sensors=Sensors(
            temperature_celsius=smi_values.celsius(texts.get("temperature.gpu")),
            power_milliwatts=smi_values.first_given(
                smi_values.milliwatts(texts.get(name))
                for name in ("power.draw", "power.draw.average", "power.draw.instant")
            ),
            energy_millijoules=smi_values.NOT_SHOWN,
        ),
        condition=Condition(
            uncorrected_errors=smi_values.count(texts.get("ecc.errors.uncorrected.volatile.total")),
            rows_pending=smi_values.flag(texts.get("remapped_rows.pending")),
            rows_failed=smi_values.flag(texts.get("remapped_rows.failure")),
            recovery_action=smi_values.recovery_action(texts.get("gpu_recovery_action")),
        ),
        nodes=Nodes(
            minor=smi_values.NOT_SHOWN,
            gpu_instance=smi_values.NOT_SHOWN,
            compute_instance=smi_values.NOT_SHOWN,
        ),
    )
