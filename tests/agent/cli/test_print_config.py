"""The command `print-config`."""

from __future__ import annotations

import os

from agent.config.load import load

PASSWORD = "open-sesame-芝麻开门"


def test_what_is_printed_loads_to_the_same_settings(operator):
    path = operator.configure(
        {"keepalive_seconds": 7.5, "sm2": {"order": "c1c2c3", "encoding": "base64"}},
        {"name": "region", "code": "11010800005020000002", "url": "http://[::1]:8088/base"},
        accelerators={"nvidia": {"library": "other.so"}},
        metrics={},
        log={"format": "json"},
        collect={"disks": ["/", "/data $HOME"]},
    )
    asked = operator("print-config", "--config", path)
    assert (asked.status, asked.err) == (0, "")
    again = operator.folder / "again.yaml"
    again.write_text(asked.out, encoding="utf-8")
    first, second = (load(each, environment=os.environ).settings for each in (path, again))
    # A section that a plugin checks keeps its places, and those have moved.
    assert first.accelerators["nvidia"].options.values == {"library": "other.so"}
    assert second.accelerators["nvidia"].options.values == {"library": "other.so"}
    for name in ("node", "device_api", "acsmp", "collect", "metrics", "log"):
        assert getattr(first, name) == getattr(second, name), name
    assert operator("print-config", "--config", again).out == asked.out


def test_no_secret_is_printed_but_where_it_comes_from(operator, monkeypatch):
    monkeypatch.setenv("REGION_PASSWORD", "hunter-2")
    path = operator.configure({}, {"name": "region", "password": "${REGION_PASSWORD}"})
    asked = operator("print-config", "--config", path)
    assert asked.status == 2  # the same target twice
    path = operator.configure(
        {},
        {"name": "region", "url": "https://region.example", "password": "${REGION_PASSWORD}"},
    )
    asked = operator("print-config", "--config", path)
    assert asked.status == 0
    assert PASSWORD not in asked.out
    assert "hunter-2" not in asked.out + asked.err
    assert f"password_file: {operator.folder / 'password'}\n" in asked.out
    assert 'password: "${REGION_PASSWORD}"\n' in asked.out


def test_defaults_are_printed_too(operator):
    out = operator("print-config", "--config", operator.configure({})).out
    for line in ("keepalive_seconds: 30", "interval_seconds: 15", "metrics: null", "level: info"):
        assert f"{line}\n" in out
