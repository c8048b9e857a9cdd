"""Files from servers that break off, lie, drip or redirect."""

from __future__ import annotations

import base64
import threading
import time

import pytest

from agent.errors import PermanentError, TransientError
from agent.transport.download import Cancellation, Downloader, OriginAccess, Pace, Resume
from tests.file_server import FileServer

CONTENT = bytes(range(256)) * 4096
OK = b"HTTP/1.1 200 OK\r\n"
QUICK = Pace(head_seconds=0.5, bytes_per_second=1000, window_seconds=0.3)


class Basket:
    """Takes what comes, behind what was there."""

    def __init__(self, start=b""):
        self.data = bytearray(start)
        self.beginnings = []
        self.on_write = lambda: None

    def begin(self, beginning):
        self.beginnings.append(beginning)
        del self.data[beginning.offset_bytes :]

    def write(self, piece):
        self.data += piece
        self.on_write()


@pytest.fixture
def serve():
    servers = []

    def start(content=CONTENT, **options):
        servers.append(FileServer(content, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def downloader(*, access=None, pace=None, **options):
    known = access or {}
    return Downloader(
        user_agent="test/1", credentials_for=known.get, pace=pace or Pace(), **options
    )


def fetch(url, basket, *, resume=None, cancellation=None, **options):
    downloader(**options).fetch(
        url, resume=resume, sink=basket, cancellation=cancellation or Cancellation()
    )


def test_a_file_comes_whole_with_its_length_and_validator(serve):
    server, basket = serve(), Basket()
    fetch(server.url, basket)
    assert basket.data == CONTENT
    assert (basket.beginnings[0].total_bytes, basket.beginnings[0].validator) == (
        len(CONTENT),
        '"one"',
    )
    assert server.asked[0].headers["accept-encoding"] == "identity"
    assert "range" not in server.asked[0].headers


def test_what_lacks_is_asked_for_on_condition_of_the_same_version(serve):
    server, basket = serve(), Basket(CONTENT[:1000])
    fetch(server.url, basket, resume=Resume(offset_bytes=1000, validator='"one"'))
    assert basket.data == CONTENT
    assert basket.beginnings[0].offset_bytes == 1000
    assert server.asked[0].headers["if-range"] == '"one"'
    assert server.asked[0].headers["range"] == "bytes=1000-"


def test_another_version_begins_anew(serve):
    server, basket = serve(), Basket(b"x" * 1000)
    fetch(server.url, basket, resume=Resume(offset_bytes=1000, validator='"zero"'))
    assert basket.data == CONTENT
    assert len(server.asked) == 1


WRONG_PARTS = {
    "another offset": b"Content-Range: bytes 7-9/*\r\nContent-Length: 3\r\n\r\nxyz",
    "another length": b"Content-Range: bytes 5-9/*\r\nContent-Length: 3\r\n\r\nxyz",
    "another total": b"Content-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\nvwxyz",
    "no range": b"Content-Length: 3\r\n\r\nxyz",
    "nonsense": b"Content-Range: bytes 9-5/10\r\nContent-Length: 3\r\n\r\nxyz",
    "another tag": b'ETag: "two"\r\nContent-Range: bytes 5-9/*\r\nContent-Length: 5\r\n\r\nvwxyz',
}


@pytest.mark.parametrize("answer", WRONG_PARTS.values(), ids=WRONG_PARTS.keys())
def test_a_wrong_part_is_not_taken_and_all_is_fetched(serve, answer):
    server, basket = serve(), Basket(CONTENT[:5])

    def lie(asked, sock):
        if "range" in asked.headers:
            sock.sendall(b"HTTP/1.1 206 Part\r\n" + answer)
        else:
            server.serve(asked, sock)

    server.answer = lie
    resume = Resume(offset_bytes=5, validator='"one"', total_bytes=len(CONTENT))
    fetch(server.url, basket, resume=resume)
    assert basket.data == CONTENT
    assert len(basket.beginnings) == 1


def test_nothing_is_left_to_fetch_of_a_file_that_is_here(serve):
    server, basket = serve(), Basket(CONTENT)
    fetch(server.url, basket, resume=Resume(offset_bytes=len(CONTENT), validator='"one"'))
    assert basket.data == CONTENT
    assert len(server.asked) == 1


def test_more_than_the_server_has_begins_anew(serve):
    server, basket = serve(), Basket(CONTENT + b"x")
    fetch(server.url, basket, resume=Resume(offset_bytes=len(CONTENT) + 1))
    assert basket.data == CONTENT


def test_a_part_that_nobody_asked_for_is_refused(serve):
    server = serve()
    server.always(b"HTTP/1.1 206 Part\r\nContent-Range: bytes 0-2/9\r\n\r\nxyz")
    with pytest.raises(TransientError, match="all was asked for"):
        fetch(server.url, Basket())


def test_chunks_without_a_length_come_whole(serve):
    server, basket = serve(), Basket()
    server.always(
        OK
        + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
        + b"4\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n"
    )
    fetch(server.url, basket)
    assert basket.data == b"abcdef"
    assert basket.beginnings[0].total_bytes is None


BROKEN = {
    "length": (OK + b"Content-Length: 9\r\n\r\nabc", "broke off after 3 bytes"),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nab", "broke off"),
    "chunk size": (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "broke off|not HTTP"),
    "no answer": (b"", "without an answer"),
    "no HTTP": (b"hello\r\n\r\n", "not HTTP"),
    "length without sense": (OK + b"Content-Length: x\r\n\r\nabc", "no number"),
}


@pytest.mark.parametrize(("data", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_answer_is_worth_another_try(serve, data, words):
    server = serve()
    server.always(data)
    with pytest.raises(TransientError, match=words):
        fetch(server.url, Basket())


def test_what_came_before_the_break_is_given(serve):
    server, basket = serve(), Basket()
    server.break_after = lambda asked: 12345
    with pytest.raises(TransientError, match="broke off"):
        fetch(server.url, basket)
    assert basket.data == CONTENT[:12345]


SLOW = {
    "silent head": (b"", b"", "in time"),
    "dripping head": (OK, b"A: b\r\n", "in time|more than|not HTTP|too large"),
    "continues for ever": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", "in time"),
    "dripping body": (OK + b"Content-Length: 99999\r\n\r\n", b"x", "too slow"),
    "dripping chunk size": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0", "too slow"),
    "dripping trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n", "too slow"),
    "silent body": (OK + b"Content-Length: 99999\r\n\r\nx", b"", "too slow"),
}


@pytest.mark.parametrize(("start", "piece", "words"), SLOW.values(), ids=SLOW.keys())
def test_a_server_that_drips_is_left(serve, start, piece, words):
    server = serve()
    server.drip(start, piece)
    with pytest.raises(TransientError, match=words):
        fetch(server.url, Basket(), pace=QUICK)


def test_a_steady_server_is_read_for_longer_than_a_window(serve):
    server, basket = serve(), Basket()

    def steady(asked, sock):
        sock.sendall(OK + b"Content-Length: 100000\r\n\r\n")
        for _ in range(50):
            server.over.wait(0.01)
            sock.sendall(b"x" * 2000)

    server.answer = steady
    fetch(server.url, basket, pace=Pace(bytes_per_second=1, window_seconds=0.05))
    assert len(basket.data) == 100_000


def test_trailers_without_an_end_are_left_however_fast(serve):
    server = serve()
    server.drip(
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n" * 100_000, seconds=0.0001
    )
    with pytest.raises(TransientError, match="without an end"):
        fetch(server.url, Basket())


def test_time_in_which_nobody_reads_is_not_the_server_s(serve):
    server, basket = serve(CONTENT * 8), Basket()
    pause = threading.Event()
    basket.on_write = lambda: pause.wait(0.1)
    fetch(server.url, basket, pace=Pace(window_seconds=0.05, bytes_per_second=1e9))
    assert basket.data == CONTENT * 8


STATUSES = {
    400: PermanentError, 401: PermanentError, 403: PermanentError, 404: PermanentError,
    410: PermanentError, 204: PermanentError, 304: PermanentError,
    408: TransientError, 425: TransientError, 429: TransientError,
    500: TransientError, 502: TransientError, 503: TransientError,
}  # fmt: skip


@pytest.mark.parametrize(("status", "error"), STATUSES.items())
def test_a_status_says_whether_to_try_again(serve, status, error):
    server = serve()
    server.always(f"HTTP/1.1 {status} X\r\nRetry-After: 7\r\n\r\n".encode())
    with pytest.raises(error, match=f"HTTP {status}") as caught:
        fetch(server.url, Basket())
    if error is TransientError:
        assert caught.value.retry_after_seconds == 7.0


@pytest.mark.parametrize(
    ("user", "is_renewed", "error"),
    [("", True, TransientError), ("", False, PermanentError), ("u:p@", True, PermanentError)],
)
def test_a_server_whose_token_is_renewed_may_refuse_the_old_one(serve, user, is_renewed, error):
    server = serve()
    server.always(b"HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n")
    access = {server.url.rpartition("/")[0]: OriginAccess(is_renewed=is_renewed)}
    with pytest.raises(error, match="HTTP 401"):
        fetch(server.url.replace("//", f"//{user}"), Basket(), access=access)


def test_an_encoding_that_was_not_asked_for_is_refused(serve):
    server = serve()
    server.always(OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc")
    with pytest.raises(PermanentError, match="encoded"):
        fetch(server.url, Basket())


def redirect(server, *places, status=302):
    """Let a server redirect to each place in turn, then serve."""
    waiting = list(places)

    def answer(asked, sock):
        if waiting:
            place = waiting.pop(0)
            sock.sendall(f"HTTP/1.1 {status} Found\r\nLocation: {place}\r\n\r\n".encode())
        else:
            server.serve(asked, sock)

    server.answer = answer


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_with_the_part_that_is_asked_for(serve, status):
    server, basket = serve(), Basket(CONTENT[:9])
    redirect(server, "/算法.tar?a=b", status=status)
    fetch(server.url, basket, resume=Resume(offset_bytes=9, validator='"one"'))
    assert basket.data == CONTENT
    assert server.asked[1].target == "/%E7%AE%97%E6%B3%95.tar?a=b"
    assert server.asked[1].headers["range"] == "bytes=9-"


def test_five_redirects_are_followed_and_no_sixth(serve):
    server, basket = serve(), Basket()
    redirect(server, *["/next"] * 5)
    fetch(server.url, basket)
    assert basket.data == CONTENT
    redirect(server, *["/next"] * 6)
    with pytest.raises(PermanentError, match="more than 5"):
        fetch(server.url, Basket())


@pytest.mark.parametrize("place", ["", "file:///etc/passwd", "ftp://host/x", "http://["])
def test_a_redirect_to_nowhere_is_refused(serve, place):
    server = serve()
    redirect(server, place)
    with pytest.raises(PermanentError, match="redirects"):
        fetch(server.url, Basket())


def test_no_redirect_leads_out_of_tls(serve, tls, certificates):
    secure, plain = serve(context=tls), serve()
    redirect(secure, plain.url)
    access = {f"https://localhost:{secure.port}": OriginAccess(ca_file=certificates.ca)}
    with pytest.raises(PermanentError, match="https:// to http://"):
        fetch(secure.url, Basket(), access=access)
    assert plain.asked == []


def test_credentials_stay_with_the_server_they_are_for(serve):
    first, second = serve(), serve()
    token = OriginAccess(headers={"X-Token": "t0ken"})
    access = {f"http://localhost:{server.port}": token for server in (first, second)}
    redirect(first, "/again", second.url)
    redirect(second, first.url)
    fetch(first.url, Basket(), access=access)
    assert [asked.headers.get("x-token") for asked in first.asked] == ["t0ken", "t0ken", None]
    assert [asked.headers.get("x-token") for asked in second.asked] == [None]


def test_a_password_in_the_address_is_sent_and_dropped_at_another_server(serve):
    first, second = serve(), serve()
    redirect(first, "/again", second.url)
    fetch(first.url.replace("//", "//us%20er:p%40ss@"), Basket())
    expected = "Basic " + base64.b64encode(b"us er:p@ss").decode()
    assert [asked.headers.get("authorization") for asked in first.asked] == [expected] * 2
    assert "authorization" not in second.asked[0].headers
    assert first.asked[0].target == "/file.tar"


@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_no_error_shows_a_password(serve, status):
    server = serve()
    server.always(f"HTTP/1.1 {status} X\r\nContent-Length: 9\r\n\r\n".encode())
    with pytest.raises((PermanentError, TransientError)) as caught:
        fetch(server.url.replace("//", "//user:hunter2@") + "?sig=hunter2", Basket())
    assert "hunter2" not in repr(caught.value) + str(caught.value)


def test_a_known_server_gets_its_token_under_its_private_ca(serve, mutual_tls, certificates):
    server, basket = serve(context=mutual_tls), Basket()
    known = OriginAccess(
        headers={"Authorization": "Bearer t"},
        ca_file=certificates.ca,
        client_certificate=certificates.client,
    )
    fetch(server.url, basket, access={f"https://localhost:{server.port}": known})
    assert basket.data == CONTENT
    assert server.asked[0].headers["authorization"] == "Bearer t"


def test_an_unknown_ca_is_not_trusted(serve, tls):
    server = serve(context=tls)
    with pytest.raises(TransientError, match="not trusted"):
        fetch(server.url, Basket())
    assert server.asked == []


def test_nothing_is_taken_from_the_environment(serve, monkeypatch, tmp_path):
    server, basket = serve(), Basket()
    (tmp_path / ".netrc").write_text("machine localhost login a password b\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    fetch(server.url, basket)
    assert basket.data == CONTENT
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize("start", [b"", OK + b"Content-Length: 99\r\n\r\nx"], ids=["head", "body"])
def test_any_thread_ends_it_at_once(serve, start):
    server, cancellation = serve(), Cancellation()
    server.always(start, wait=True)

    def cancel():
        while not server.asked:
            threading.Event().wait(0.01)
        cancellation.cancel("enough")

    thread = threading.Thread(target=cancel)
    thread.start()
    began = time.monotonic()
    with pytest.raises(TransientError, match="enough"):
        fetch(server.url, Basket(), cancellation=cancellation)
    assert time.monotonic() - began < 10.0
    thread.join()


def test_a_resolver_that_hangs_holds_nobody_up():
    release, asked, cancellation = threading.Event(), threading.Event(), Cancellation()

    def hang(host, port):
        asked.set()
        release.wait(60)
        return []

    def cancel():
        asked.wait(20)
        cancellation.cancel("enough")

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(TransientError, match="enough"):
        fetch("http://host.example/x", Basket(), cancellation=cancellation, resolver=hang)
    release.set()
    thread.join()


def test_what_is_cancelled_does_not_begin(serve):
    server, cancellation = serve(), Cancellation()
    cancellation.cancel("enough")
    with pytest.raises(TransientError, match="enough"):
        fetch(server.url, Basket(), cancellation=cancellation)


def small(url, *, maximum_bytes=100, deadline_seconds=20.0, **options):
    return downloader(**options).fetch_small(
        url, maximum_bytes=maximum_bytes, deadline_seconds=deadline_seconds
    )


def test_a_small_file_is_returned(serve):
    assert small(serve(b"licence").url) == b"licence"


@pytest.mark.parametrize("head", [b"Content-Length: 101\r\n\r\n", b"\r\n"])
def test_a_small_file_that_is_not_small_is_refused(serve, head):
    server = serve()
    server.always(OK + head + b"x" * 101)
    with pytest.raises(PermanentError, match="larger than 100"):
        small(server.url)


def test_a_small_file_comes_within_its_deadline_or_not(serve):
    server = serve()
    server.drip(OK + b"Content-Length: 9999999\r\n\r\n", b"x")
    with pytest.raises(TransientError, match="in time"):
        small(server.url, deadline_seconds=0.3, maximum_bytes=10**8)


@pytest.mark.parametrize(
    "url", ["", "x", "ftp://a/b", "http://", "http:///x", "http://a:99999/", "http://a b/", "/x"]
)
def test_what_is_no_address_is_refused_without_being_shown(url):
    with pytest.raises(PermanentError, match="no http:// or https:// URL"):
        fetch(url, Basket())
