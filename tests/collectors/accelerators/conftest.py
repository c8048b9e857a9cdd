"""Fixtures for every vendor: recordings from the field, and what must be read from them.

The recordings are not ours to publish. They lie in a folder beside the checkout, or where
COMPUTILITY_RECORDINGS points; the project keeps only the values that must come of them.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from agent.model.accelerator import Accelerator, AcceleratorReading
from collectors.accelerators import vendor_tool

HERE = Path(__file__).resolve().parent
EXPECTED = HERE / "expected"
RECORDINGS = Path(
    os.environ.get("COMPUTILITY_RECORDINGS") or HERE.parents[3] / "shared" / "recordings"
)

# These name a single machine, or are compared otherwise.
_LEFT_OUT = frozenset({"uuid", "parent_uuid", "unknown"})
# A measurement is there, or there is a reason: for the others None may be all there is to say.
_MEASURED = (
    "memory_total_bytes",
    "memory_used_bytes",
    "utilization_ratio",
    "temperature_celsius",
    "power_watts",
    "energy_joules",
    "processes",
)

Cards = Iterable[tuple[Accelerator, AcceleratorReading]]


@pytest.fixture
def recording() -> Callable[[str], str]:
    """Return a function that reads one recording, decoded as a running tool's output is.

    `recording("ascend/info-910A-x8-22.0.3.1.txt")` skips the test where the folder is absent, and
    fails it in CI, which has the folder.
    """

    def read(path: str) -> str:
        return vendor_tool.decode((_recordings_folder() / path).read_bytes())

    return read


@pytest.fixture
def recordings_folder() -> Path:
    """Return the folder of recordings; skips or fails without it as `recording` does."""
    return _recordings_folder()


def _recordings_folder() -> Path:
    if not RECORDINGS.is_dir():
        reason = "the folder of recordings is not here; COMPUTILITY_RECORDINGS may name it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return RECORDINGS


@pytest.fixture
def assert_expected() -> Callable[[str, str, Cards], None]:
    """Return a function that compares cards with `expected/<vendor>/<stem>.json`.

    `assert_expected("ascend", "info-910A-x8-22.0.3.1", zip(cards, readings))`. The file is a list
    with one entry for each card, in the order of the tool: every field that is known, without the
    identity of the machine, and in "unknown" the sorted names of those with a reason. Where the
    file is missing and COMPUTILITY_WRITE_EXPECTED=1, it is written for somebody to check against
    the recording by eye, and the test fails all the same.
    """

    def compare(vendor: str, stem: str, cards: Cards) -> None:
        pairs = list(cards)
        uuids = [accelerator.uuid for accelerator, _ in pairs]
        assert len(set(uuids)) == len(uuids), f"not unique: {uuids}"
        found = [_entry(accelerator, reading) for accelerator, reading in pairs]
        path = EXPECTED / vendor / f"{stem}.json"
        if not path.is_file():
            if os.environ.get("COMPUTILITY_WRITE_EXPECTED") == "1":
                path.parent.mkdir(parents=True, exist_ok=True)
                text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
                path.write_text(text, encoding="utf-8")
            pytest.fail(f"{path.relative_to(HERE)} was missing: check what is in it now by eye")
        expected = json.loads(path.read_text(encoding="utf-8"))
        assert len(found) == len(expected), f"{len(found)} cards, not {len(expected)}"
        for number, (is_there, should_be) in enumerate(zip(found, expected, strict=True)):
            assert is_there == _approximately(should_be), f"card {number} of {vendor}/{stem}"

    return compare


def _entry(accelerator: Accelerator, reading: AcceleratorReading) -> dict[str, Any]:
    """Return the known fields of a card, as JSON has them, and the names of the unknown ones."""
    assert reading.uuid == accelerator.uuid
    unknown = {**accelerator.unknown, **reading.unknown}
    # The enums are texts, so JSON takes them as they are once they are values.
    fields = {**dataclasses.asdict(accelerator), **dataclasses.asdict(reading)}
    for name in _MEASURED:
        assert (fields[name] is None) == (name in unknown), f"{name}: {fields[name]}, {unknown}"
    for name, reason in unknown.items():
        assert reason.strip(), f"{name} is unknown without a reason"
    if reading.processes is not None:
        fields["processes"] = [
            [each.pid, each.memory_used_bytes, each.utilization_ratio] for each in reading.processes
        ]
    known = {
        name: getattr(value, "value", value)
        for name, value in fields.items()
        if name not in _LEFT_OUT and value is not None
    }
    return {**known, "unknown": sorted(unknown)}


def _approximately(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry whose fractions may differ by what binary arithmetic costs."""
    return {
        name: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
        for name, value in entry.items()
    }
