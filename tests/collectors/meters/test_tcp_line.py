"""A TCP line that keeps to deadlines."""

from __future__ import annotations

import socket
import threading

import pytest

from agent.errors import ReadingUnavailable
from agent.model.clock import SystemClock
from collectors.meters.tcp_line import TcpLine
from tests.collectors.meters import peers
from tests.collectors.meters.peers import Peer


def line(port: int, *, host: str = "127.0.0.1") -> TcpLine:
    return TcpLine(host, port=port, clock=SystemClock())


def soon(seconds: float = 0.2) -> float:
    return SystemClock().monotonic() + seconds


def test_a_name_server_that_is_silent_ends_by_the_deadline(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: (released.wait(60) and []) or [])
    try:
        with pytest.raises(ReadingUnavailable, match="not resolved in time"):
            line(1, host="meter.example").open(deadline=soon())
    finally:
        released.set()


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a" * 300, "é" * 100])
def test_a_name_that_is_none_is_said(host):
    with pytest.raises(ReadingUnavailable, match="cannot be resolved"):
        line(1, host=host).open(deadline=soon(60))


def test_every_address_of_a_name_is_tried(monkeypatch):
    with peers.closed_port() as closed, Peer(peers.silent) as peer:
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", closed)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", peer.port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        opened = line(peer.port, host="meter.example")
        assert opened.open(deadline=soon(30))
        assert not opened.open(deadline=soon(30))
        opened.close()


def test_what_lay_in_the_buffer_is_thrown_away():
    sent = threading.Event()

    def behave(connection, stopping):
        connection.sendall(b"stale")
        sent.set()
        while question := connection.recv(100):
            connection.sendall(question)

    with Peer(behave) as peer:
        opened = line(peer.port)
        opened.open(deadline=soon(30))
        assert sent.wait(30)
        # It has arrived once it can be seen.
        opened._socket.settimeout(30)
        assert opened._socket.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL) == b"stale"
        assert not opened.open(deadline=soon(30))
        opened.send(b"fresh", deadline=soon(30))
        assert opened.receive(deadline=soon(30)) == b"fresh"
        opened.close()


def test_a_peer_that_takes_no_data_ends_by_the_deadline():
    with Peer(peers.silent) as peer:
        opened = line(peer.port)
        opened.open(deadline=soon(30))
        with pytest.raises(ReadingUnavailable, match="takes no data"):
            opened.send(bytes(50_000_000), deadline=soon())
        assert opened.open(deadline=soon(30)), "the connection is not opened anew"
        opened.close()


def test_a_deadline_that_has_passed_waits_for_nothing():
    with Peer(peers.silent) as peer:
        opened = line(peer.port)
        opened.open(deadline=soon(30))
        assert opened.receive(deadline=soon(-1)) == b""
        with pytest.raises(ReadingUnavailable, match="used all the time up"):
            opened.send(b"too late", deadline=soon(-1))
        opened.close()
        with pytest.raises(ReadingUnavailable):
            opened.open(deadline=soon(-1))
        with pytest.raises(ReadingUnavailable, match="is closed"):
            opened.receive(deadline=soon(30))
