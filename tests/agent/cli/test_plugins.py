"""The command `plugins`."""

from __future__ import annotations

import pytest

from agent.sampling.hosts import HostOptions


def states(asked):
    return {plugin["name"]: plugin["state"] for plugin in asked.document}


def test_a_machine_without_cards_has_nothing_at_fault(operator, without_cards):
    path = operator.configure()
    asked = operator("plugins", "--json", "--config", path)
    assert (asked.status, asked.err) == (0, "")
    assert (
        states(asked).items()
        >= {
            "cpu": "active",
            "memory": "active",
            "disks": "active",
            "host": "active",
            "nvidia": "absent",
        }.items()
    )
    assert all(list(each) == ["group", "name", "state", "detail"] for each in asked.document)
    table = operator("plugins", "--config", path)
    assert table.status == 0
    assert "plugin       nvidia       absent  " in table.out


def test_one_that_is_switched_off_is_disabled(operator, without_cards):
    path = operator.configure(accelerators={"nvidia": {"enabled": False}})
    asked = operator("plugins", "--json", "--config", path)
    assert asked.status == 0
    assert states(asked)["nvidia"] == "disabled"


@pytest.mark.peer
def test_one_with_cards_is_active(operator, play_cards):
    play_cards("two-cards")
    asked = operator("plugins", "--json", "--config", operator.configure())
    assert asked.status == 0
    assert states(asked)["nvidia"] == "active"


@pytest.mark.peer
def test_one_that_hangs_is_stalled_and_ends_with_1(operator, play_cards, monkeypatch):
    monkeypatch.setattr(
        "agent.sampling.inspection.HostOptions",
        lambda: HostOptions(probe_seconds=1.0, read_seconds=0.5),
    )
    play_cards("hang-at-start")
    path = operator.configure()
    asked = operator("plugins", "--json", "--config", path)
    assert (asked.status, asked.err) == (1, "")
    assert states(asked)["nvidia"] == "stalled"
    assert states(asked)["cpu"] == "active"


def test_one_with_a_wrong_section_is_broken_and_says_where(operator, without_cards):
    path = operator.configure(accelerators={"nvidia": {"librari": "x"}})
    asked = operator("plugins", "--config", path)
    # Said once: its log would come between.
    assert (asked.status, asked.err) == (1, "")
    assert f"plugin       nvidia       broken  {path}:" in asked.out
