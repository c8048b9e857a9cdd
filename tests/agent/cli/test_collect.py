"""The command `collect` on this machine, with and without cards."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

CARD_FIELDS = [
    "vendor",
    "kind",
    "index",
    "uuid",
    "product_name",
    "standard_identifier",
    "memory_total_bytes",
    "memory_used_bytes",
    "utilization_ratio",
    "temperature_celsius",
    "power_watts",
    "energy_joules",
    "health",
    "source",
    "unknown",
]
SYSTEM_PLUGINS = {"cpu", "memory", "disks", "host"}


def memory_figures():
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}


def test_the_document_is_the_contract_and_the_machine(operator, without_cards):
    asked = operator("collect", "--json", "--config", operator.configure())
    found = asked.document
    assert (asked.status, asked.err) == (0, "")
    assert list(found) == ["taken_at", "node", "cpu", "memory", "disks", "accelerators", "plugins"]
    taken = datetime.strptime(found["taken_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    assert timedelta(0) <= datetime.now(timezone.utc) - taken < timedelta(seconds=30)
    assert found["node"] == {
        "computility_code": "11010800005020000001",
        "type": "AI_BOX",
        "host_name": platform.node(),
        "os": "Linux",
        "architecture": platform.machine(),
        "address": None,
    }
    assert list(found["cpu"]) == ["logical_cores", "utilization_ratio"]
    assert found["cpu"]["logical_cores"] == os.cpu_count()
    assert 0 <= found["cpu"]["utilization_ratio"] <= 1
    memory = memory_figures()
    used = memory["MemTotal"] - memory["MemAvailable"]
    assert list(found["memory"]) == ["total_bytes", "used_bytes"]
    assert found["memory"]["total_bytes"] == memory["MemTotal"]
    assert found["memory"]["used_bytes"] == pytest.approx(used, abs=memory["MemTotal"] // 10)
    assert "/" in [disk["mount_path"] for disk in found["disks"]]
    for disk in found["disks"]:
        assert list(disk) == ["mount_path", "total_bytes", "used_bytes"]
        system = os.statvfs(disk["mount_path"])
        total = system.f_blocks * system.f_frsize
        used = total - system.f_bfree * system.f_frsize
        assert disk["total_bytes"] == total
        assert disk["used_bytes"] == pytest.approx(used, abs=total // 50)
    assert found["accelerators"] == []
    states = {(plugin["group"], plugin["name"]): plugin["state"] for plugin in found["plugins"]}
    assert {name for (_, name), state in states.items() if state == "active"} == SYSTEM_PLUGINS
    assert states["accelerators", "nvidia"] == "absent"
    assert all(list(each) == ["group", "name", "state", "detail"] for each in found["plugins"])


@pytest.mark.peer
def test_every_card_comes_with_its_values(operator, play_cards):
    play_cards("two-cards")
    asked = operator("collect", "--json", "--config", operator.configure())
    assert (asked.status, asked.err) == (0, "")
    first, second = asked.document["accelerators"]
    assert list(first) == list(second) == CARD_FIELDS
    assert first == {
        "vendor": "nvidia",
        "kind": "GPU",
        "index": 0,
        "uuid": "GPU-11111111-1111-4111-8111-111111111111",
        "product_name": "Tesla T4",
        "standard_identifier": first["standard_identifier"],
        "memory_total_bytes": 16106127360,
        "memory_used_bytes": 5368709120,
        "utilization_ratio": 0.42,
        "temperature_celsius": 61.0,
        "power_watts": 53.25,
        "energy_joules": 987654,
        "health": "ok",
        "source": "nvml",
        "unknown": {},
    }
    assert "T4" in first["standard_identifier"]
    assert (second["index"], second["utilization_ratio"], second["memory_used_bytes"]) == (1, 0, 0)


@pytest.mark.peer
def test_what_a_card_does_not_tell_is_null_with_the_reason(operator, play_cards):
    play_cards("unsupported")
    cards = operator("collect", "--json", "--config", operator.configure()).document["accelerators"]
    missing = [name for name in CARD_FIELDS if cards[0][name] is None]
    assert missing
    assert set(missing) <= set(cards[0]["unknown"])
    assert all(cards[0]["unknown"].values())


@pytest.mark.peer
def test_a_person_reads_the_same_in_a_table(operator, play_cards):
    play_cards("two-cards")
    out = operator("collect", "--config", operator.configure()).out
    assert "11010800005020000001 AI_BOX" in out.splitlines()[0]
    assert f"{os.cpu_count()} cores, " in out
    assert f" of {memory_figures()['MemTotal'] / 2**30:.1f} GiB" in out
    assert "Tesla T4  42.0% busy, 5.0 GiB of 15.0 GiB, 61.0 °C, 53.2 W, health ok" in out
    assert "plugin       nvidia       active" in out


def test_a_plugin_at_fault_makes_the_status_1_and_costs_nobody_else(operator, without_cards):
    path = operator.configure(accelerators={"nvidia": {"librari": "x"}})
    asked = operator("collect", "--json", "--config", path)
    assert (asked.status, asked.err) == (1, "")
    assert asked.document["memory"]["total_bytes"] == memory_figures()["MemTotal"]
    (plugin,) = (each for each in asked.document["plugins"] if each["state"] == "broken")
    assert plugin["name"] == "nvidia"
    assert 'did you mean "library"' in plugin["detail"]


def test_the_address_is_the_one_that_a_platform_would_be_told(operator, without_cards):
    near = operator.configure({"url": "http://127.0.0.1:9"})
    assert operator("collect", "--json", "--config", near).document["node"]["address"] == (
        "127.0.0.1"
    )
    given = operator.configure(
        {"address": "192.0.2.7"},
        node={"code": "11010800005020000001", "type": "CAD", "address": "192.0.2.8"},
    )
    assert operator("collect", "--json", "--config", given).document["node"]["address"] == (
        "192.0.2.7"
    )


def test_a_machine_without_a_configuration_is_sampled_with_the_defaults(
    operator, monkeypatch, tmp_path
):
    monkeypatch.setattr("agent.cli.main.DEFAULT_CONFIG", tmp_path / "none.yaml")
    asked = operator("collect", "--json")
    assert asked.status == 0
    assert "defaults are used" in asked.err
    node = asked.document["node"]
    assert (node["computility_code"], node["type"], node["address"]) == (None, None, None)
    assert asked.document["memory"]["total_bytes"] > 0
    assert operator("plugins").status == 0
    assert "unknown unknown" in operator("collect").out


def test_a_file_that_was_named_has_to_be_there(operator, tmp_path):
    assert operator("collect", "--config", tmp_path / "none.yaml").status == 2
