"""What is sampled, and the device nodes of the cards, with a plugin in a process of its own."""

from __future__ import annotations

import pytest

from agent.app import once, plugin_choice
from agent.app.doctor import plugins, runner
from agent.app.doctor.accounts import Account, own_account
from agent.app.doctor.check import State

STRANGER = Account(name="stranger", user_id=54321, group_ids=frozenset())


@pytest.mark.parametrize(
    ("state", "expected", "says"),
    [
        ("active", State.OK, None),
        ("absent", State.SKIPPED, None),
        ("disabled", State.SKIPPED, None),
        ("failing", State.FAILED, "record --plugin acme"),
        ("stalled", State.FAILED, "record --plugin acme"),
        ("broken", State.FAILED, "mend the section of acme"),
    ],
)
def test_only_a_plugin_at_fault_is_a_failure(state, expected, says):
    found = plugins.judge({"name": "acme", "state": state, "detail": "why"})
    assert (found.state, found.found, found.subject) == (expected, f"{state}: why", "acme")
    assert (found.advice is None) if says is None else (says in found.advice)


def test_nodes_that_the_service_may_not_open_are_named():
    good = plugins.judge_nodes("acme", ["/dev/null"], account=own_account())
    assert (good.state, good.found.endswith("/dev/null")) == (State.OK, True)
    bad = plugins.judge_nodes("acme", ["/dev/null", "/dev/acme0"], account=own_account())
    assert (bad.state, bad.found) == (State.WARNING, "/dev/acme0: No such file or directory")
    assert "group of the nodes" in bad.advice
    assert plugins.judge_nodes("acme", [], account=STRANGER).state is State.SKIPPED


@pytest.fixture
def cards(acme, monkeypatch):
    """Let this be a machine with ACME's cards, whose every node is /dev/null."""
    source = (
        "from collectors.accelerators.blueprint import plugin\n"
        "from agent.model.accelerator import ContainerGrant\n"
        "class Plugin(plugin.AcmePlugin):\n"
        "    def grant(self, uuids):\n"
        "        assert len(uuids) == 2\n"
        "        return ContainerGrant(devices=('/dev/null',))\n"
    )
    (acme.folder / "all_null.py").write_text(source)
    (each,) = acme.found
    found = type(each)(
        group=each.group, name=each.name, target="all_null:Plugin", distribution="test"
    )
    monkeypatch.setenv("PATH", acme.path)
    monkeypatch.setattr(plugin_choice, "discover", lambda: (found,))
    options = type(acme.options)(import_paths=(str(acme.folder),))
    monkeypatch.setattr(plugins, "HostOptions", lambda: options)
    states = [
        {"group": "accelerators", "name": "acme", "state": "active", "detail": None},
        {"group": "collectors", "name": "cpu", "state": "active", "detail": None},
    ]
    monkeypatch.setattr(once, "plugins", lambda _: states)


def test_the_nodes_of_cards_are_those_that_their_plugin_names(clock, cards):
    chain = plugins.chain(
        once.DEFAULTS, account=own_account(), probed=plugins.Probed(once.DEFAULTS)
    )
    results = runner.run([chain], clock=clock)
    assert [(each.name, each.subject, each.state) for each in results] == [
        ("plugin", "acme", State.OK),
        ("plugin", "cpu", State.OK),
        ("device nodes", "acme", State.OK),
    ]
    assert results[-1].found.endswith("may open /dev/null")
