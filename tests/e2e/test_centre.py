"""A computing centre as monitoring platforms ask about it (TC609 annex B), through the agent."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
import requests

from agent.model.clock import SystemClock
from agent.model.secret import Secret
from agent.protocols.tc609.sign import Signer
from agent.protocols.tc609.sign_options import SignOptions
from agent.security.password_hashes import PasswordHash
from tests.collectors.meters.peers import ModbusPeer
from tests.conftest import missing
from tests.e2e.conftest import PASSWORD, Box

NAME = "示例算力中心"
SECRET = "not told to anybody"
LOGIN = {"username": "city", "password": "Passw0rd-城市"}
OPERATIONAL, SUPERVISION = "/api/queryOperationalData", "/api/querySupervisionSystemData"
STEP = timedelta(minutes=5)


def floored(moment: datetime, step: timedelta) -> datetime:
    """Return the last whole step before a moment."""
    seconds = int(step.total_seconds())
    return datetime.fromtimestamp(int(moment.timestamp()) // seconds * seconds, timezone.utc)


class Meters:
    """Are the readings of a centre whose facility takes more from hour to hour."""

    def __init__(self, folder: Path) -> None:
        self.now = floored(datetime.now(timezone.utc), STEP)
        self.first = self.now - timedelta(hours=5)
        rows = ["meter,time,energy_kwh,water_litres,power_kw"]
        at = self.first
        while at <= self.now:
            stamp = at.isoformat()
            rows.append(f"incomer,{stamp},{self.facility_kwh(at):.6f},,")
            rows.append(f"it-pdu,{stamp},{self.it_kwh(at):.6f},,")
            rows.append(f"water,{stamp},,{self.hours(at) * 180:.6f},")
            at += STEP
        self.path = folder / "readings.csv"
        self.path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        # A file that was written just now may be half a file, and is not read yet.
        os.utime(self.path, (time.time() - 60, time.time() - 60))

    def hours(self, at: datetime) -> float:
        return (at - self.first) / timedelta(hours=1)

    def facility_kwh(self, at: datetime) -> float:
        return 130 * self.hours(at) + 12 * self.hours(at) ** 2

    def it_kwh(self, at: datetime) -> float:
        return 120 * self.hours(at)

    def consumed(self, end: datetime) -> float:
        """Return what the facility took in the hour before a moment."""
        return round(self.facility_kwh(end) - self.facility_kwh(end - timedelta(hours=1)), 3)

    def sections(self, *, modbus_port: int) -> list[dict[str, object]]:
        return [
            {"name": name, "kind": "csv", "role": role, "path": str(self.path), "meter": name}
            for name, role in (("incomer", "facility_total"), ("it-pdu", "it"), ("water", "water"))
        ] + [
            {
                "name": "roof",
                "kind": "modbus",
                "role": "green_direct",
                "host": "127.0.0.1",
                "port": modbus_port,
                "profile": "adl3000",
                "interval_seconds": 1,
            }
        ]


class Asking:
    """Is a monitoring platform that asks a centre, by plain requests."""

    def __init__(self, box: Box, *, certificate: Path | None = None, sign: bool = False) -> None:
        box.wait_until(lambda: box.status().get("query_api"))
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://{box.status()['query_api']}"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(certificate) if certificate else True
        self.signer = None
        if sign:
            self.signer = Signer(SignOptions(secret=Secret(SECRET)), clock=SystemClock())
        self.token = ""

    def log_in(self, **login: str) -> dict:
        answer = self.session.post(self.url + "/api/token", json={**LOGIN, **login}, timeout=10)
        return answer.json()

    def ask(self, path: str, *, headers: dict[str, str] | None = None, **query: object) -> dict:
        text = urlencode(query or {"centerId": 7})
        sent = {"Authorization": f"Bearer {self.token}"}
        if self.signer is not None:
            sent.update(self.signer.headers(query=text))
        sent.update(headers or {})
        kept = {name: value for name, value in sent.items() if value}
        return self.session.get(f"{self.url}{path}?{text}", headers=kept, timeout=10).json()


@pytest.fixture
def certificate(tmp_path, require_program):
    key, own = tmp_path / "key.pem", tmp_path / "own.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=centre"
    subprocess.run(
        [
            require_program("openssl"),
            *words.split(),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(own)),
        ],
        check=True,
        capture_output=True,
    )
    key.chmod(0o600)
    return own, key


def secret_file(folder, name, text):
    path = folder / name
    path.write_text(text + "\n", encoding="utf-8")
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def centre(box):
    """Return the box with a section `centre` that anybody with a password may ask."""
    users = [
        {
            "username": LOGIN["username"],
            "password_file": secret_file(box.folder, "city.password", LOGIN["password"]),
        }
    ]
    box.settings["centre"] = {"id": 7, "name": NAME, "listen": "127.0.0.1:0", "users": users}
    box.settings["runtime"] = {"kind": "none"}
    return box


@pytest.fixture
def node(tmp_path):
    """Return another agent on this machine, with a code of its own."""
    folder = tmp_path / "node"
    folder.mkdir()
    one = Box(folder)
    one.settings["node"]["code"] = "11010800005020000002"
    one.settings["runtime"] = {"kind": "none"}
    yield one
    if one.process is not None and one.process.poll() is None:
        one.process.kill()
        one.process.wait()


def reload(box, text):
    """Let the agent read its configuration again, and wait for what its log says of it."""
    before = box.log.read_text().count(text)
    box.write()
    box.process.send_signal(signal.SIGHUP)
    box.wait_until(lambda: box.log.read_text().count(text) > before)


def last_full_hours(meters):
    """Return the consumption of the last full hour, and of the one before while it is closed."""
    end = floored(datetime.now(timezone.utc), timedelta(hours=1))
    return {meters.consumed(end), meters.consumed(end - timedelta(hours=1))}


def test_a_platform_asks_over_tls_with_a_signature_for_hour_and_load(centre, certificate):
    own, key = certificate
    meters = Meters(centre.folder)
    section = centre.settings["centre"]
    section["tls"] = {"certificate": str(own), "private_key": str(key)}
    section["sign"] = {"secret_file": secret_file(centre.folder, "sign.secret", SECRET)}
    hashed = PasswordHash.of(Secret(LOGIN["password"])).to_text()
    section["users"][0]["password_file"] = secret_file(centre.folder, "city.hash", hashed)
    centre.settings["metrics"] = {"listen": "127.0.0.1:0"}
    # Its register tells nothing of hours ago, so what the roof gave is not known.
    with ModbusPeer({0: [0] * 120}) as peer:
        centre.settings["meters"] = meters.sections(modbus_port=peer.port)
        centre.start()
        city = Asking(centre, certificate=own, sign=True)
        assert city.log_in(password="wrong")["code"] == 10001
        assert city.ask(SUPERVISION)["code"] == 10002
        answer = city.log_in()
        assert (answer["code"], answer["expiresIn"]) == (200, 3600)
        city.token = answer["token"]
        centre.wait_until(lambda: city.ask(SUPERVISION)["data"]["pue"] is not None)
        told = city.ask(SUPERVISION)
        consumed = told["data"]["electricityConsume"]
        assert consumed in last_full_hours(meters)
        assert told["data"]["pue"] == pytest.approx(consumed / 120, abs=1e-4)
        assert told["data"]["wue"] == 1.5
        assert told["data"]["greenElectricityConsume"] is None
        assert "greenElectricityConsume is unknown" in told["msg"]

        load = city.ask(OPERATIONAL, centerName=NAME)["data"]
        assert load["computePowerScale"]["nodeCount"] == 1
        assert load["computePowerScale"]["memory"] > 0.1
        assert 0 <= load["computePowerLoad"]["memoryUsageRate"] <= 1

        assert city.ask(OPERATIONAL, centerId=8)["code"] == 10003
        assert city.ask(OPERATIONAL, centerId="seven")["code"] == 10004
        assert city.ask(OPERATIONAL, centreId=7)["code"] == 10005
        assert city.ask(OPERATIONAL, headers={"sign": ""})["code"] == 10006
        assert city.ask(OPERATIONAL, headers={"sign": "00" * 32})["code"] == 99999
        assert city.ask(OPERATIONAL, headers={"timestamp": "1700000000000"})["code"] == 99999

        status = centre.status()
        assert status["stale_loops"] == []
        metrics = requests.get(f"http://{status['metrics']}/metrics", timeout=10).text
        assert 'computility_query_answers_total{code="10003",question="operational"} 1.0' in metrics
        log = centre.log.read_text()
        assert not [text for text in (SECRET, LOGIN["password"], city.token) if text in log]


def test_the_hour_is_the_last_full_one_or_the_last_sixty_minutes(centre):
    meters = Meters(centre.folder)
    centre.settings["meters"] = meters.sections(modbus_port=1)[:3]
    centre.start()
    city = Asking(centre)
    city.token = city.log_in()["token"]
    centre.wait_until(
        lambda: city.ask(SUPERVISION)["data"]["electricityConsume"] in last_full_hours(meters)
    )
    centre.settings["centre"]["hour"] = "rolling"
    reload(centre, "event=reloaded query API: changed")
    # The token and its connection are those of before.
    assert city.ask(SUPERVISION)["data"]["electricityConsume"] == meters.consumed(meters.now)


def test_a_reload_of_something_else_keeps_tokens_and_a_changed_password_ends_them(centre):
    centre.start()
    city = Asking(centre)
    city.token = city.log_in()["token"]
    centre.settings["metrics"] = {"listen": "127.0.0.1:0"}
    centre.settings["centre"]["sources"] = {"computing_power_tflops": 1200}
    reload(centre, "event=reloaded operational sources: restarted")
    told = city.ask(OPERATIONAL)
    assert told["data"]["computePowerScale"]["totalComputePower"] == 1200
    assert city.ask(SUPERVISION)["msg"].startswith("the past hour is not known")

    secret_file(centre.folder, "city.password", "another")
    reload(centre, "event=reloaded query API: changed")
    assert city.ask(OPERATIONAL)["code"] == 10002
    assert city.log_in()["code"] == 10001
    assert city.log_in(password="another")["code"] == 200


def test_other_agents_are_read_over_their_device_api_and_none_is_waited_for(centre, node):
    node.start()
    password = secret_file(centre.folder, "node.password", PASSWORD)
    source = {"url": node.device_url(), "password_file": password}
    with contextlib.ExitStack() as stack:
        # It takes connections and never says a word.
        mute = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        place = f"127.0.0.1:{mute.getsockname()[1]}"
        centre.settings["centre"]["sources"] = {
            "nodes": [source, {"url": f"http://{place}", "password_file": password}]
        }
        centre.start()
        city = Asking(centre)
        city.token = city.log_in()["token"]
        answered = node.device_url().removeprefix("http://")
        centre.wait_until(
            lambda: (
                {each["name"]: each["unknown"] for each in centre.status()["operational_sources"]}[
                    answered
                ]
                is None
            )
        )
        began = time.monotonic()
        told = city.ask(OPERATIONAL)
        assert time.monotonic() - began < 2
        assert told["data"]["computePowerScale"]["nodeCount"] == 3
        assert told["data"]["computePowerScale"]["memory"] is None
        assert told["data"]["computePowerLoad"]["cpuUsageRate"] is None
        assert f"(no answer of 1 of 3 nodes: {place})" in told["msg"]

    for box in (centre, node):
        box.wait_until(
            lambda box=box: "starting" not in {each["state"] for each in box.status()["plugins"]}
        )
    centre.settings["centre"]["sources"] = {"nodes": [source]}
    reload(centre, "event=reloaded operational sources: restarted")
    centre.wait_until(
        lambda: city.ask(OPERATIONAL)["data"]["computePowerLoad"]["cpuUsageRate"] is not None
    )
    told = city.ask(OPERATIONAL)
    own = json.loads(centre.run("collect", "--json").stdout)["memory"]["total_bytes"] / 2**30
    assert told["data"]["computePowerScale"]["nodeCount"] == 2
    assert told["data"]["computePowerScale"]["memory"] == pytest.approx(2 * own, abs=0.01)
    assert told["data"]["computePowerScale"]["acceleratorCount"] == 0


class Prometheus:
    """Is a real Prometheus that scrapes one agent."""

    def __init__(self, folder: Path, target: str) -> None:
        program = shutil.which("prometheus")
        if program is None:
            missing("prometheus is not on this machine; .ci/run installs it")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
            "scrape_configs:\n- job_name: nodes\n  static_configs:\n"
            f"  - targets: ['{target}']\n"
        )
        self.process = subprocess.Popen(
            [
                program,
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )

    def knows(self, query: str) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query?query={quote(query)}") as answer:
                return bool(json.load(answer)["data"]["result"])
        except OSError:
            assert self.process.poll() is None, "prometheus ended"
            return False


@pytest.fixture
def prometheus(tmp_path):
    started = []

    def start(target):
        started.append(Prometheus(tmp_path, target))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


@pytest.mark.peer
def test_a_centre_of_many_nodes_is_told_by_the_prometheus_that_scrapes_them(
    centre, node, prometheus
):
    node.settings["metrics"] = {"listen": "127.0.0.1:0"}
    node.start()
    server = prometheus(node.status()["metrics"])
    node.wait_until(lambda: server.knows("computility_cpu_utilization_ratio"))
    cores = "computility_cpu_logical_cores"
    centre.settings["centre"]["sources"] = {
        "nodes": "prometheus",
        "prometheus": {
            "url": server.url,
            "queries": {
                "node_count": f"count({cores})",
                "cpu_utilization_ratio": f"sum(computility_cpu_utilization_ratio * {cores})"
                f" / sum({cores})",
                "memory_gib": "sum(computility_memory_total_bytes) / 2^30",
                "memory_utilization_ratio": "100",
                "accelerator_count": "nobody_exports_this",
                "computing_utilization_ratio": "up +",
            },
        },
        "computing_power_tflops": 1200,
    }
    centre.start()
    city = Asking(centre)
    city.token = city.log_in()["token"]
    centre.wait_until(
        lambda: city.ask(OPERATIONAL)["data"]["computePowerScale"]["nodeCount"] is not None
    )
    told = city.ask(OPERATIONAL)
    load, scale = told["data"]["computePowerLoad"], told["data"]["computePowerScale"]
    assert scale["nodeCount"] == 1
    assert scale["memory"] > 0.1
    assert scale["totalComputePower"] == 1200
    assert 0 <= load["cpuUsageRate"] <= 1
    assert (load["memoryUsageRate"], scale["acceleratorCount"]) == (None, None)
    assert "memoryUsageRate (100 is no ratio from 0 to 1; is it a percentage?)" in told["msg"]
    assert "acceleratorCount (the query gives nothing)" in told["msg"]
    assert "computePowerUsageRate (the query is refused: " in told["msg"]
    assert "schedulableComputePower (nothing tells it)" in told["msg"]
