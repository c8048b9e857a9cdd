"""The client with platforms that are slow, wrong or hostile: it ends in time, in plain words."""

from __future__ import annotations

import gzip
import threading
import time
import zlib

import pytest

from agent.errors import TransientError

HEAD = b"HTTP/1.1 200 OK\r\n"


def script(data: bytes, *, wait: bool = False):
    """Return what answers every request with these bytes, and closes, or waits for the end."""

    def answer(platform, sock):
        platform.read_request(sock)
        sock.sendall(data)
        if wait:
            platform.over.wait(60)

    return answer


def drip(start: bytes, piece: bytes):
    def answer(platform, sock):
        platform.read_request(sock)
        sock.sendall(start)
        while not platform.over.wait(0.02):
            sock.sendall(piece)

    return answer


def flood(start: bytes, piece: bytes):
    def answer(platform, sock):
        platform.read_request(sock)
        sock.sendall(start)
        while not platform.over.is_set():
            sock.sendall(piece)

    return answer


def ask(client, *, deadline_seconds=20.0):
    return client.exchange("GET", "/a", body=None, headers={}, deadline_seconds=deadline_seconds)


SLOW = {
    "never answers": script(b"", wait=True),
    "stops in the headers": script(HEAD, wait=True),
    "stops in the body": script(HEAD + b"Content-Length: 9\r\n\r\nx", wait=True),
    "drips the status line": drip(b"HTTP/1.1 200 ", b"O"),
    "drips headers": drip(HEAD, b"A: b\r\n"),
    "drips one header": drip(HEAD + b"A: ", b"b"),
    "drips the body": drip(HEAD + b"Content-Length: 99999\r\n\r\n", b"x"),
    "drips chunks": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "continues for ever": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("behaviour", SLOW.values(), ids=SLOW.keys())
def test_a_slow_platform_is_left_at_the_deadline(
    hostile, client_of, tls, certificates, wait_until, behaviour, secure
):
    platform = hostile(behaviour, context=tls if secure else None)
    client = client_of(platform.url, ca_file=certificates.ca)
    start = time.monotonic()
    with pytest.raises(TransientError, match=r"no answer within 0\.4 s, while|more than|too large"):
        ask(client, deadline_seconds=0.4)
    assert time.monotonic() - start < 5.0
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("http-")])


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_kept_connection_that_turns_slow_is_cut_too(
    hostile, client_of, tls, certificates, wait_until, secure
):
    def turn_slow(platform, sock):
        platform.read_request(sock)
        sock.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")
        drip(HEAD, b"A: b")(platform, sock)

    platform = hostile(turn_slow, context=tls if secure else None)
    client = client_of(platform.url, ca_file=certificates.ca)
    assert ask(client).body == b"{}"
    with pytest.raises(TransientError, match=r"no answer within 0\.4 s, while waiting"):
        ask(client, deadline_seconds=0.4)
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("http-")])
    assert platform.connections == 1


def test_a_platform_that_never_agrees_on_tls_is_left_at_the_deadline(
    hostile, client_of, wait_until
):
    def half_a_handshake(platform, sock):
        sock.sendall(b"\x16\x03\x03\x40\x00")
        while not platform.over.wait(0.02):
            sock.sendall(b"x")

    client = client_of(hostile(half_a_handshake).url.replace("http:", "https:"))
    with pytest.raises(TransientError, match=r"within 1 s, while agreeing on TLS|TLS with"):
        ask(client, deadline_seconds=1.0)
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("http-")])


WRONG = {
    "garbage": (script(b"\x00\xff\xfe garbage\r\n\r\n"), "not HTTP"),
    "status that is none": (script(b"HTTP/1.1 abc OK\r\n\r\n"), "not HTTP"),
    "ssh": (script(b"SSH-2.0-OpenSSH_9.2\r\n"), "not HTTP"),
    "wrong length": (script(HEAD + b"Content-Length: 5\r\n\r\nab"), "middle of its answer"),
    "half a chunk": (
        script(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
        "middle of its answer",
    ),
    "bad chunk": (
        script(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n"),
        "middle of its answer",
    ),
    "closes": (script(b""), "closed the connection without an answer"),
    "too many headers": (script(HEAD + b"A: b\r\n" * 5000 + b"\r\n", wait=True), "headers"),
    "header flood": (flood(HEAD, b"A: b\r\n" * 1000), "headers"),
    "long header": (flood(HEAD + b"A: ", b"b" * 65536), "headers"),
    "long status line": (flood(b"HTTP/1.1 200 ", b"O" * 65536), "headers"),
    "huge body announced": (script(HEAD + b"Content-Length: 99999999999999\r\n\r\n"), "longer"),
    "endless length": (script(HEAD + b"Content-Length: " + b"9" * 6000 + b"\r\n\r\n"), "longer"),
    "endless body": (flood(HEAD + b"Connection: close\r\n\r\n", b"x" * 65536), "longer"),
    "endless chunks": (
        flood(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        "longer",
    ),
    "unknown encoding": (
        script(HEAD + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx"),
        "not asked for: 'br'",
    ),
    "not gzip at all": (
        script(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"),
        "not HTTP",
    ),
    "redirect": (
        script(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/b\r\nContent-Length: 0\r\n\r\n"
        ),
        r"redirects to 'http://127\.0\.0\.1:1/b' \(HTTP 302\).*set url",
    ),
    "redirect nowhere": (
        script(b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n"),
        r"redirects to 'nowhere'",
    ),
}


@pytest.mark.parametrize(("behaviour", "words"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_answer_is_told_in_plain_words(hostile, client_of, behaviour, words, wait_until):
    client = client_of(hostile(behaviour).url)
    with pytest.raises(TransientError, match=words):
        ask(client)
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("http-")])


def test_a_redirect_to_itself_is_asked_once(hostile, client_of):
    def again(platform, sock):
        while platform.read_request(sock):
            sock.sendall(b"HTTP/1.1 307 T\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n")

    platform = hostile(again)
    with pytest.raises(TransientError, match="redirects to '/a'"):
        ask(client_of(platform.url))
    assert platform.requests == 1


def compressed(data: bytes, *, encoding: bytes = b"gzip"):
    return script(
        HEAD
        + b"Content-Encoding: "
        + encoding
        + b"\r\nContent-Length: %d\r\n\r\n" % len(data)
        + data
    )


@pytest.mark.parametrize(
    ("data", "encoding"),
    [(gzip.compress(b"{}" * 500), b"gzip"), (zlib.compress(b"{}" * 500), b"deflate")],
)
def test_an_answer_that_is_compressed_unasked_is_read(hostile, client_of, data, encoding):
    client = client_of(hostile(compressed(data, encoding=encoding)).url, max_body_bytes=1000)
    assert ask(client).body == b"{}" * 500


def test_a_bomb_of_gzip_goes_off_nowhere(hostile, client_of):
    bomb = gzip.compress(b"\x00" * 50_000_000)
    with pytest.raises(TransientError, match="longer than 1000 bytes"):
        ask(client_of(hostile(compressed(bomb)).url, max_body_bytes=1000))


def test_half_of_a_compressed_answer_is_not_taken_for_all(hostile, client_of):
    data = gzip.compress(bytes(range(256)) * 4)[:-12]
    with pytest.raises(TransientError, match="ends too early"):
        ask(client_of(hostile(compressed(data)).url))


def test_after_a_bad_answer_the_next_one_is_its_own(hostile, client_of):
    def first_too_long(platform, sock):
        while platform.read_request(sock):
            if platform.requests == 1:
                sock.sendall(HEAD + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000)
            else:
                sock.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")

    platform = hostile(first_too_long)
    client = client_of(platform.url, max_body_bytes=1000)
    with pytest.raises(TransientError, match="longer"):
        ask(client)
    assert ask(client).body == b"{}"


def test_bytes_after_an_answer_are_not_taken_for_the_next(hostile, client_of):
    def two_at_once(platform, sock):
        while platform.read_request(sock):
            number = b"%d" % platform.requests
            forged = HEAD + b"Content-Length: 6\r\n\r\nforged"
            sock.sendall(HEAD + b"Content-Length: 1\r\n\r\n" + number + forged)

    client = client_of(hostile(two_at_once).url)
    for number in (b"1", b"2", b"3"):
        assert ask(client).body == number
