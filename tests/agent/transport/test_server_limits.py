"""Clients that are slow, many, or silent."""

from __future__ import annotations

import socket
import threading
import time

import pytest

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(params=["plain", "tls"])
def transport(request, tls):
    return {"ssl_context": tls} if request.param == "tls" else {}


def test_a_crowd_of_idle_and_stalled_clients_leaves_the_next_request_unharmed(
    serve, connect, transport
):
    secure = bool(transport)
    server = serve(**transport)
    for _ in range(200):
        connect(server, tls=secure)
    for _ in range(15):
        connect(server, tls=secure).send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Le")
        connect(server, tls=secure).send(
            b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"
        )
    if secure:
        for _ in range(20):
            # Half of a TLS record: the handshake never goes on.
            connect(server).send(b"\x16\x03\x01\x02\x00\x01")
    for _ in range(3):
        before = time.monotonic()
        assert connect(server, tls=secure).send(GET).answer().body == b"GET /a 0 "
        assert time.monotonic() - before < 2.0


@pytest.mark.parametrize(
    ("start", "drip", "part"),
    [
        (b"GET /a HTTP/1.1\r\nHost: x\r\n", b"A: b\r\n", b"headers"),
        (b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n", b"x", b"body"),
        (
            b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\nx\r\n",
            b"body",
        ),
    ],
)
def test_a_request_that_drips_in_is_cut_at_its_deadline(
    serve, connect, transport, start, drip, part
):
    server = serve(header_seconds=0.6, request_seconds=0.6, **transport)
    client = connect(server, tls=bool(transport)).send(start)
    over = threading.Event()

    def drip_on() -> None:
        try:
            while not over.wait(0.05):
                client.sock.send(drip)
        except OSError:
            pass

    # Two threads in one TLS socket are not safe, so under TLS the client only stalls.
    dripping = threading.Thread(target=(lambda: None) if transport else drip_on)
    before = time.monotonic()
    dripping.start()
    answer = client.answer()
    took = time.monotonic() - before
    over.set()
    dripping.join()
    assert answer.status == 408
    assert part in answer.body
    assert 0.4 < took < 5.0
    assert client.is_closed()


def test_a_body_may_take_longer_than_headers(serve, connect):
    server = serve(header_seconds=0.3, request_seconds=10)
    client = connect(server).send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
    threading.Event().wait(0.8)
    assert client.send(b"bc").answer().body == b"POST /a 3 abc"


def test_a_handshake_that_stalls_is_cut(serve, connect, tls):
    client = connect(serve(ssl_context=tls, header_seconds=0.3)).send(b"\x16\x03\x01\x02\x00\x01")
    assert client.is_closed()


def test_an_idle_connection_is_closed(serve, connect, transport):
    server = serve(idle_seconds=0.3, **transport)
    client = connect(server, tls=bool(transport)).send(GET)
    assert client.answer().status == 200
    assert client.is_closed()


def test_empty_lines_do_not_keep_a_connection_alive(serve, connect):
    server = serve(idle_seconds=0.4, header_seconds=60)
    client = connect(server)
    pause = threading.Event()

    def send_lines() -> None:
        for _ in range(200):
            client.send(b"\r\n\r\n")
            pause.wait(0.05)

    with pytest.raises(OSError):
        send_lines()


def test_a_slow_application_is_not_cut(serve, connect):
    hold = threading.Event()

    def slow(environ, start_response):
        hold.wait(1.0)
        start_response("200 OK", [])
        return [b"done"]

    server = serve(slow, header_seconds=0.1, request_seconds=0.1, idle_seconds=0.1)
    assert connect(server).send(GET).answer().body == b"done"


def test_a_client_that_does_not_take_its_answer_is_cut(serve, wait_until):
    server = serve(answer_seconds=0.3, idle_seconds=60)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect((server.address, server.port))
    sock.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
    listener = server._listener
    wait_until(lambda: len(listener.active_channels) == 1)
    wait_until(lambda: not listener.active_channels)
    sock.close()


@pytest.fixture
def settle(wait_until):
    """Return a function that waits until workers have let go: an answer arrives a little before."""

    def wait(server) -> None:
        channels = server._listener.active_channels
        wait_until(lambda: all(one.eviction_rank() is not None for one in list(channels.values())))

    return wait


def test_at_the_limit_the_longest_idle_connection_makes_room(serve, connect, settle):
    server = serve(connections=3)
    clients = []
    for _ in range(3):
        clients.append(connect(server).send(GET))
        assert clients[-1].answer().status == 200
    assert clients[0].send(GET).answer().status == 200
    settle(server)
    newcomer = connect(server).send(GET)
    assert newcomer.answer().status == 200
    assert clients[1].is_closed()
    assert clients[0].send(GET).answer().status == 200
    assert clients[2].send(GET).answer().status == 200


def test_stalled_uploads_at_the_limit_make_room_too_and_idle_ones_first(serve, connect, settle):
    upload = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"
    server = serve(connections=3)
    stalled = [connect(server).send(upload) for _ in range(2)]
    idle = connect(server).send(GET)
    assert idle.answer().status == 200
    settle(server)
    first = connect(server).send(GET)
    assert first.answer().status == 200
    assert idle.is_closed()
    settle(server)
    second = connect(server).send(upload)
    assert first.is_closed()
    third = connect(server).send(GET)
    assert third.answer().status == 200
    assert stalled[0].is_closed()
    assert second.send(b"12345678").answer().status == 200


def test_a_request_being_served_is_never_the_one_that_makes_room(serve, connect):
    entered, leave = threading.Event(), threading.Event()

    def slow(environ, start_response):
        entered.set()
        leave.wait(20)
        start_response("200 OK", [])
        return [b"done"]

    server = serve(slow, connections=1)
    busy = connect(server).send(GET)
    assert entered.wait(20)
    assert connect(server).is_closed()
    leave.set()
    assert busy.answer().body == b"done"


def test_descriptors_that_run_out_are_survived(serve, connect, monkeypatch, wait_until, caplog):
    server = serve()
    listener = server._listener
    accept = listener.accept
    failures = iter([OSError(24, "Too many open files")])

    def accept_or_fail():
        for failure in failures:
            raise failure
        return accept()

    monkeypatch.setattr(listener, "accept", accept_or_fail)
    assert connect(server).send(GET).answer().status == 200
    assert "Too many open files" in caplog.text
