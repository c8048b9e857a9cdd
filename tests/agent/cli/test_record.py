"""The commands `record`, `collect --replay` and `plugins --grant`."""

from __future__ import annotations

import json

import pytest

from agent.app import loading, plugin_choice


@pytest.fixture
def machine(acme, monkeypatch):
    """Let this be a machine with ACME's cards and no other vendor's plugin."""
    monkeypatch.setattr(plugin_choice, "discover", lambda: acme.found)
    monkeypatch.setattr(loading, "discover", lambda: acme.found)
    monkeypatch.setenv("PATH", acme.path)
    return acme


def test_a_bug_report_is_made_looked_at_and_read_back(operator, machine, monkeypatch):
    folder = operator.folder / "report"
    asked = operator("record", "--output", folder)
    assert (asked.status, asked.complaints) == (0, [])
    assert "plugin       acme         active, 2 files" in asked.out
    assert "redacted     " in asked.out
    assert str(folder) in asked.out
    told = json.loads((folder / "machine.json").read_text())
    assert told["plugins"]["acme"]["state"] == "active"

    monkeypatch.setenv("PATH", "/nonexistent")
    for path in (folder, folder.with_name("report.tar.gz")):
        shown = operator("collect", "--replay", path, "--json")
        assert (shown.status, shown.complaints) == (0, [])
        assert [card["index"] for card in shown.document["accelerators"]] == [0, 1]
        assert list(shown.document) == [
            *("taken_at", "node", "cpu", "memory", "disks", "accelerators", "plugins")
        ]
    table = operator("collect", "--replay", folder).out
    assert "accelerator  acme 0  A2 Pro  12.0% busy, 1.0 GiB of 16.0 GiB" in table
    assert "cpu          unknown cores, unknown busy" in table


def test_nothing_is_overwritten_and_no_tool_is_run_for_it(operator, machine):
    folder = operator.folder / "report"
    folder.mkdir()
    (machine.folder / "acme-smi").unlink()
    asked = operator("record", "--output", folder)
    assert (asked.status, asked.out) == (2, "")
    assert asked.complaints == [
        f"computility-agent: {folder} exists already, and a recording overwrites nothing"
    ]


def test_a_machine_without_a_vendor_still_makes_a_report(operator, machine):
    (machine.folder / "acme-smi").unlink()
    folder = operator.folder / "report"
    asked = operator("record", "--output", folder)
    assert asked.status == 1
    assert "acme         absent, 0 files  acme-smi is not on this machine" in asked.out
    assert (folder / "machine.json").is_file()


def test_the_plugins_own_settings_are_used(operator, machine):
    (machine.folder / "acme-smi").rename(machine.folder / "acme-smi-2")
    config = operator.configure(accelerators={"acme": {"tool": str(machine.folder / "acme-smi-2")}})
    asked = operator("record", "--config", config, "--output", operator.folder / "report")
    assert asked.status == 0
    assert (operator.folder / "report/acme/acme-smi-2.txt").is_file()


def test_a_plugin_that_is_not_installed_is_a_bad_word(operator, machine):
    asked = operator("record", "--plugin", "acne", "--output", operator.folder / "report")
    assert asked.status == 2
    assert "did you mean acme?" in asked.err


@pytest.mark.parametrize("name", ["nothing-here", "config.yaml", "empty"])
def test_what_is_no_recording_is_a_bad_word(operator, machine, name):
    operator.configure()
    (operator.folder / "empty").mkdir()
    asked = operator("collect", "--replay", operator.folder / name)
    assert (asked.status, asked.out) == (2, "")
    assert len(asked.complaints) == 1


def test_a_plugin_that_cannot_read_the_recording_is_at_fault(operator, machine):
    folder = operator.folder / "report/acme"
    folder.mkdir(parents=True)
    (folder / "index.json").write_text('{"version": 9, "tools": []}')
    asked = operator("collect", "--replay", operator.folder / "report", "--json")
    assert asked.status == 1
    (plugin,) = asked.document["plugins"]
    assert plugin["state"] == "failing"
    assert "version 9" in plugin["detail"]


@pytest.fixture
def nodes(machine, monkeypatch):
    """Let /dev/null stand for the nodes of a card, in a plugin that asks for them."""
    source = (
        "from collectors.accelerators.blueprint import plugin\n"
        "plugin._CONTROL_NODE = '/dev/null'\n"
        "class Nodes:\n"
        "    def exists(self, path): return True\n"
        "class Plugin(plugin.AcmePlugin):\n"
        "    def __init__(self, config): super().__init__(config, files=Nodes())\n"
    )
    (machine.folder / "with_nodes.py").write_text(source)
    (each,) = machine.found
    found = type(each)(
        group=each.group, name=each.name, target="with_nodes:Plugin", distribution="test"
    )
    monkeypatch.setattr(plugin_choice, "discover", lambda: (found,))
    options = type(machine.options)(import_paths=(str(machine.folder),))
    monkeypatch.setattr("agent.app.grant.HostOptions", lambda: options)


def test_what_a_container_needs_is_told_by_index_or_uuid(operator, nodes):
    asked = operator("plugins", "--grant", "acme", "1, 0,acme-0000:af:00.0", "--json")
    assert (asked.status, asked.complaints) == (0, [])
    assert asked.document == {
        "devices": ["/dev/null", "/dev/acme1", "/dev/acme0"],
        "mounts": [],
        "environment": {},
        "runtime": None,
    }
    table = operator("plugins", "--grant", "acme", "0").out.splitlines()
    assert table == [
        "device       /dev/null",
        "device       /dev/acme0",
        "docker run   --device /dev/null --device /dev/acme0",
    ]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("acme", "7"), "acme has no chip 7; it has: 0 (acme-0000:3b:00.0), 1 (acme-"),
        (("acme", "0,,1"), "write the chips as 0,1"),
        (("acme", ""), "write the chips as 0,1"),
        (("acne", "0"), "did you mean acme?"),
    ],
)
def test_a_chip_or_plugin_that_is_not_there_is_a_bad_word(operator, machine, words, reason):
    asked = operator("plugins", "--grant", *words)
    assert (asked.status, asked.out) == (2, "")
    assert reason in asked.err


def test_a_plugin_that_cannot_tell_says_why(operator, machine):
    asked = operator("plugins", "--grant", "acme", "0")
    assert (asked.status, asked.out) == (1, "")
    assert "acme: /dev/acme_ctl, /dev/acme0 is not on this machine; load the driver" in asked.err


@pytest.mark.peer
def test_cards_of_a_real_vendor_come_back_without_their_identity(operator, play_cards):
    play_cards("two-cards")
    live = operator("collect", "--json", "--config", operator.configure()).document
    folder = operator.folder / "report"
    assert operator("record", "--plugin", "nvidia", "--output", folder).status == 0
    shown = operator("collect", "--replay", folder, "--json")
    assert shown.status == 0
    before, after = live["accelerators"], shown.document["accelerators"]
    assert len(after) == 2
    written = (folder / "nvidia/library.json").read_text()
    for card, again in zip(before, after, strict=True):
        assert card["uuid"] not in written
        assert {**again, "uuid": ""} == {**card, "uuid": ""}
