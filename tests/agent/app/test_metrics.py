"""What Prometheus reads."""

from __future__ import annotations

import io
import re
import subprocess
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.app import metrics
from agent.app.centre import query_metrics
from agent.app.centre.operational_sources import SourceStatus
from agent.app.monitoring.platform import PlatformState
from agent.centre.status import MeterStatus
from agent.errors import TransientError
from agent.model.metering import CentreHour, Figure, MeterReading, Quality
from agent.model.view import PluginState
from agent.model.workloads import (
    ContainerState,
    DesiredService,
    Package,
    PackageState,
    Replica,
    Service,
    ServiceState,
    ServiceUsage,
)
from agent.protocols.acsmp.status import SessionState, SessionStatus
from agent.store.outbox import StreamState
from agent.store.outbox_view import LastDelivery

DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"

NOON = datetime(2026, 1, 1, tzinfo=timezone.utc)
PACKAGE = Package(
    package_id="p",
    state=PackageState.DOWNLOADING,
    created_at=NOON,
    progress_at=NOON,
    progress_ratio=0.25,
)
SERVICE = Service(
    desired=DesiredService(
        service_id="s", package_id="p", generation="g", env=(), replicas=3, created_at=NOON
    ),
    state=ServiceState.OVERLOAD,
    replicas=(
        Replica(index=0, container_id="c0", state=ContainerState.RUNNING, restarts=1),
        Replica(index=1, container_id="c1", state=ContainerState.RESTARTING, restarts=3),
        Replica(index=2),
    ),
    usage=ServiceUsage(cpu_ratio=1.5),
)


@pytest.fixture
def sessions():
    return (
        SessionStatus(
            name="city",
            url="https://acsmp.example",
            computility_code="11010800005020000001",
            state=SessionState.REGISTERED,
            last_contact_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
            worst_gap_seconds=31.5,
            registrations_accepted=1,
            keepalives_accepted=7,
            keepalives_failed=2,
        ),
        SessionStatus(name="region", url="https://r.example", computility_code="1" * 20),
    )


class FakeWorkloads:
    """Is the agent's packages and services, as they stand."""

    def __init__(self, *, packages=(), services=(), orphans=()):
        self.packages = self
        self.list = lambda: packages
        self.seen = lambda: services
        self.orphans = lambda: orphans


class FakeCentre:
    """Is the service of a centre, and the centre: a meter that was read, and an hour."""

    waiting = 0

    def __init__(self):
        self.centre = self

    def now(self):
        return NOON

    def meters(self):
        return (
            MeterStatus(
                name="incomer",
                kind="modbus",
                roles=("facility_total",),
                site="hall",
                state=PluginState.ACTIVE,
                reading=MeterReading(
                    taken_at=NOON - timedelta(seconds=5),
                    energy_joules=7,
                    water_millilitres=2500,
                    power_watts=1.5,
                ),
            ),
        )

    def hours(self, *, count):
        known = Figure(value=3_600_000, coverage_ratio=1.0, quality=Quality.MEASURED)
        unknown = Figure(value=None, coverage_ratio=0.5, quality=Quality.PARTIAL, reason="gap")
        return (
            CentreHour(
                start_at=NOON - timedelta(hours=1),
                version=2,
                closed_at=NOON,
                facility=known,
                it=known,
                green=unknown,
                water=known,
                pue=1.0,
                wue_litres_per_kwh=3600.0,
            ),
        )[:count]


class FakeReporting:
    """Is the reporting to a platform, which took a month an hour ago and lets another wait."""

    name = "region"
    settings = SimpleNamespace(figures_file="/figures.yaml")
    figures_trouble = "line 2: no number"

    def __init__(self):
        self.platform = self

    def now(self):
        return NOON

    def state(self):
        return PlatformState(
            stream=StreamState(
                stream="region",
                waiting=1,
                waiting_bytes=512,
                refused=2,
                oldest_at=NOON - timedelta(seconds=90),
                last_error=None,
                delivered_total=7,
                refused_total=3,
                expired_total=0,
            ),
            refused=(),
            last_delivery=LastDelivery(key="2025-11", at=NOON - timedelta(hours=1)),
            centre_id=None,
            next_attempt_seconds=0.0,
            next_due_at=None,
            figures_trouble=None,
        )


class BrokenReporting(FakeReporting):
    """Is one whose outbox cannot be used."""

    def state(self):
        raise TransientError("the outbox cannot be used")


QUERIES = SimpleNamespace(
    query_answers=SimpleNamespace(counts=lambda: {("operational", 200): 5}),
    operational_sources=SimpleNamespace(
        statuses=lambda: (
            SourceStatus(name="192.0.2.21:8123", reason=None, age_seconds=3.5),
            SourceStatus(name="192.0.2.22:8123", reason="no route", age_seconds=None),
        )
    ),
)


def test_questions_and_where_their_figures_come_from_are_told(full_view):
    found = samples(ask(full_view)[2])
    answered = (("code", "200"), ("question", "operational"))
    assert found["computility_query_answers_total", answered] == 5
    one, other = ((("source", f"192.0.2.{host}:8123"),) for host in (21, 22))
    assert found["computility_operational_source_known", one] == 1
    assert found["computility_operational_source_known", other] == 0
    assert found["computility_operational_source_age_seconds", one] == 3.5
    assert ("computility_operational_source_age_seconds", other) not in found


def test_what_waits_for_a_platform_is_told(full_view):
    found = samples(ask(full_view)[2])
    region = (("platform", "region"),)
    assert found["computility_outbox_messages", region] == 1
    assert found["computility_outbox_bytes", region] == 512
    assert found["computility_outbox_oldest_age_seconds", region] == 90
    assert found["computility_outbox_refused_messages", region] == 2
    assert found["computility_monitoring_figures_usable", region] == 0
    outcome = (("outcome", "delivered"), *region)
    assert found["computility_monitoring_reports_total", outcome] == 7


def test_an_outbox_that_cannot_be_used_has_no_series(full_view):
    status, _, text = ask(full_view, reporting=BrokenReporting())
    assert status == "200 OK"
    assert {name for name, _ in samples(text) if "outbox" in name} == set()


def test_meters_and_hours_are_told(full_view):
    found = samples(ask(full_view)[2])
    labels = (("kind", "modbus"), ("meter", "incomer"), ("site", "hall"))
    assert found["computility_meter_reading_age_seconds", labels] == 5
    assert found["computility_meter_water_litres_total", labels] == 2.5
    assert found["computility_centre_hour_version", ()] == 2
    assert found["computility_centre_hour_water_litres", ()] == 3600
    assert found["computility_centre_hour_coverage_ratio", (("figure", "green"),)] == 0.5
    assert ("computility_centre_hour_energy_joules", (("figure", "green"),)) not in found


def test_a_centre_whose_ledger_cannot_be_used_has_no_series(full_view):
    class Unusable:
        @property
        def centre(self):
            raise TransientError("its disk is full")

    status, _, text = ask(full_view, centre=Unusable())
    assert status == "200 OK"
    assert "computility_cpu_logical_cores" in text
    assert "computility_meter" not in text


def ask(
    view,
    sessions=(),
    *,
    method="GET",
    path="/metrics",
    workloads=None,
    centre=None,
    reporting=None,
):
    collector = metrics.AgentCollector(
        view=lambda: view,
        sessions=lambda: sessions,
        identify=lambda *_: "NVIDIA-T4",
        workloads=lambda: workloads or FakeWorkloads(),
        centre=lambda: centre or FakeCentre(),
        reporting=lambda: (reporting or FakeReporting(),),
        queries=lambda: query_metrics.families(QUERIES),
    )
    answer = {}

    def start_response(status, headers):
        answer.update(status=status, headers=dict(headers))

    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": io.BytesIO()}
    body = b"".join(metrics.application(collector)(environ, start_response))
    return answer["status"], answer["headers"], body.decode()


def samples(text):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("computility_")
    }


def test_figures_are_in_base_units(full_view, sessions):
    found = samples(ask(full_view, sessions)[2])
    card = (("index", "0"), ("uuid", "GPU-1"), ("vendor", "nvidia"))
    assert found["computility_cpu_utilization_ratio", ()] == 0.25
    assert found["computility_memory_used_bytes", ()] == 2 * 2**30
    assert found["computility_disk_total_bytes", (("mount_path", "/"),)] == 100 * 2**30
    assert found["computility_accelerator_power_watts", card] == 30.5
    city = (("platform", "city"),)
    assert found["computility_platform_worst_gap_seconds", city] == 31.5
    assert found["computility_platform_keepalives_accepted_total", city] == 7
    assert found["computility_platform_failures_total", city] == 2
    assert found["computility_platform_registered", city] == 1
    assert found["computility_platform_registered", (("platform", "region"),)] == 0


def test_what_is_unknown_has_no_series(full_view, unknown_view, sessions):
    names = {name for name, _ in samples(ask(unknown_view, sessions)[2])}
    assert "computility_cpu_utilization_ratio" not in names
    assert "computility_memory_used_bytes" not in names
    assert "computility_accelerator_memory_used_bytes" not in names
    assert "computility_accelerator_info" in names
    known = samples(ask(full_view, sessions)[2])
    assert ("computility_disk_total_bytes", (("mount_path", "/data"),)) not in known
    assert not any(name == "computility_accelerator_energy_joules_total" for name, _ in known)
    # A platform that was never reached has no gap and no last contact.
    region = (("platform", "region"),)
    assert ("computility_platform_worst_gap_seconds", region) not in known
    assert ("computility_platform_last_contact_timestamp_seconds", region) not in known


def test_packages_and_services_are_counted(full_view):
    workloads = FakeWorkloads(packages=(PACKAGE,), services=(SERVICE,), orphans=(object(),))
    found = samples(ask(full_view, workloads=workloads)[2])
    service = (("package", "p"), ("service", "s"))
    state = (("package", "p"), ("service", "s"), ("state", "OVERLOAD"))
    assert found["computility_package_progress_ratio", (("package", "p"),)] == 0.25
    assert found["computility_service_info", state] == 1
    assert found["computility_service_replicas", service] == 3
    assert found["computility_service_replicas_running", service] == 1
    assert found["computility_service_restarts_total", service] == 4
    assert found["computility_service_cpu_ratio", service] == 1.5
    assert found["computility_orphaned_containers", ()] == 1
    assert ("computility_service_memory_used_bytes", service) not in found
    about = {"name": "", "version": "", "type": "", "package": "p", "state": "downloading"}
    assert found["computility_package_info", tuple(sorted(about.items()))] == 1


def test_what_the_engine_does_not_tell_has_no_series(full_view):
    unknown = replace(
        SERVICE,
        state=ServiceState.UNSPECIFIED,
        replicas=tuple(Replica(index=index) for index in range(3)),
        usage=ServiceUsage(),
    )
    package = replace(PACKAGE, progress_ratio=None)
    workloads = FakeWorkloads(packages=(package,), services=(unknown,), orphans=None)
    names = {name for name, _ in samples(ask(full_view, workloads=workloads)[2])}
    assert {name for name in names if re.match("computility_(service|package|orphan)", name)} == {
        "computility_package_info",
        "computility_service_info",
        "computility_service_replicas",
    }


def test_packages_that_cannot_be_told_cost_no_other_figure(full_view):
    def fail():
        raise TransientError("the database is damaged")

    workloads = FakeWorkloads()
    workloads.seen = fail
    status, _, text = ask(full_view, workloads=workloads)
    assert status == "200 OK"
    assert "computility_cpu_logical_cores" in text
    assert "computility_package" not in text


@pytest.mark.peer
def test_prometheus_own_linter_has_no_complaint(full_view, sessions, require_program):
    workloads = FakeWorkloads(packages=(PACKAGE,), services=(SERVICE,))
    text = ask(full_view, sessions, workloads=workloads)[2]
    checked = subprocess.run(
        [require_program("promtool"), "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_every_metric_is_in_the_documentation(full_view, sessions):
    written = set(re.findall(r"`(computility_[a-z_]+)`", DOCUMENT.read_text()))
    offered = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(ask(full_view, sessions)[2])
        if family.name.startswith("computility_")
    }
    assert offered == written


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/metrics", "200 OK"),
        ("HEAD", "/metrics", "200 OK"),
        ("GET", "/healthz", "200 OK"),
        ("POST", "/metrics", "405 Method Not Allowed"),
        ("GET", "/", "404 Not Found"),
    ],
)
def test_the_listener_serves_two_paths(full_view, method, path, status):
    answered, headers, body = ask(full_view, method=method, path=path)
    assert answered == status
    assert method != "HEAD" or body == ""
    assert ("Allow" in headers) == status.startswith("405")
