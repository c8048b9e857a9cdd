"""The way to a platform, step by step, with real servers at its end."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from agent.app.doctor import platform_way, runner
from agent.app.doctor.check import State
from agent.app.doctor.platform_way import ANSWER, CONNECT, DATE, DNS, ROUTE, TLS, Target
from agent.simulator.faults import Fault, FaultKind


def walk(clock, **settings):
    """Return each step's result by its name."""
    target = Target(subject="city", **settings)
    results = runner.run([platform_way.chain(target, clock=clock)], clock=clock)
    return {each.name: each for each in results}


def states(results):
    return {name: each.state for name, each in results.items()}


def test_a_good_platform_passes_every_step(clock, simulated):
    results = walk(clock, url=simulated().url)
    assert states(results) == {
        DNS: State.OK,
        ROUTE: State.OK,
        CONNECT: State.OK,
        TLS: State.WARNING,
        ANSWER: State.OK,
        DATE: State.OK,
    }
    assert results[ROUTE].found == "our address on the way is 127.0.0.1"
    assert "plain HTTP" in results[TLS].found


def test_nothing_is_registered_and_no_registration_is_touched(clock, simulated):
    city = simulated()
    walk(clock, url=city.url)
    assert city.registry.nodes() == []


def test_a_certificate_that_is_good_is_told_with_its_end(clock, simulated, certificates):
    city = simulated(certificate=certificates.server)
    results = walk(clock, url=city.url, ca_file=certificates.ca)
    assert results[TLS].found.startswith("TLSv1.3, verified, certificate good until 20")
    # Those of these tests last 30 days.
    assert results[TLS].state is State.WARNING
    assert results[ANSWER].state is State.OK


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("wrong_name", "use the name that it was made out for"),
        ("expired", "has expired"),
    ],
)
def test_a_bad_certificate_is_named_and_nothing_is_sent(
    clock, simulated, certificates, which, words
):
    city = simulated(certificate=getattr(certificates, which))
    results = walk(clock, url=city.url, ca_file=certificates.ca)
    assert results[TLS].state is State.FAILED
    assert words in results[TLS].found
    assert states(results)[ANSWER] is State.SKIPPED


def test_a_certificate_of_an_unknown_ca_says_to_name_it(clock, simulated, certificates):
    results = walk(clock, url=simulated(certificate=certificates.server).url)
    assert results[TLS].state is State.FAILED
    assert "set ca_file" in results[TLS].found


def test_http_where_https_is_configured_is_told(clock, simulated):
    url = simulated().url.replace("http:", "https:")
    results = walk(clock, url=url)
    assert "is it http:// rather than https://?" in results[TLS].found


def test_a_name_that_is_not_there_skips_the_rest(clock):
    def resolve(host, _port):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    target = Target(subject="city", url="https://acsmp.example")
    chain = platform_way.chain(target, clock=clock, resolve=resolve)
    results = runner.run([chain], clock=clock)
    assert [each.state for each in results] == [State.FAILED, *[State.SKIPPED] * 5]
    assert results[0].found == "the name acsmp.example was not found (Name or service not known)"
    assert "/etc/resolv.conf" in results[0].advice


def test_a_port_where_nobody_listens_is_told(clock):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        results = walk(clock, url=f"http://127.0.0.1:{port}")
    assert (
        results[CONNECT].found == f"127.0.0.1:{port} refused the connection: nothing listens there"
    )
    assert "firewall" in results[CONNECT].advice
    assert states(results)[ANSWER] is State.SKIPPED


def test_another_address_than_the_one_told_is_a_warning(clock, simulated):
    results = walk(clock, url=simulated().url, address="192.0.2.9")
    assert results[ROUTE].state is State.WARNING
    assert "192.0.2.9" in results[ROUTE].found


def test_a_platform_that_is_in_trouble_is_no_wrong_address(clock, simulated):
    city = simulated()
    city.apply(Fault(kind=FaultKind.REFUSE, operation="Keepalive", status=503))
    results = walk(clock, url=city.url)
    assert results[ANSWER].state is State.FAILED
    assert "ask its operator" in results[ANSWER].advice


class _WebPage(BaseHTTPRequestHandler):
    def do_POST(self):
        body = b"<html>welcome</html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_a_web_page_is_no_platform(clock):
    with HTTPServer(("127.0.0.1", 0), _WebPage) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        results = walk(clock, url=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert results[ANSWER].state is State.FAILED
    assert "is url the address of the platform" in results[ANSWER].advice


def test_a_monitoring_platform_is_not_asked_what_it_does_not_know(clock, simulated):
    results = walk(clock, url=simulated().url, speaks_acsmp=False)
    assert (results[CONNECT].state, results[ANSWER].state) == (State.OK, State.SKIPPED)
