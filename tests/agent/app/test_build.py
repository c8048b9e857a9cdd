"""Which parts settings want, in which order, and which change concerns which part."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.app import build
from agent.app.wiring import Wiring
from agent.config.meter_settings import LedgerSettings
from agent.config.monitoring_settings import (
    MonitoringSettings,
    OutboxSettings,
    ReportedCentreSettings,
)
from agent.config.settings import (
    AcceleratorSettings,
    AcsmpSettings,
    CollectSettings,
    DeviceApiSettings,
    LogSettings,
    MetricsSettings,
    NodeSettings,
    RuntimeSettings,
    Settings,
    WorkloadSettings,
)
from agent.config.tls_settings import ServerTlsSettings
from agent.errors import PermanentError
from agent.model.clock import SystemClock
from agent.model.secret import Secret

BARE = Settings(
    node=NodeSettings(code="11010800005020000001", type="AI_BOX", state_dir="/s"),
    runtime=RuntimeSettings(kind="none"),
)
CITY = AcsmpSettings(name="city", url="http://127.0.0.1:1", sm2_public_key_file="/missing")
REGION = replace(CITY, name="region", url="http://127.0.0.1:2")
FULL = replace(
    BARE,
    device_api=DeviceApiSettings(listen="127.0.0.1:0", password=Secret("open sesame")),
    acsmp=(CITY, REGION),
    metrics=MetricsSettings(listen="127.0.0.1:0"),
    runtime=RuntimeSettings(),
)


def plans(settings):
    return {plan.name: plan for plan in build.plan(settings, wiring=Wiring(clock=SystemClock()))}


def changed(before, after):
    first, second = (
        {name: plan.key for name, plan in plans(each).items()} for each in (before, after)
    )
    return {name for name in first | second if first.get(name) != second.get(name)}


def test_what_is_off_has_no_part():
    assert list(plans(BARE)) == ["sampler", "local socket"]


def test_platforms_are_told_of_the_device_api_only_once_it_listens():
    assert list(plans(FULL)) == [
        "sampler",
        "local socket",
        "metrics",
        "workloads",
        "device API",
        "platform city",
        "platform region",
    ]


def test_a_device_api_can_be_served_without_platforms():
    assert list(plans(replace(FULL, acsmp=(), metrics=None, runtime=BARE.runtime))) == [
        "sampler",
        "local socket",
        "device API",
    ]


@pytest.mark.parametrize(
    ("change", "concerned"),
    [
        ({}, set()),
        ({"log": LogSettings(level="debug")}, set()),
        ({"collect": CollectSettings(disks=("/",))}, {"sampler"}),
        ({"collect": CollectSettings(interval_seconds=5)}, {"sampler", "workloads"}),
        (
            {"accelerators": {"nvidia": AcceleratorSettings(enabled=False)}},
            {"sampler", "workloads"},
        ),
        ({"metrics": None}, {"metrics"}),
        ({"acsmp": (replace(CITY, keepalive_seconds=5), REGION)}, {"platform city", "workloads"}),
        (
            {"node": replace(FULL.node, state_dir="/other")},
            {"local socket", "workloads", "device API"},
        ),
        ({"runtime": RuntimeSettings(socket="unix:///run/podman.sock")}, {"workloads"}),
        ({"workloads": WorkloadSettings(accelerators=2)}, {"workloads"}),
        ({"workloads": WorkloadSettings(package_maximum_gib=1)}, {"workloads", "device API"}),
        # Whether it runs services is told to the platforms.
        (
            {"runtime": RuntimeSettings(kind="none")},
            {"workloads", "device API", "platform city", "platform region"},
        ),
    ],
    ids=str,
)
def test_a_change_concerns_only_its_part(change, concerned):
    assert changed(FULL, replace(FULL, **change)) == concerned


def test_another_code_concerns_everybody_who_tells_it():
    other = replace(FULL.node, code="11010800005020000009")
    assert {"platform city", "platform region"} <= changed(FULL, replace(FULL, node=other))


def test_a_build_without_sound_cryptography_talks_to_no_platform(monkeypatch):
    def fail():
        raise PermanentError("the self-test of SM2 failed")

    monkeypatch.setattr("agent.security.self_test.run", fail)
    with pytest.raises(PermanentError, match="self-test"):
        plans(FULL)
    assert plans(replace(FULL, acsmp=()))


def test_a_part_can_be_asked_only_between_its_start_and_its_stop():
    wiring = Wiring(clock=SystemClock())
    (part,) = (each for each in build.plan(FULL, wiring=wiring) if each.name == "device API")
    service = part.build()
    assert wiring.device_server is None
    service.start()
    try:
        port = wiring.device_server.port
        assert wiring.status_document()["device_api"] == f"127.0.0.1:{port}"
    finally:
        service.stop(timeout_seconds=5)
    assert wiring.device_server is None


def test_a_platform_is_told_the_port_that_is_really_listened_on():
    wiring = Wiring(clock=SystemClock())
    parts = {each.name: each for each in build.plan(FULL, wiring=wiring)}
    service = parts["device API"].build()
    service.start()
    try:
        session = parts["platform city"].build()
        session.start()
        try:
            (running,) = wiring.sessions
            assert running.identity.port == wiring.device_server.port
        finally:
            session.stop(timeout_seconds=5)
        assert wiring.sessions == ()
    finally:
        service.stop(timeout_seconds=5)


def test_a_certificate_that_is_none_is_named():
    tls = ServerTlsSettings(certificate="/nowhere.pem", private_key="/nowhere.key")
    settings = replace(FULL, device_api=replace(FULL.device_api, tls=tls))
    with pytest.raises(PermanentError, match="/nowhere"):
        plans(settings)["device API"].build()


CENTRE = ReportedCentreSettings(
    name="c", province="440000", city="440200", longitude=1.0, latitude=2.0
)
TOLD = MonitoringSettings(
    name="told", url="http://127.0.0.1:3", username="u", password=Secret("p"), centre=CENTRE
)
REPORTING = replace(BARE, monitoring=(TOLD, replace(TOLD, name="other")))


def test_each_monitoring_platform_is_a_part_after_the_outbox():
    assert list(plans(REPORTING)) == [
        "sampler",
        "local socket",
        "outbox",
        "monitoring told",
        "monitoring other",
    ]


@pytest.mark.parametrize(
    ("change", "concerned"),
    [
        ({"monitoring": (replace(TOLD, username="v"), REPORTING.monitoring[1])}, {"told"}),
        ({"monitoring": (TOLD,)}, {"other"}),
        ({"outbox": OutboxSettings(keep_days=1)}, {"outbox", "told", "other"}),
        ({"ledger": LedgerSettings(time_zone="Asia/Urumqi")}, {"told", "other"}),
        ({"log": LogSettings(level="debug")}, set()),
    ],
)
def test_a_change_of_reporting_concerns_its_platform_alone(change, concerned):
    names = {
        each.removeprefix("monitoring ")
        for each in changed(REPORTING, replace(REPORTING, **change))
    }
    assert names == concerned


def test_what_waits_for_platforms_that_are_gone_keeps_the_outbox(tmp_path):
    node = replace(BARE.node, state_dir=str(tmp_path))
    settings = replace(BARE, node=node)
    assert "outbox" not in plans(settings)
    (tmp_path / "outbox.db").touch()
    assert "outbox" in plans(settings)
