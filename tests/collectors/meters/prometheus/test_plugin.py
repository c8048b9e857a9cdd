"""The Prometheus meter against a real Prometheus that scrapes a small exporter."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from datetime import datetime, timedelta, timezone

import pytest

from agent.errors import NotPresent, ReadingUnavailable
from collectors.meters.prometheus.plugin import PrometheusConfig, PrometheusMeter
from tests.collectors.meters.web_server import web_server
from tests.conftest import missing

GUARD_SECONDS = 60


class Stack:
    """Is an exporter whose text a test sets, and a Prometheus that scrapes it each 100 ms."""

    def __init__(self, folder):
        self.text = ""
        self.folder = folder

    def exporter(self, method, path, headers, body):
        return 200, {"Content-Type": "text/plain; version=0.0.4"}, self.text.encode()

    def start(self, exporter_port):
        program = shutil.which("prometheus")
        if program is None:
            missing("prometheus is not on this machine; .ci/run installs it")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        (self.folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 100ms, scrape_timeout: 100ms}\n"
            "scrape_configs:\n- job_name: meter\n  static_configs:\n"
            f"  - targets: ['127.0.0.1:{exporter_port}']\n"
        )
        self.process = subprocess.Popen(
            [
                program,
                f"--config.file={self.folder}/prometheus.yml",
                f"--storage.tsdb.path={self.folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )

    def ask(self, query):
        from urllib.parse import quote

        with urllib.request.urlopen(f"{self.url}/api/v1/query?query={quote(query)}") as answer:
            return json.load(answer)["data"]["result"]

    def wait(self, query, value):
        """Wait until a query gives a value."""
        deadline = time.monotonic() + GUARD_SECONDS
        while True:
            try:
                result = self.ask(query)
                if result and result[0]["value"][1] == value:
                    return
            except OSError:
                assert self.process.poll() is None, "prometheus ended"
            assert time.monotonic() < deadline, "prometheus has not what was exported"
            time.sleep(0.05)

    def export(self, text, *, query, value):
        self.text = text
        self.wait(query, value)

    def read(self, **settings):
        meter = PrometheusMeter(PrometheusConfig(url=self.url, **settings))
        try:
            return meter.read()
        finally:
            meter.close()


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    built = Stack(tmp_path_factory.mktemp("prometheus"))
    with web_server(built.exporter) as exporter:
        built.start(exporter.port)
        try:
            yield built
        finally:
            built.process.kill()
            built.process.wait()


@pytest.mark.peer
@pytest.mark.parametrize(
    ("unit", "field", "value"),
    [
        ("wh", "energy_joules", 4_444_445),
        ("kwh", "energy_joules", 4_444_444_800),
        ("joules", "energy_joules", 1235),
        ("w", "power_watts", 1234.568),
        ("kw", "power_watts", 1_234_568.0),
        ("litres", "water_millilitres", 1_234_568),
        ("m3", "water_millilitres", 1_234_568_000),
    ],
)
def test_a_register_is_read_in_its_unit(stack, unit, field, value):
    stack.export("reg_total 1234.568\n", query="reg_total", value="1234.568")

    reading = stack.read(query="reg_total", unit=unit)

    assert getattr(reading, field) == value
    assert set(reading.unknown) == {"energy_joules", "power_watts", "water_millilitres"} - {field}


@pytest.mark.peer
def test_the_time_is_that_of_the_scrape_and_not_of_the_question(stack):
    stack.export("still_total 7\n", query="still_total", value="7")

    reading = stack.read(query="still_total")

    scrapes = [round(float(at) * 1000) for at, _ in stack.ask("still_total[1m]")[0]["values"]]
    assert reading.energy_joules == 7 * 3_600_000
    assert round(reading.taken_at.timestamp() * 1000) in scrapes


@pytest.mark.peer
def test_a_counter_that_fell_comes_through_as_it_is(stack):
    stack.export("fell_total 100\n", query="fell_total", value="100")
    first = stack.read(query="fell_total")
    stack.export("fell_total 1\n", query="fell_total", value="1")
    second = stack.read(query="fell_total")

    assert (first.energy_joules, second.energy_joules) == (360_000_000, 3_600_000)
    assert second.taken_at > first.taken_at


@pytest.mark.peer
def test_a_sum_over_many_series_is_one_meter_and_many_series_are_none(stack):
    text = 'many_total{node="a"} 1\nmany_total{node="b"} 2\n'
    stack.export(text, query="sum(many_total)", value="3")

    assert stack.read(query="sum(many_total)").energy_joules == 3 * 3_600_000
    with pytest.raises(ReadingUnavailable, match=r'2 series.*node="a"') as caught:
        stack.read(query="many_total")
    assert "sum()" in caught.value.hint


@pytest.mark.peer
def test_a_series_that_ended_and_a_query_with_a_fault_are_errors(stack):
    with pytest.raises(ReadingUnavailable, match="gives nothing"):
        stack.read(query="never_there")
    with pytest.raises(ReadingUnavailable, match=r"refused .*parse error"):
        stack.read(query="sum(")


def server(*, value="1", evaluated=None, sampled=None, token=None):
    now = datetime.now(timezone.utc).timestamp()
    evaluated = now if evaluated is None else evaluated
    sampled = evaluated if sampled is None else sampled

    def answer(method, path, headers, body):
        if token is not None and headers.get("authorization") != token:
            return 401, {}, b""
        shown = str(sampled) if "timestamp" in path else value
        result = [{"metric": {}, "value": [evaluated, shown]}]
        data = {"resultType": "vector", "result": result}
        return 200, {}, json.dumps({"status": "success", "data": data}).encode()

    return web_server(answer)


def read(peer, **settings):
    meter = PrometheusMeter(PrometheusConfig(url=peer.url + "/prefix/", query="x", **settings))
    try:
        return meter.read()
    finally:
        meter.close()


def test_a_sample_that_is_too_old_is_not_taken():
    now = datetime.now(timezone.utc).timestamp()
    with server(evaluated=now, sampled=now - 90) as peer:
        assert read(peer, max_age_seconds=100.0).taken_at.timestamp() == pytest.approx(now - 90)
        assert peer.asked[0][1].startswith("/prefix/api/v1/query?query=x")
        with pytest.raises(ReadingUnavailable, match="90 s old"):
            read(peer, max_age_seconds=80.0)


@pytest.mark.parametrize("off", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_server_whose_clock_is_off_is_not_believed(off):
    other = (datetime.now(timezone.utc) + off).timestamp()
    with server(evaluated=other) as peer, pytest.raises(ReadingUnavailable, match="clock"):
        read(peer)


@pytest.mark.parametrize("value", ["-1", "1e30", "NaN"])
def test_what_no_meter_shows_is_refused(value):
    with server(value=value) as peer, pytest.raises(ReadingUnavailable):
        read(peer)


def test_the_header_comes_from_its_file_and_is_never_shown(tmp_path):
    file = tmp_path / "header"
    file.write_text("Bearer hidden\n")
    with server(token="Bearer hidden") as peer:
        assert read(peer, authorization_file=str(file)).energy_joules == 3_600_000
        file.write_text("Bearer hidden too\n")
        with pytest.raises(ReadingUnavailable, match="401") as caught:
            read(peer, authorization_file=str(file))
    assert "hidden" not in repr(caught.value)
    file.write_text("Bearer 密hidden\n")
    with pytest.raises(NotPresent) as missing_one:
        PrometheusMeter(
            PrometheusConfig(url="http://a", query="x", authorization_file=str(file))
        ).probe()
    assert "hidden" not in repr(missing_one.value)


def test_what_is_missing_is_told_without_asking():
    for settings in ({}, {"url": "http://a"}, {"url": "a", "query": "x"}):
        with pytest.raises(NotPresent) as caught:
            PrometheusMeter(PrometheusConfig(**settings)).probe()
        assert caught.value.hint
    PrometheusMeter(PrometheusConfig(url="http://a", query="x")).probe()
