"""Bodies over the limit: who may send them, how slowly, how many, and what is left of them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import tracemalloc
from pathlib import Path

import pytest

from agent.errors import NoRoomError, TransientError
from agent.transport.refusals import Refusal
from agent.transport.uploads import UploadAllowance, UploadFolder, Uploads

MIB = 1024 * 1024
LIMIT = 1000
MAXIMUM = 32 * MIB
BIG = b"0123456789abcdef" * 4096


def digest(environ, start_response):
    """Answer with length and digest of the body, and with who was let in."""
    total, check = 0, hashlib.md5(usedforsecurity=False)
    while piece := environ["wsgi.input"].read(65536):
        total += len(piece)
        check.update(piece)
    answer = f"{total} {check.hexdigest()} {environ['computility.granted_to']}".encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]


def admit(method, path, headers, peer):
    """Let in who shows the key; refuse who shows another one; say nothing of the rest."""
    key = headers.get("X_KEY")
    if key is None:
        return None
    if key != "good" or (method, path, peer) != ("POST", "/up", "127.0.0.1"):
        return Refusal(status=401, message="wrong key", headers=(("WWW-Authenticate", "Key"),))
    return UploadAllowance(maximum_bytes=MAXIMUM, minimum_bytes_per_second=10_000, granted_to="me")


def head(length=None, *, key="good", extra=b""):
    body = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
    shown = b"" if key is None else b"X-Key: " + key.encode() + b"\r\n"
    return b"POST /up HTTP/1.1\r\nHost: x\r\n" + shown + body + b"\r\n" + extra + b"\r\n"


def expected(body, *, granted="me"):
    check = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return f"{len(body)} {check} {granted}".encode()


@pytest.fixture
def folder(tmp_path):
    return UploadFolder(tmp_path / "uploads", minimum_free_bytes=0)


@pytest.fixture
def uploads(folder):
    return Uploads(admit=admit, folder=folder)


@pytest.fixture(params=["plain", "tls"])
def transport(request, tls):
    return {"ssl_context": tls} if request.param == "tls" else {}


def test_a_large_body_of_a_caller_who_may_is_taken(
    serve, connect, uploads, folder, transport, wait_until
):
    server = serve(digest, uploads=uploads, max_body_bytes=LIMIT, **transport)
    client = connect(server, tls=bool(transport))
    for _ in range(2):
        assert client.send(head(len(BIG)) + BIG).answer().body == expected(BIG)
    wait_until(lambda: folder.open_count == 0)
    small = b"x" * 10
    assert client.send(head(len(small)) + small).answer().body == expected(small, granted="None")


def test_a_chunked_body_is_taken_too_and_counted(serve, connect, folder, uploads, wait_until):
    server = serve(digest, uploads=uploads, max_body_bytes=LIMIT)
    chunk = b"%x\r\n" % len(BIG) + BIG + b"\r\n"
    client = connect(server).send(head() + chunk * 2 + b"0\r\n\r\n")
    assert client.answer().body == expected(BIG * 2)
    wait_until(lambda: folder.open_count == 0)


def test_a_stranger_fills_no_disk(serve, connect, uploads, folder, transport):
    server = serve(digest, uploads=uploads, max_body_bytes=LIMIT, **transport)
    secure = bool(transport)
    answer = connect(server, tls=secure).send(head(len(BIG), key="bad")).answer()
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Key")
    assert connect(server, tls=secure).send(head(len(BIG), key=None)).answer().status == 413
    assert connect(server, tls=secure).send(head(key="bad")).answer().status == 401
    assert folder.open_count == 0


def test_a_body_over_the_allowance_is_refused_at_its_headers_or_where_it_passes_it(
    serve, connect, folder
):
    def small(*_):
        return UploadAllowance(maximum_bytes=2000, minimum_bytes_per_second=1)

    server = serve(digest, uploads=Uploads(admit=small, folder=folder), max_body_bytes=LIMIT)
    assert connect(server).send(head(2001)).answer().status == 413
    chunk = b"7d0\r\n" + b"x" * 2000 + b"\r\n"
    assert connect(server).send(head() + chunk + chunk).answer().status == 413
    assert connect(server).send(head(2000) + b"x" * 2000).answer().status == 200


def test_a_body_that_is_too_long_on_any_disk_is_not_blamed_on_the_disk(tmp_path, serve, connect):
    full = UploadFolder(tmp_path, minimum_free_bytes=1 << 60)
    server = serve(digest, uploads=Uploads(admit=admit, folder=full), max_body_bytes=LIMIT)
    assert connect(server).send(head(MAXIMUM + 1)).answer().status == 413
    assert connect(server).send(head(MAXIMUM)).answer().status == 507


def test_the_client_is_told_to_go_on_only_where_it_may(serve, connect, uploads):
    server = serve(digest, uploads=uploads, max_body_bytes=LIMIT)
    expect = b"Expect: 100-continue\r\n"
    client = connect(server).send(head(len(BIG), extra=expect))
    assert client.answer().status == 100
    assert client.send(BIG).answer().body == expected(BIG)
    refused = connect(server).send(head(len(BIG), key="bad", extra=expect))
    assert refused.answer().status == 401


def test_no_more_uploads_at_a_time_than_may_be(serve, connect, uploads, folder, wait_until):
    server = serve(digest, uploads=uploads, max_body_bytes=LIMIT)
    started = [connect(server).send(head(len(BIG)) + BIG[:100]) for _ in range(2)]
    wait_until(lambda: folder.open_count == 2)
    refused = connect(server).send(head(len(BIG))).answer()
    assert refused.status == 503
    assert int(refused.headers["retry-after"]) > 0
    # Others are served meanwhile.
    assert connect(server).send(head(1) + b"x").answer().status == 200
    for client in started:
        assert client.send(BIG[100:]).answer().body == expected(BIG)
    wait_until(lambda: folder.open_count == 0)


def test_an_upload_may_take_longer_than_any_other_request(serve, connect, uploads):
    # Only a machine that stands still for seconds could miss a stretch.
    server = serve(digest, uploads=uploads, max_body_bytes=LIMIT, request_seconds=3.0)
    client = connect(server).send(head(len(BIG)))
    pause = threading.Event()
    for piece in range(8):
        client.send(BIG[piece * 8192 : (piece + 1) * 8192])
        pause.wait(0.5)
    assert client.answer().body == expected(BIG)


def test_an_upload_that_drips_in_is_cut(serve, connect, uploads, folder, wait_until):
    server = serve(digest, uploads=uploads, max_body_bytes=LIMIT, request_seconds=0.5)
    dripping = connect(server).send(head(len(BIG)))
    wait_until(lambda: folder.open_count == 1)
    over = threading.Event()

    def drip() -> None:
        with contextlib.suppress(OSError):
            while not over.wait(0.02):
                dripping.sock.send(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        assert dripping.answer().status == 408
    finally:
        over.set()
        thread.join()
    wait_until(lambda: folder.open_count == 0)


def test_an_upload_that_breaks_off_leaves_nothing(serve, connect, uploads, folder, wait_until):
    server = serve(digest, uploads=uploads, max_body_bytes=LIMIT)
    for _ in range(3):
        client = connect(server).send(head(len(BIG)) + BIG[:-1])
        wait_until(lambda: folder.open_count == 1)
        client.sock.close()
        wait_until(lambda: folder.open_count == 0)


def test_a_server_that_stops_keeps_no_upload(serve, connect, uploads, folder, wait_until):
    server = serve(digest, uploads=uploads, max_body_bytes=LIMIT)
    connect(server).send(head(len(BIG)) + BIG[:-1])
    wait_until(lambda: folder.open_count == 1)
    server.stop(timeout_seconds=0.2)
    assert folder.open_count == 0


def test_an_application_that_fails_leaves_nothing(serve, connect, uploads, folder, wait_until):
    def fail(_environ, _start_response):
        raise ZeroDivisionError

    server = serve(fail, uploads=uploads, max_body_bytes=LIMIT)
    assert connect(server).send(head(len(BIG)) + BIG).answer().status == 500
    wait_until(lambda: folder.open_count == 0)


def test_an_upload_makes_no_room_for_newcomers(serve, connect, uploads, folder, wait_until):
    server = serve(digest, uploads=uploads, max_body_bytes=LIMIT, connections=4)
    client = connect(server).send(head(len(BIG)) + BIG[:100])
    wait_until(lambda: folder.open_count == 1)
    # They came later and are as busy, so the upload would be the first to go.
    for _ in range(3):
        connect(server).send(head(10) + b"half")
    for _ in range(3):
        assert connect(server).send(head(1) + b"x").answer().status == 200
    assert client.send(BIG[100:]).answer().body == expected(BIG)


def test_memory_does_not_grow_with_the_body(serve, connect, uploads):
    server = serve(digest, uploads=uploads, max_body_bytes=LIMIT)
    client = connect(server)
    client.send(head(len(BIG)) + BIG).answer()
    piece, whole = bytes(MIB), expected(bytes(24 * MIB))
    tracemalloc.start()
    try:
        client.send(head(24 * MIB))
        for _ in range(24):
            client.send(piece)
        assert client.answer().body == whole
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * MIB


def test_no_file_of_an_upload_has_a_name(folder, tmp_path):
    folder.prepare()
    spool = folder.open(expected_bytes=10)
    spool.append(b"0123456789")
    assert list((tmp_path / "uploads").iterdir()) == []
    assert spool.getfile().read() == b"0123456789"
    spool.close()
    spool.close()
    assert folder.open_count == 0
    with pytest.raises(NoRoomError):
        spool.append(b"x")


def test_what_was_left_is_removed_at_the_start(folder, tmp_path):
    left = tmp_path / "uploads" / "left"
    left.parent.mkdir()
    left.write_bytes(b"x")
    folder.prepare()
    assert not left.exists()


def test_a_disk_without_room_takes_no_upload(tmp_path, serve, connect):
    free = os.statvfs(tmp_path)
    full = UploadFolder(
        tmp_path, minimum_free_bytes=free.f_bavail * free.f_frsize + (1 << 40), parallel=1
    )
    with pytest.raises(NoRoomError, match="MiB"):
        full.open(expected_bytes=1)
    server = serve(digest, uploads=Uploads(admit=admit, folder=full), max_body_bytes=LIMIT)
    assert connect(server).send(head(len(BIG))).answer().status == 507


def test_room_that_was_promised_to_one_upload_is_not_promised_to_another(tmp_path):
    status = os.statvfs(tmp_path)
    free_bytes = status.f_bavail * status.f_frsize
    folder = UploadFolder(tmp_path, minimum_free_bytes=0)
    first = folder.open(expected_bytes=free_bytes // 4)
    with pytest.raises(NoRoomError):
        folder.open(expected_bytes=free_bytes // 2)
    first.close()
    folder.open(expected_bytes=free_bytes // 4).close()


def test_a_disk_that_fills_up_ends_the_upload(tmp_path, serve, connect, folder, wait_until):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this machine has no /dev/full")

    class Full(UploadFolder):
        def open(self, *, expected_bytes):
            spool = super().open(expected_bytes=expected_bytes)
            spool._file.close()
            spool._file = full.open("wb", buffering=0)
            return spool

    broken = Full(tmp_path, minimum_free_bytes=0)
    server = serve(digest, uploads=Uploads(admit=admit, folder=broken), max_body_bytes=LIMIT)
    answer = connect(server).send(head(len(BIG)) + BIG[:100]).answer()
    assert answer.status == 507
    wait_until(lambda: broken.open_count == 0)


def test_one_upload_too_many_says_when_to_come_again(folder):
    folder.prepare()
    kept = [folder.open(expected_bytes=None) for _ in range(2)]
    with pytest.raises(TransientError) as caught:
        folder.open(expected_bytes=None)
    assert caught.value.retry_after_seconds
    for spool in kept:
        spool.close()
