"""The file of figures that a person fills in."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.protocols.tc609.figures_file import Figures, parse_figures
from agent.protocols.tc609.report_map import DEFAULT_MAP, METERED_FIGURES, Group

GOOD = """
project:
  project_status: 已投产
  total_investment_10k_cny: 12000.5
  completed_investment_10k_cny:
always:
  racks: 1200
  rack_ratio: 0.5
months:
  2026-01:
    rack_ratio: 0.62
    electricity_kwh: 1250000
"""


def parse(text: str) -> Figures:
    return parse_figures(text.encode(), file="figures.yaml", report_map=DEFAULT_MAP)


def problems(text: str) -> list[tuple[str, int | None]]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return [(problem.key, problem.line) for problem in caught.value.problems]


def test_a_month_goes_before_what_is_always_true():
    figures = parse(GOOD)
    assert figures.project == {
        "project_status": "已投产", "total_investment_10k_cny": 12000.5,
    }  # fmt: skip
    assert figures.of_month("2026-01") == {
        "racks": 1200, "rack_ratio": 0.62, "electricity_kwh": 1250000,
    }  # fmt: skip
    assert figures.of_month("2026-02") == {"racks": 1200, "rack_ratio": 0.5}


def test_all_problems_are_told_at_once_with_their_places():
    text = """
project: {project_status: "", racks: 1}
always:
  rack_ratio: 62
  racks: 1.5
  rack_rate: 0.5
  electricity_kwh: 5
  users: [1]
months:
  2026-13: {racks: 1}
  2026-1: {racks: 1}
  2026-02: {pue: -1, users: many, compute_pflops: nan}
month: {}
"""
    assert problems(text) == [
        ("project.project_status", 2),
        ("project.racks", 2),
        ("always.rack_ratio", 4),
        ("always.racks", 5),
        ("always.rack_rate", 6),
        ("always.electricity_kwh", 7),
        ("always.users", 8),
        ("months.2026-13", 10),
        ("months.2026-1", 11),
        ("months.2026-02.pue", 12),
        ("months.2026-02.users", 12),
        ("months.2026-02.compute_pflops", 12),
        ("month", 13),
    ]


def test_a_key_that_is_nearly_right_gets_a_suggestion():
    with pytest.raises(ConfigError, match="did you mean rack_ratio"):
        parse("always: {rack_rato: 0.5}")


@pytest.mark.parametrize("text", ["", "- 1", "always: 5", "always: [", "racks"])
def test_what_is_no_file_of_figures_is_refused(text):
    assert problems(text)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(content):
    with contextlib.suppress(ConfigError):
        parse_figures(content, file="figures.yaml", report_map=DEFAULT_MAP)


def test_every_member_of_the_default_map_can_be_filled_in():
    kinds = {"number": "1.5", "count": "2", "ratio": "0.5", "text": "词"}
    lines = ["project:"]
    lines += [f"  {one.figure}: {kinds[one.kind.value]}" for one in DEFAULT_MAP.investment.members]
    lines += ["months:", "  2026-01:"]
    lines += [
        f"    {one.figure}: {kinds[one.kind.value]}"
        for one in DEFAULT_MAP.figures(*(group for group in Group if group != "investment"))
    ]
    figures = parse("\n".join(lines))
    assert set(METERED_FIGURES) <= set(figures.of_month("2026-01"))
