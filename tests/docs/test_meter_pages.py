"""The pages of the meters tell what the kinds take."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from agent.app.centre import meter_kinds
from agent.config.load import load_text
from agent.sampling import entry_points

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {page.stem: page.read_text("utf-8") for page in sorted((DOCS / "meters").glob("*.md"))}
OVERVIEW = (DOCS / "metering.md").read_text("utf-8")
NODE = 'node: {code: "11010800005020000001", type: AI_BOX}\n'
EXAMPLE = re.compile(r"```yaml\n(meters:.*?)```", re.DOTALL)


def test_every_kind_has_a_page_and_every_page_a_kind():
    assert set(PAGES) == set(meter_kinds.installed())


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_lists_every_setting_of_its_kind_and_no_other(kind):
    table = PAGES[kind].partition("| Setting |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    told = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    config_type = entry_points.load(meter_kinds.installed()[kind]).config_type
    assert sorted(told) == sorted(field.name for field in dataclasses.fields(config_type))


@pytest.mark.parametrize("text", [*PAGES.values(), OVERVIEW], ids=[*PAGES, "metering"])
def test_the_examples_of_a_page_are_good(text, tmp_path):
    examples = EXAMPLE.findall(text)
    assert examples
    kinds = meter_kinds.MeterKinds(meter_kinds.installed())
    for example in examples:
        path = tmp_path / "config.yaml"
        loaded = load_text((NODE + example).encode(), path=path, environment={})
        assert kinds.problems(loaded.settings.meters) == ()
