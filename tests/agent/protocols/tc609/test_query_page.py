"""The page of reporting tells how a centre is asked as the code does it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from agent.app import named_files
from agent.cli.main import COMMANDS
from agent.config.load import load
from agent.protocols.tc609.operational import DEFAULT_MEMBERS

PAGE = (Path(__file__).parents[4] / "docs" / "reporting.md").read_text("utf-8")
SECTION = PAGE.partition("## Being asked: annex B")[2]


def test_the_page_lists_every_operational_figure_with_its_place():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+\.\w+)` \|", SECTION, re.MULTILINE)
    assert rows == list(DEFAULT_MEMBERS.items())


@pytest.fixture
def example(tmp_path):
    """Return the first example of the section, with the files that it names."""
    (text,) = re.findall(r"```yaml\n(centre:.*?)```", SECTION, re.DOTALL)
    text = text.replace("/etc/computility-agent/", f"{tmp_path}/")
    for name in re.findall(rf"{tmp_path}/([\w.-]+)", text):
        (tmp_path / name).write_text("open sesame\n")
        (tmp_path / name).chmod(0o600)
    path = tmp_path / "config.yaml"
    path.write_text(
        f'node: {{code: "11010800005020000001", type: AI_BOX}}\n{text}', encoding="utf-8"
    )
    return path


def test_the_settings_of_the_page_are_good(example):
    loaded = load(example, environment={})
    assert loaded.warnings == ()
    assert loaded.settings.centre.sign.scheme == "hmac-sm3"
    # Its certificates are none, and nothing else is wrong with it.
    assert [each.key for each in named_files._problems_of_files(loaded)] == [
        "centre.tls.certificate"
    ]


def test_the_queries_of_the_page_are_settings(example):
    (text,) = re.findall(r"```yaml\n(    prometheus:.*?)```", SECTION, re.DOTALL)
    document = yaml.safe_load(example.read_text("utf-8"))
    document["centre"]["sources"] = {"nodes": "prometheus", **yaml.safe_load(text)}
    example.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    queries = load(example, environment={}).settings.centre.sources.prometheus.queries
    assert set(queries) < set(DEFAULT_MEMBERS)


def test_the_command_that_the_page_names_exists():
    assert re.findall(r"^computility-agent (\S+)", SECTION, re.MULTILINE) == ["hash-password"]
    assert "hash-password" in COMMANDS
