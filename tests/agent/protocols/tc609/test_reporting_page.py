"""The page of reporting tells what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from agent.protocols.tc609.figures_file import parse_figures
from agent.protocols.tc609.report_map import DEFAULT_MAP, Group

HERE = Path(__file__).parent
PAGE = (HERE.parents[3] / "docs" / "reporting.md").read_text("utf-8")


def test_the_page_lists_every_default_member_and_no_other():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert rows == [
        (DEFAULT_MAP.group(group).wire_name, member.wire_name, member.figure)
        for group in Group
        for member in DEFAULT_MAP.group(group).members
    ]


def test_the_example_of_the_page_is_a_file_of_figures():
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    figures = parse_figures(example.encode(), file="figures.yaml", report_map=DEFAULT_MAP)
    assert figures.of_month("2026-01")["rack_ratio"] == 0.62


def test_every_test_that_the_page_names_exists():
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    written = {
        name
        for file in HERE.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
    }
    assert len(named) > 15
    assert named - written == set()
