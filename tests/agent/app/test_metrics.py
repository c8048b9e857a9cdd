"""What Prometheus reads."""

from __future__ import annotations

import io
import re
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.app import metrics
from agent.protocols.acsmp.status import SessionState, SessionStatus

DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"


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


def ask(view, sessions=(), *, method="GET", path="/metrics"):
    collector = metrics.AgentCollector(
        view=lambda: view, sessions=lambda: sessions, identify=lambda *_: "NVIDIA-T4"
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


@pytest.mark.peer
def test_prometheus_own_linter_has_no_complaint(full_view, sessions, require_program):
    text = ask(full_view, sessions)[2]
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
