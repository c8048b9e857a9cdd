"""What the settings of a platform declare, and what the standard does not allow of them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from agent.app.monitoring import declared as monitoring_declared
from agent.app.named_files import load_checked
from agent.config.load import load_text
from agent.errors import ConfigError
from agent.protocols.tc609.declared import CentreType
from agent.protocols.tc609.figures_file import Figures
from agent.protocols.tc609.report_map import DEFAULT_MAP

CENTRE: dict[str, Any] = {
    "name": "示例算力中心",
    "province": "440000",
    "city": "440200",
    "longitude": 113.5,
    "latitude": 24.8,
}


def settings_of(**changed: Any) -> dict[str, Any]:
    platform = {
        "name": "region",
        "url": "https://monitoring.example",
        "username": "centre",
        "password": "${PASSWORD}",
        "centre": CENTRE,
        **changed,
    }
    return {"node": {"code": "1" * 20, "type": "AI_BOX"}, "monitoring": [platform]}


def loaded(**changed: Any):
    content = json.dumps(settings_of(**changed), ensure_ascii=False, indent=1).encode()
    return load_text(content, path=Path("c.yaml"), environment={"PASSWORD": "p"})


def test_what_is_declared_is_what_the_settings_say():
    one = loaded(
        projects=[{"name": "一期", "province": "440000", "cluster": "4", "hub": "13"}],
        centre={
            **CENTRE,
            "projects": ["一期"],
            "type": "general_ai",
            "production_date": "2024/01/09",
            "description": "1200 架",
        },
    ).settings.monitoring[0]
    figures = Figures(project={"project_status": "在建"}, projects={"一期": {"users": 1}})
    found = monitoring_declared.declaration(one, figures=figures, names=DEFAULT_MAP)
    (project,), (centre,) = found.projects, found.centres
    assert (project.cluster, project.hub, project.province) == ("4", "13", "440000")
    assert project.investment == {"projectStatus": "在建"}
    assert centre.type is CentreType.GENERAL_AI
    assert centre.production_date == date(2024, 1, 9)
    assert centre.projects == ("一期",)


@pytest.mark.parametrize(
    ("changed", "key", "said"),
    [
        (
            {"projects": [{"name": "一期", "province": "440000", "cluster": "11"}]},
            "monitoring[0].projects[0].cluster",
            "11 is not in annex D; expected one of 1 张家口集群",
        ),
        ({"centre": {**CENTRE, "hub": "4"}}, "monitoring[0].centre.hub", "4 is not in annex E"),
        (
            {
                "map": {
                    "supply": {
                        "name": "s",
                        "members": [{"name": "a", "figure": "x"}, {"name": "a", "figure": "y"}],
                    }
                }
            },
            "monitoring[0].map",
            "two fields have the name a",
        ),
        (
            {"map": {"supply": {"members": [{"name": "a", "figure": "pue", "kind": "text"}]}}},
            "monitoring[0].map",
            "the figure pue is number elsewhere",
        ),
        ({"centre": {**CENTRE, "name": "   "}}, "monitoring[0]", "name is empty"),
    ],
)
def test_what_the_standard_does_not_allow_is_told_with_its_place(changed, key, said):
    problems = list(monitoring_declared.problems(loaded(**changed)))
    assert [problem.key for problem in problems] == [key]
    assert said in problems[0].message
    assert problems[0].line is not None


def test_the_agent_does_not_load_a_code_that_no_annex_has(tmp_path, monkeypatch):
    monkeypatch.setenv("PASSWORD", "p")
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(settings_of(centre={**CENTRE, "cluster": "99"})))
    with pytest.raises(ConfigError, match="99 is not in annex D"):
        load_checked(path)


def test_a_figure_keeps_its_title_under_another_name():
    one = loaded(map={"supply": {"members": [{"name": "jjs", "figure": "racks", "kind": "count"}]}})
    names = monitoring_declared.report_map(one.settings.monitoring[0])
    (member,) = names.supply.members
    assert (member.wire_name, member.title) == ("jjs", "机架规模（架）")
    assert names.supply.wire_name is None
    assert names.electricity == DEFAULT_MAP.electricity
