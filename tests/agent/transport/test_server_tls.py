"""TLS of the server."""

from __future__ import annotations

import ssl
import threading

import pytest

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


def test_a_client_without_certificate_is_refused(serve, connect, mutual_tls):
    server = serve(ssl_context=mutual_tls)
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        connect(server, tls=True).send(GET).answer()


def test_a_client_with_certificate_enters_and_is_known(serve, connect, mutual_tls, certificates):
    client = connect(serve(ssl_context=mutual_tls), tls=True, certificate=certificates.client)
    answer = client.send(b"GET /client HTTP/1.1\r\nHost: x\r\n\r\n").answer()
    assert b"'commonName', 'client'" in answer.body


def test_plain_http_on_a_tls_port_is_told_so(serve, connect, tls, caplog):
    server = serve(ssl_context=tls)
    answer = connect(server).send(GET).answer()
    assert answer.status == 400
    assert b"use https://" in answer.body
    assert connect(server, tls=True).send(GET).answer().status == 200


def test_garbage_on_a_tls_port_costs_only_itself_and_is_logged_once(serve, connect, tls, caplog):
    server = serve(ssl_context=tls)
    for _ in range(5):
        connect(server).send(b"\xff" * 100).rest()
    assert connect(server, tls=True).send(GET).answer().status == 200
    assert caplog.text.count("TLS handshake failed") == 1


def test_a_client_that_leaves_in_the_middle_of_the_handshake_costs_only_itself(serve, connect, tls):
    server = serve(ssl_context=tls)
    connect(server).send(b"\x16\x03\x01\x02\x00\x01").sock.close()
    assert connect(server, tls=True).send(GET).answer().status == 200


def test_many_clients_at_once_get_their_own_answers(serve, connect, tls):
    server = serve(ssl_context=tls)
    wrong = []

    def use(number: int) -> None:
        client = connect(server, tls=True)
        for turn in range(20):
            body = b"%d-%d" % (number, turn) * 3000
            answer = client.send(
                b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            ).answer()
            if answer.body != b"POST /a %d " % len(body) + body:
                wrong.append((number, turn))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_the_goodbye_of_tls_is_said(serve, connect, tls):
    client = connect(serve(ssl_context=tls), tls=True)
    client.sock.suppress_ragged_eofs = False
    client.send(b"GET /a HTTP/1.0\r\n\r\n").answer()
    assert client.sock.recv(10) == b""
