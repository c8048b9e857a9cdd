"""The sections `meters` and `ledger`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.config.load import Loaded
from agent.errors import ConfigError

Load = Callable[..., Loaded]

NODE = 'node: {code: "01101080000502000000", type: AI_BOX}\n'


def problems(load_here: Load, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_here(NODE + text)
    return [f"{each.line}: {each.key}: {each.message}" for each in caught.value.problems]


def test_a_meter_keeps_the_settings_of_its_kind_apart(load_here: Load) -> None:
    settings = load_here(
        NODE + "meters:\n- {name: 总进线, kind: modbus, role: facility_total, host: 192.0.2.1}\n"
    ).settings
    (meter,) = settings.meters
    assert meter.roles == ("facility_total",)
    assert meter.options.values == {"host": "192.0.2.1"}
    assert meter.options.key == "meters[0]"


def test_a_meter_may_have_several_roles_and_be_taken_away(load_here: Load) -> None:
    settings = load_here(
        NODE
        + "meters:\n"
        + "- {name: incomer, kind: csv, role: [facility_total, it]}\n"
        + "- {name: cooling, kind: csv, role: -it}\n"
        + "- {name: spare, kind: csv}\n"
    ).settings
    assert [meter.roles for meter in settings.meters] == [("facility_total", "it"), ("-it",), ()]


@pytest.mark.parametrize(
    ("meters", "expected"),
    [
        ("- {name: a, kind: csv, role: facilty_total}", "did you mean facility_total?"),
        ("- {name: a, kind: csv, role: -it}", "taken away from it, which no meter adds to"),
        ("- {name: a, kind: csv, role: [it, -it]}", "it stands there twice"),
        (
            "- {name: a, kind: csv}\n- {name: a, kind: csv}",
            'expected a name of its own, "a" is taken on line 3',
        ),
        ("- {name: a, kind: csv, interval_seconds: 0.5}", "from 1 to 3600"),
        ("- {name: a}", "missing; expected the name of a kind of meter"),
    ],
)
def test_what_is_wrong_is_told(load_here: Load, meters: str, expected: str) -> None:
    (problem,) = problems(load_here, f"meters:\n{meters}\n")
    assert expected in problem


def test_a_wrong_role_hides_no_other_rule_and_raises_none(load_here: Load) -> None:
    (problem,) = problems(
        load_here,
        "meters:\n- {name: a, kind: csv, role: wrong}\n- {name: b, kind: csv, role: -it}\n",
    )
    assert "meters[0].role" in problem


def test_a_gauge_is_joined_over_five_intervals(load_here: Load) -> None:
    plain, given = load_here(
        NODE
        + "meters:\n- {name: a, kind: csv, interval_seconds: 30}\n"
        + "- {name: b, kind: csv, gauge_gap_seconds: 90}\n"
    ).settings.meters
    assert plain.longest_gap_seconds == 150
    assert given.longest_gap_seconds == 90
