"""What goes over the wire, plain and under TLS."""

from __future__ import annotations

import json
import socket

import pytest


@pytest.fixture(params=["plain", "tls"])
def ask(request, serve, connect, tls):
    """Return a function that opens a connection to one server, plain or under TLS."""
    secure = request.param == "tls"
    server = serve(ssl_context=tls if secure else None, max_body_bytes=1000)
    return lambda: connect(server, tls=secure)


def test_answers_carry_no_banner(ask):
    answer = ask().send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").answer()
    assert (answer.status, answer.body) == (200, b"GET /a 0 ")
    assert "server" not in answer.headers
    assert "via" not in answer.headers


def test_a_chunked_body_is_decoded(ask):
    client = ask().send(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.send(b"3;name=value\r\nabc\r\n").send(b"2\r\nde\r\n0\r\n\r\n")
    assert client.answer().body == b"POST /a 5 abcde"


def test_a_body_that_is_announced_is_asked_for(ask):
    client = ask().send(
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    )
    assert client.answer().status == 100
    assert client.send(b"abc").answer().body == b"POST /a 3 abc"


def test_a_body_that_is_too_long_is_not_asked_for(ask):
    client = ask().send(
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n"
    )
    assert client.answer().status == 413


def test_expecting_100_without_a_body_is_answered(ask):
    client = ask().send(b"GET /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n")
    assert client.answer().body == b"GET /a 0 "


def test_head_sends_no_body_and_keeps_the_connection_in_step(ask):
    client = ask().send(b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = client.answer(head=True)
    assert (answer.status, answer.headers["content-length"]) == (200, "10")
    assert client.send(b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n").answer().body == b"GET /b 0 "


def test_requests_sent_together_are_answered_in_order(ask):
    many = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(50))
    client = ask().send(many)
    assert [client.answer().body for _ in range(50)] == [b"GET /%d 0 " % n for n in range(50)]


def test_an_answer_larger_than_every_buffer_arrives_whole(ask):
    answer = ask().send(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").answer()
    assert len(answer.body) > 3_000_000


def test_http_1_0_is_answered_and_closed(ask):
    client = ask().send(b"GET /a HTTP/1.0\r\n\r\n")
    assert client.answer().body == b"GET /a 0 "
    assert client.is_closed()


def test_a_body_of_exactly_the_limit_is_taken(ask):
    body = b"x" * 1000
    client = ask().send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + body)
    assert client.answer().status == 200
    client.send(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert client.send(b"3e8\r\n" + body + b"\r\n0\r\n\r\n").answer().status == 200


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Content-Length: 1001", b"x" * 1001),
        (b"Content-Length: 100000000", b"x" * 500_000),
        (b"Transfer-Encoding: chunked", b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"fffffff\r\n" + b"x" * 500_000),
    ],
)
def test_a_body_that_is_too_long_is_refused_and_the_client_sees_why(ask, head, body):
    client = ask().send(b"POST /a HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n" + body)
    answer = client.answer()
    assert answer.status == 413
    assert b"1000 bytes" in answer.body
    assert client.is_closed()


def test_a_client_that_goes_on_sending_after_a_refusal_is_not_reset(serve, connect):
    client = connect(serve(max_body_bytes=10))
    client.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n")
    assert client.answer().status == 413
    client.send(b"x" * 90000).sock.shutdown(socket.SHUT_WR)
    assert client.sock.recv(1) == b""


def test_headers_that_are_too_long_are_refused(ask):
    answer = ask().send(b"GET /a HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20000).answer()
    assert answer.status == 431
    assert b"16384 bytes" in answer.body


AMBIGUOUS = {
    "both lengths": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
    "same length twice": b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
    "list of lengths": b"Content-Length: 5, 5\r\n\r\nabcde",
    "signed length": b"Content-Length: +5\r\n\r\nabcde",
    "length without digits": b"Content-Length: \r\n\r\n",
    "endless length": b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "two codings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "empty coding": b"Transfer-Encoding:\r\n\r\n",
    "space before colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "vertical tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "folded": b"A: b\r\n c\r\n\r\n",
    "folded coding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "NUL": b"A: b\x00c\r\n\r\n",
    "bare LF": b"A: b\nContent-Length: 5\r\n\r\n",
    "bare CR": b"A: b\rc\r\n\r\n",
    "no colon": b"nothing\r\n\r\n",
    "two hosts": b"Host: y\r\n\r\n",
    "signed chunk": b"Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
    "0x chunk": b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "chunk too short": b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    "chunk with bare LF": b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n" + b"x" * 300,
    "endless chunk line": b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 600,
}


@pytest.mark.parametrize("head", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_can_be_read_in_two_ways_is_refused_and_the_connection_ends(ask, head):
    client = ask().send(b"POST /a HTTP/1.1\r\nHost: x\r\n" + head)
    client.send(b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.answer().status == 400
    assert client.is_closed()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"\x00\x01\x02\x03", 400),
        (b"\xff" * 100_000, 400),
    ],
)
def test_what_is_not_a_request_is_refused_at_once(ask, request_bytes, status):
    client = ask().send(request_bytes)
    assert client.answer().status == status
    assert client.is_closed()


def test_refusals_come_in_the_form_that_the_listener_wants(serve, connect):
    def envelope(status: int, message: str) -> tuple[str, bytes]:
        return "application/json", json.dumps({"Code": status, "Message": message}).encode()

    server = serve(error_body=envelope, max_body_bytes=10)
    for sent, status in [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n", 413),
        (b"\x16\x03\x01", 400),
        (b"GET /fail HTTP/1.1\r\nHost: x\r\n\r\n", 500),
    ]:
        answer = connect(server).send(sent).answer()
        assert answer.headers["content-type"] == "application/json"
        decoded = json.loads(answer.body)
        assert (answer.status, decoded["Code"]) == (status, status)
        assert decoded["Message"]


def test_a_form_that_fails_leaves_plain_words(serve, connect, caplog):
    def broken(status: int, message: str) -> tuple[str, bytes]:
        raise KeyError(status)

    answer = connect(serve(error_body=broken)).send(b"\x00").answer()
    assert (answer.status, answer.body) == (400, b"400 this is not HTTP\n")
    assert "error_body failed" in caplog.text


def test_an_application_that_fails_costs_only_its_request(serve, connect, caplog):
    server = serve()
    assert connect(server).send(b"GET /fail HTTP/1.1\r\nHost: x\r\n\r\n").answer().status == 500
    assert connect(server).send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").answer().status == 200
    assert "ZeroDivisionError" in caplog.text


def test_urgent_data_ends_the_connection_and_costs_nothing_else(serve, connect):
    server = serve()
    client = connect(server)
    client.sock.send(b"!", socket.MSG_OOB)
    assert client.is_closed()
    assert connect(server).send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").answer().status == 200


def test_a_client_that_has_finished_speaking_gets_its_answer(serve, connect):
    client = connect(serve()).send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    client.sock.shutdown(socket.SHUT_WR)
    assert client.answer().body == b"GET /a 0 "
    assert client.is_closed()


def test_a_large_body_goes_through_a_file(serve, connect):
    body = b"y" * 1_000_000
    client = connect(serve()).send(
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    assert client.answer().body == b"POST /a 1000000 " + body
