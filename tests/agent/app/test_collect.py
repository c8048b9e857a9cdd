"""The document of `collect --json` is a contract."""

from __future__ import annotations

import pytest

from agent.app import collect
from agent.config.settings import NodeSettings
from agent.protocols.acsmp.identifiers import Identification

NODE = NodeSettings(code="11010800005020000001", type="AI_BOX")


def identify(card):
    return Identification(identifier=f"{card.vendor.upper()}-{card.product_name.split()[-1]}")


def make(view, *, identify=identify):
    return collect.document(view, node=NODE, address="192.0.2.7", identify=identify)


def test_every_field_of_the_contract_is_there(full_view):
    assert make(full_view) == {
        "taken_at": "2026-01-01T12:00:00Z",
        "node": {
            "computility_code": "11010800005020000001",
            "type": "AI_BOX",
            "host_name": "box",
            "os": "Linux",
            "architecture": "aarch64",
            "address": "192.0.2.7",
        },
        "cpu": {"logical_cores": 4, "utilization_ratio": 0.25},
        "memory": {"total_bytes": 8589934592, "used_bytes": 2147483648},
        "disks": [
            {"mount_path": "/", "total_bytes": 107374182400, "used_bytes": 10737418240},
            {"mount_path": "/data", "total_bytes": None, "used_bytes": None},
        ],
        "accelerators": [
            {
                "vendor": "nvidia",
                "kind": "GPU",
                "index": 0,
                "uuid": "GPU-1",
                "product_name": "Tesla T4",
                "standard_identifier": "NVIDIA-T4",
                "memory_total_bytes": 17179869184,
                "memory_used_bytes": 1073741824,
                "utilization_ratio": 0.5,
                "temperature_celsius": 40.0,
                "power_watts": 30.5,
                "energy_joules": None,
                "health": "ok",
                "source": "nvml",
                "unknown": {"energy_joules": "not offered by this card (NVML)"},
            }
        ],
        "plugins": [
            {"group": "accelerators", "name": "nvidia", "state": "active", "detail": None},
            {
                "group": "accelerators",
                "name": "ascend",
                "state": "stalled",
                "detail": "no answer for 7 s",
            },
        ],
    }


def same_keys(one, other):
    """Tell whether two documents have the same keys, values apart."""
    if isinstance(one, dict) and isinstance(other, dict):
        return set(one) == set(other) and all(
            same_keys(one[key], other[key]) for key in one if key != "unknown"
        )
    return True


def test_nothing_is_left_out_where_nothing_is_known(full_view, unknown_view):
    full, unknown = make(full_view), make(unknown_view)
    assert same_keys(full, {**unknown, "disks": full["disks"], "plugins": full["plugins"]})
    card = unknown["accelerators"][0]
    assert card["memory_used_bytes"] is None
    assert card["unknown"]["memory_used_bytes"] == "last sampled 60 s ago"
    assert card["health"] == "unknown"
    assert unknown["cpu"] == {"logical_cores": None, "utilization_ratio": None}


def test_a_card_without_an_identifier_says_why(full_view):
    open_card = Identification(identifier=None, unknown_because="one of two cards")
    card = make(full_view, identify=lambda _: open_card)["accelerators"][0]
    assert card["standard_identifier"] is None
    assert card["unknown"]["standard_identifier"] == "one of two cards"


def test_the_table_says_unknown_and_never_zero(unknown_view):
    text = collect.text(make(unknown_view))
    assert "unknown cores, unknown busy" in text
    assert "memory       unknown of unknown" in text
    assert " 0.0" not in text


def test_the_table_shows_figures_in_units_for_people(full_view):
    text = collect.text(make(full_view))
    assert "4 cores, 25.0% busy" in text
    assert "10.0 GiB of 100.0 GiB  /" in text
    assert "30.5 W" in text
    assert "stalled  no answer for 7 s" in text


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("active", False),
        ("absent", False),
        ("disabled", False),
        ("starting", False),
        ("broken", True),
        ("failing", True),
        ("stalled", True),
    ],
)
def test_absence_is_no_fault(state, expected):
    assert collect.broken([{"state": state}]) is expected
