"""The page of accelerators says what the tests expect."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = ROOT / "docs/generate_accelerators.py"


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("generate_accelerators", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_not_stale(generator):
    assert (ROOT / "docs/accelerators.md").read_text("utf-8") == generator.render(), "run make docs"


def test_every_recording_with_an_expected_result_has_a_row(generator):
    page = generator.render()
    for path in generator.EXPECTED.glob("*/*.json"):
        assert (f"`{path.stem}` |" in page) is (path.parent.name != "blueprint"), path


def test_a_row_counts_the_cards_that_a_field_is_known_of(generator, tmp_path):
    path = tmp_path / "acme-smi-A2-x2-1.4.0.rc1.json"
    path.write_text(
        '[{"product_name": "A2", "source": "acme-smi", "unknown": ["power_watts", "health"]},'
        ' {"product_name": "A2", "source": "acme-smi", "unknown": ["health", "processes"]}]'
    )
    assert generator._row("acme", path) == (
        "| acme | A2 | 1.4.0.rc1 | acme-smi | 2 | product_name, memory_total_bytes, "
        "memory_used_bytes, utilization_ratio, temperature_celsius, power_watts (1 of 2), "
        "energy_joules, processes (1 of 2) | power_watts (1 of 2), health, processes (1 of 2) | "
        "`acme-smi-A2-x2-1.4.0.rc1` |"
    )


def test_a_text_that_is_no_source_has_a_row_with_the_reason(generator):
    page = generator.render()
    paths = list(generator.EXPECTED.glob("*/no-source/*.json"))
    assert paths
    for path in paths:
        assert f"| {path.parts[-3]} | `{path.stem}` | " in page, path


def test_every_link_leads_somewhere(generator):
    for target in re.findall(r"\]\(([^)#]+)", generator.render()):
        assert (ROOT / "docs" / target).is_file(), target


def test_a_stale_page_fails_the_check(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / GENERATOR.name).write_text(GENERATOR.read_text("utf-8"), "utf-8")
    (tmp_path / "tests/collectors/accelerators/expected").mkdir(parents=True)
    command = [sys.executable, docs / GENERATOR.name]
    checked = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (
        1,
        "accelerators.md is stale: run `make docs`\n",
    )
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    (docs / "accelerators.md").write_text(made.stdout, "utf-8")
    assert subprocess.run([*command, "--check"], check=False).returncode == 0
