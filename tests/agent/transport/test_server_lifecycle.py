"""Starting, stopping, addresses."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from agent.errors import PermanentError
from agent.transport.server import HttpServer, ServerLimits

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


def make(listen) -> HttpServer:
    return HttpServer(lambda *_: [], listen=listen, limits=ServerLimits(), name="test")


def test_a_port_in_use_is_named(serve):
    port = serve().port
    with pytest.raises(PermanentError, match=f"127.0.0.1:{port}: another program listens there"):
        make(("127.0.0.1", port)).start()


def test_an_address_of_another_machine_is_named():
    with pytest.raises(PermanentError, match=r"192\.0\.2\.1:0: this machine has no such address"):
        make(("192.0.2.1", 0)).start()


def test_a_failed_start_leaves_nothing_behind(serve, connect):
    running = serve()
    port = running.port
    assert connect(running).send(GET).answer().status == 200
    before = set(threading.enumerate())
    server = make(("127.0.0.1", port))
    with pytest.raises(PermanentError):
        server.start()
    assert not server.is_alive
    assert set(threading.enumerate()) == before
    server.stop(timeout_seconds=1)


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_ipv6_is_listened_on(serve, connect):
    server = serve(host="::1")
    answer = connect(server).send(b"GET /address HTTP/1.1\r\nHost: x\r\n\r\n").answer()
    assert server.address == "::1"
    assert answer.body.endswith(b" ::1")


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_the_wildcard_of_ipv6_takes_ipv4_and_shows_it_as_such(serve):
    server = serve(host="::")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock:
        sock.sendall(b"GET /address HTTP/1.0\r\n\r\n")
        with sock.makefile("rb") as file:
            assert file.read().endswith(b" 127.0.0.1")


def test_stop_answers_what_is_in_flight_and_closes_the_rest(serve, connect):
    entered, leave = threading.Event(), threading.Event()

    def slow(environ, start_response):
        entered.set()
        leave.wait(20)
        start_response("200 OK", [])
        return [b"done"]

    server = serve(slow)
    idle, busy = connect(server), connect(server)
    half = connect(server).send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx")
    busy.send(GET)
    assert entered.wait(20)
    stopping = threading.Thread(target=lambda: server.stop(timeout_seconds=20))
    stopping.start()
    assert idle.is_closed()
    assert half.is_closed()
    with pytest.raises(ConnectionRefusedError):
        connect(server)
    leave.set()
    answer = busy.answer()
    assert (answer.body, answer.headers["connection"]) == (b"done", "close")
    assert busy.is_closed()
    stopping.join(20)
    assert not server.is_alive


def test_stop_waits_no_longer_than_it_may(serve, connect):
    entered, leave = threading.Event(), threading.Event()

    def stuck(environ, start_response):
        entered.set()
        leave.wait(20)
        start_response("200 OK", [])
        return [b"too late"]

    server = serve(stuck)
    client = connect(server).send(GET)
    assert entered.wait(20)
    before = time.monotonic()
    server.stop(timeout_seconds=0.3)
    assert time.monotonic() - before < 5
    assert not server.is_alive
    assert client.is_closed()
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("test-")]
    leave.set()
    for worker in workers:
        worker.join(20)


def test_stopping_ends_every_thread(serve, connect, wait_until):
    before = set(threading.enumerate())
    server = serve()
    assert connect(server).send(GET).answer().status == 200
    names = sorted(thread.name for thread in set(threading.enumerate()) - before)
    assert names == ["test", "test-0", "test-1", "test-2", "test-3"]
    server.stop(timeout_seconds=5)
    wait_until(lambda: set(threading.enumerate()) == before)
    server.stop(timeout_seconds=5)


def test_an_idle_server_sleeps(serve, connect):
    server = serve()
    connection = connect(server).send(GET)
    assert connection.answer().status == 200
    turns = []
    turn = server._listener._turn
    server._listener._turn = lambda timeout: (turns.append(timeout), turn(timeout))
    threading.Event().wait(0.5)
    assert len(turns) <= 3
