"""The Redfish meter against sushy-tools, which serves the resources of a service from files."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.errors import ReadingUnavailable
from collectors.meters.redfish.plugin import RedfishConfig, RedfishMeter
from tests.collectors.meters.redfish.test_plugin import new_chassis, old_chassis, service
from tests.collectors.meters.web_server import make_certificate
from tests.conftest import missing

GUARD_SECONDS = 60

pytestmark = pytest.mark.peer


def listens(port):
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def sushy(tmp_path, require_program):
    """Return a function that lets sushy-static serve resources over TLS, and returns its URL."""
    program = Path(sys.executable).with_name("sushy-static")
    if not program.exists():
        missing("sushy-tools is not in the environment; make venv installs it")
    certificate, key = make_certificate(tmp_path, require_program("openssl"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []

    def serve(tree):
        for path, resource in tree.items():
            folder = tmp_path / "mockup" / path.removeprefix("/redfish/v1/")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "index.json").write_text(json.dumps(resource))
        if not started:
            started.append(
                subprocess.Popen(
                    [
                        *(program, "-i", "127.0.0.1", "-p", str(port)),
                        *("-m", str(tmp_path / "mockup")),
                        *("-c", str(certificate), "-k", str(key)),
                    ],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            deadline = time.monotonic() + GUARD_SECONDS
            while not listens(port):
                assert started[0].poll() is None, "sushy-static ended"
                assert time.monotonic() < deadline
                time.sleep(0.02)
        return RedfishMeter(
            RedfishConfig(url=f"https://127.0.0.1:{port}", ca_file=str(certificate))
        )

    yield serve
    for process in started:
        process.kill()
        process.wait()


def test_energy_and_power_are_read_and_followed(sushy):
    meter = sushy(service("1") | new_chassis("1", lifetime=4321.5, power=350.5))
    first = meter.read()
    sushy(new_chassis("1", lifetime=4322, power=351))
    second = meter.read()
    meter.close()

    assert (first.energy_joules, first.power_watts) == (15_557_400_000, 350.5)
    assert (second.energy_joules, second.power_watts) == (15_559_200_000, 351.0)
    assert first.reset_marker == second.reset_marker


def test_an_older_service_tells_power_alone(sushy):
    meter = sushy(service("1") | old_chassis("1", {"MemberId": "0", "PowerConsumedWatts": 344}))

    assert meter.read().power_watts == 344.0
    meter.close()


def test_a_chassis_without_measurements_says_what_to_do(sushy):
    meter = sushy(service("1") | {"/redfish/v1/Chassis/1": {"Id": "1"}})

    with pytest.raises(ReadingUnavailable, match="no energy is told") as caught:
        meter.read()
    meter.close()
    assert "members" in caught.value.hint
