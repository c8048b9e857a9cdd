"""The same plugin on a real card, beside nvidia-smi; skipped where there is none.

    NVML_RECORD=FILE pytest -m gpu

also keeps what NVML answered, in FILE.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.gpu

MEBIBYTE = 2**20
COLUMNS = (
    "index",
    "uuid",
    "name",
    "pci.bus_id",
    "memory.total",
    "memory.used",
    "utilization.gpu",
    "temperature.gpu",
    "power.draw",
)


@pytest.fixture
def passes(run_plugin):
    """Return what the plugin gave: the list, two passes, and NVML's own answers."""
    probe, *answers = run_plugin("probe", "list", "read", "read", "answers")
    if "error" in probe:
        pytest.skip(f"no NVIDIA card: {probe['reason']}")
    results = [answer["result"] for answer in answers]
    if record := os.environ.get("NVML_RECORD"):
        names = ("list", "first", "second", "answers")
        kept = dict(zip(names, results, strict=True))
        Path(record).write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return results


@pytest.fixture
def nvidia_smi(require_program):
    """Return nvidia-smi's rows by UUID."""
    done = subprocess.run(
        [
            require_program("nvidia-smi"),
            f"--query-gpu={','.join(COLUMNS)}",
            "--format=csv,noheader,nounits",
        ],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    rows = csv.reader(done.stdout.splitlines(), skipinitialspace=True)
    return {row[1]: dict(zip(COLUMNS, row, strict=True)) for row in rows}


def figure(text):
    """Return a cell of nvidia-smi's as a number; None where it says that it has none."""
    try:
        return float(text)
    except ValueError:
        return None


def test_every_card_is_listed_and_read(passes):
    cards, first, second, _ = passes

    assert cards
    assert [card["uuid"] for card in cards] == [reading["uuid"] for reading in first]
    assert [reading["uuid"] for reading in first] == [reading["uuid"] for reading in second]
    assert {card["vendor"] for card in cards} == {"nvidia"}


def test_cards_are_those_of_nvidia_smi(passes, nvidia_smi):
    whole = [card for card in passes[0] if card["parent_uuid"] is None]

    for card in whole:
        row = nvidia_smi[card["uuid"]]
        assert card["index"] == int(row["index"])
        assert card["product_name"] == row["name"]
        assert card["pci_address"] in row["pci.bus_id"].lower()
        total = figure(row["memory.total"])
        if total is None:
            assert card["memory_total_bytes"] is None
        else:
            assert card["memory_total_bytes"] // MEBIBYTE == int(total)


@pytest.mark.parametrize(
    ("field", "column", "unit", "tolerance"),
    [
        ("memory_used_bytes", "memory.used", 1 / MEBIBYTE, 512),
        ("utilization_ratio", "utilization.gpu", 100, 100),
        ("temperature_celsius", "temperature.gpu", 1, 8),
        ("power_watts", "power.draw", 1, 80),
    ],
)
def test_values_agree_with_nvidia_smi(passes, nvidia_smi, field, column, unit, tolerance):
    """A value moves between two readings, so that this compares units and presence."""
    parents = {card["parent_uuid"] for card in passes[0]}

    for reading in passes[2]:
        row = nvidia_smi.get(reading["uuid"])
        if row is None or reading["uuid"] in parents:
            continue
        expected = figure(row[column])
        if expected is None:
            assert reading[field] is None
        else:
            assert reading[field] * unit == pytest.approx(expected, abs=tolerance)


def test_energy_never_goes_back(passes):
    _, first, second, _ = passes

    for before, after in zip(first, second, strict=True):
        if before["energy_joules"] is not None:
            assert after["energy_joules"] >= before["energy_joules"]
