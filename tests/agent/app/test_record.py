"""From one machine's tools to what is shown of them on another."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

import agent
from agent.app import record, recording_folder, replay
from agent.app.record import Identity, Recorded
from agent.app.recording_folder import RecordingFolder
from agent.config.settings import AcceleratorSettings
from agent.errors import BadInput
from agent.model.view import PluginState
from agent.sampling.hosts import HostOptions

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
NOBODY = Identity()


def recording_of(acme, **arguments):
    recorded = record.record({}, found=acme.found, options=acme.options)
    return record.redacted(recorded, identity=NOBODY, machine=record.machine(now=NOW), **arguments)


def test_another_machine_shows_the_cards_that_were_recorded(acme, tmp_path):
    archive = recording_folder.write(recording_of(acme), tmp_path / "recording")
    nowhere = HostOptions(environment={"PATH": "/nonexistent"})
    shown = replay.replay(archive, {}, found=acme.found, options=nowhere)
    assert shown["taken_at"] == "2026-01-02T03:04:05Z"
    assert [card["product_name"] for card in shown["accelerators"]] == ["A2 Pro", "A2 Pro"]
    assert shown["accelerators"][0]["power_watts"] == 61.5
    assert shown["plugins"] == [
        {"group": "accelerators", "name": "acme", "state": "active", "detail": None}
    ]
    assert shown["node"]["os"] == "Linux"
    assert shown["node"]["computility_code"] is None
    assert shown["cpu"] == {"logical_cores": None, "utilization_ratio": None}
    assert shown["memory"] == {"total_bytes": None, "used_bytes": None}
    assert shown["disks"] == []


def test_what_is_recorded_is_redacted_also_in_the_reasons(acme):
    acme.print("acme-smi: cannot reach 10.1.2.3, Serial Number : QX77123, on box-of-wang\n")
    recorded = [
        *record.record({}, found=acme.found, options=acme.options),
        Recorded(name="b", state=PluginState.FAILING, detail="box-of-wang: QX77123", files={}),
    ]
    identity = Identity(host_names=("box-of-wang",))
    found = record.redacted(recorded, identity=identity, machine={"kernel": "6.1"})
    everything = json.dumps([found.plugins, found.machine])
    for secret in ("10.1.2.3", "QX77123", "box-of-wang"):
        assert secret not in everything
    assert found.machine["redacted"] == {
        "IP addresses": 1,
        "host names": 1,
        "serial numbers": 1,
    }
    assert found.machine["kernel"] == "6.1"


def test_a_tool_that_fails_is_recorded_and_its_plugins_state_told(acme):
    acme.print("driver not loaded\n", exit_status=3)
    found = recording_of(acme)
    assert found.plugins["acme"]["acme-smi.txt"] == "driver not loaded\n"
    assert found.machine["plugins"]["acme"]["files"] == ["acme-smi.txt", "index.json"]


def test_a_plugin_that_finds_nothing_costs_nothing(acme):
    nowhere = HostOptions(environment={"PATH": "/nonexistent"})
    recorded = record.record({}, found=acme.found, options=nowhere)
    found = record.redacted(recorded, identity=NOBODY, machine={})
    assert found.plugins == {}
    told = found.machine["plugins"]["acme"]
    assert told["state"] == "absent"
    assert told["detail"].startswith("acme-smi is not on this machine; ")


def test_a_tool_that_hangs_ends_with_its_time(acme):
    acme.hang()
    (recorded,) = record.record({}, found=acme.found, options=acme.options, timeout_seconds=1.0)
    assert (recorded.state, recorded.detail, recorded.files) == (
        PluginState.STALLED,
        "no answer within 1 s",
        {},
    )


def test_one_that_is_switched_off_is_asked_only_by_name(acme):
    sections = {"acme": AcceleratorSettings(enabled=False)}
    (recorded,) = record.record(sections, found=acme.found, options=acme.options)
    assert (recorded.state, recorded.files) == (PluginState.DISABLED, {})
    asked = []
    (recorded,) = record.record(
        sections, names=["acme"], found=acme.found, options=acme.options, on_plugin=asked.append
    )
    assert (recorded.state, asked) == (PluginState.ACTIVE, ["acme"])
    assert recorded.files


def test_a_name_that_no_plugin_has_is_refused_with_the_nearest(acme):
    with pytest.raises(BadInput, match="no accelerator plugin is called acne; did you mean acme"):
        record.record({}, names=["acne"], found=acme.found, options=acme.options)


def test_the_machine_is_told_without_a_name(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('NAME="x"\nPRETTY_NAME="openEuler 22.03 LTS"\n')
    device = tmp_path / "sys/bus/pci/devices/0000:3b:00.0"
    device.mkdir(parents=True)
    for name, text in {
        "class": "0x120000",
        "vendor": "0x19e5",
        "device": "0xd500",
        "subsystem_vendor": "0x0200",
        "subsystem_device": "0x0100",
    }.items():
        (device / name).write_text(text + "\n")
    bridge = device.with_name("0000:00:00.0")
    bridge.mkdir()
    (bridge / "class").write_text("0x060000")
    found = record.machine(now=NOW, root=tmp_path)
    assert found["recorded_at"] == "2026-01-02T03:04:05Z"
    assert found["agent_version"] == agent.__version__
    assert found["distribution"] == "openEuler 22.03 LTS"
    assert found["pci_devices"] == [
        {
            "address": "0000:3b:00.0",
            "class": "0x120000",
            "vendor": "0x19e5",
            "device": "0xd500",
            "subsystem_vendor": "0x0200",
            "subsystem_device": "0x0100",
            "driver": "",
        }
    ]
    nothing = record.machine(now=NOW, root=Path("/nonexistent"))
    assert (nothing["distribution"], nothing["pci_devices"]) == (None, [])


def test_the_names_of_this_machine_are_known():
    found = record.identity()
    assert found.host_names
    assert "" not in found.user_names


def test_a_recording_of_a_plugin_that_is_not_here_is_told(acme, tmp_path):
    recording = RecordingFolder(plugins={"other": {"index.json": "{}"}}, machine={"os": 7})
    recording_folder.write(recording, tmp_path / "recording")
    shown = replay.replay(tmp_path / "recording", {}, found=acme.found, options=acme.options)
    (plugin,) = shown["plugins"]
    assert plugin["state"] == "broken"
    assert plugin["detail"] == "no plugin of this name is installed; installed are: acme"
    assert shown["node"]["os"] is None
