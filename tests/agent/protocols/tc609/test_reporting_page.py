"""The page of reporting tells what the code does."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from agent.app.monitoring import declared as monitoring_declared
from agent.cli import monitoring
from agent.config.load import load
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
    (example,) = re.findall(r"```yaml\n(project:.*?)```", PAGE, re.DOTALL)
    figures = parse_figures(example.encode(), file="figures.yaml", report_map=DEFAULT_MAP)
    assert figures.of_month("2026-01")["rack_ratio"] == 0.62
    assert figures.of_project("示例项目二期")["project_status"] == "在建"
    assert figures.of_project("示例项目")["project_status"] == "已投产"


def test_the_settings_of_the_page_are_good(tmp_path):
    (example,) = re.findall(r"```yaml\n(monitoring:.*?)```", PAGE, re.DOTALL)
    (names,) = re.findall(r"```yaml\n(    map:.*?)```", PAGE, re.DOTALL)
    example = example.replace("/etc/computility-agent/", f"{tmp_path}/")
    example = example.replace("outbox:", names + "outbox:")
    for name in re.findall(rf"{tmp_path}/([\w.-]+)", example):
        (tmp_path / name).write_text("open sesame\n")
        (tmp_path / name).chmod(0o600)
    node = 'node: {code: "11010800005020000001", type: AI_BOX}\n'
    path = tmp_path / "config.yaml"
    path.write_text(node + example, encoding="utf-8")
    loaded = load(path, environment={})
    assert loaded.warnings == ()
    assert list(monitoring_declared.problems(loaded)) == []
    (platform,) = loaded.settings.monitoring
    assert platform.sign.scheme == "hmac-sm3"
    assert monitoring_declared.report_map(platform).supply.wire_name == "supply"


def test_every_command_that_the_page_names_exists():
    parser = argparse.ArgumentParser()
    monitoring.add_arguments(parser)
    for words in re.findall(r"^computility-agent monitoring (.*?)(?: *#.*)?$", PAGE, re.MULTILINE):
        assert parser.parse_args(words.split()).act
    actions = set(re.findall(r"^\| `monitoring (\w+)", PAGE, re.MULTILINE))
    assert actions == {"list", "sync", "report", "release", "verify"}
