"""The client with platforms that behave, and with names that do not."""

from __future__ import annotations

import socket
import ssl
import threading
import time

import pytest

from agent.errors import PermanentError, TransientError
from agent.transport.client import HttpClient


def ask(client: HttpClient, path: str = "/a", *, body=None, headers=None, deadline_seconds=20.0):
    return client.exchange(
        "POST" if body else "GET",
        path,
        body=body,
        headers=headers or {},
        deadline_seconds=deadline_seconds,
    )


def ok(platform, sock, *, extra=b"", body=b"{}"):
    sock.sendall(b"HTTP/1.1 200 OK\r\n" + extra + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def polite(platform, sock):
    while platform.read_request(sock):
        ok(platform, sock)


def test_an_answer_comes_back_whole(serve, client_of):
    server = serve()
    client = client_of(f"http://127.0.0.1:{server.port}/base/")
    answer = ask(client, "/a", body=b"body")
    assert (answer.status, answer.body) == (200, b"POST /base/a 4 body")
    assert answer.headers["content-type"] == "text/plain"


def test_only_what_is_asked_for_is_sent(hostile, client_of, monkeypatch, tmp_path):
    seen = []

    def keep(platform, sock):
        while data := platform.read_request(sock):
            seen.append(data)
            ok(platform, sock, extra=b"Set-Cookie: a=b\r\n")

    (tmp_path / "netrc").write_text("default login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    client = client_of(hostile(keep).url)
    ask(client, headers={"Authorization": "Bearer x"})
    ask(client)
    lines = [set(data.decode().lower().split("\r\n")[1:-2]) for data in seen]
    common = {
        f"host: {client._host}:{client._port}",
        "user-agent: test/1",
        "accept: */*",
        "accept-encoding: identity",
    }
    assert lines == [common | {"authorization: bearer x"}, common]


def test_one_connection_serves_many_exchanges(hostile, client_of):
    platform = hostile(polite)
    client = client_of(platform.url)
    for _ in range(5):
        assert ask(client).body == b"{}"
    assert (platform.connections, platform.requests) == (1, 5)


def test_one_tls_connection_serves_many_exchanges(hostile, client_of, tls, certificates):
    platform = hostile(polite, context=tls)
    client = client_of(platform.url, ca_file=certificates.ca)
    for _ in range(5):
        assert ask(client).body == b"{}"
    assert platform.connections == 1


def test_a_kept_connection_that_closes_at_the_next_request_is_made_anew(hostile, client_of):
    def one_answer(platform, sock):
        platform.read_request(sock)
        ok(platform, sock)
        # The request arrives, and the connection goes without a word.
        platform.read_request(sock)

    platform = hostile(one_answer)
    client = client_of(platform.url)
    assert [ask(client, body=b"x").status for _ in range(3)] == [200, 200, 200]
    assert platform.connections == 3


def test_a_fresh_connection_that_closes_is_not_tried_again(hostile, client_of):
    platform = hostile(lambda platform, sock: platform.read_request(sock))
    with pytest.raises(TransientError, match="closed the connection without an answer"):
        ask(client_of(platform.url))
    assert platform.connections == 1


def test_mutual_tls_shows_our_certificate(serve, client_of, mutual_tls, certificates):
    server = serve(ssl_context=mutual_tls)
    url = f"https://localhost:{server.port}"
    client = client_of(url, ca_file=certificates.ca, client_certificate=certificates.client)
    assert b"'commonName', 'client'" in ask(client, "/client").body
    with pytest.raises(TransientError):
        ask(client_of(url, ca_file=certificates.ca))


def test_certificates_that_do_not_fit_say_what_to_do(serve, client_of, certificates):
    def url_of(certificate: str) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        return f"https://localhost:{serve(ssl_context=context).port}"

    with pytest.raises(TransientError, match="not for localhost"):
        ask(client_of(url_of(certificates.wrong_name), ca_file=certificates.ca))
    with pytest.raises(TransientError, match="has expired"):
        ask(client_of(url_of(certificates.expired), ca_file=certificates.ca))
    with pytest.raises(TransientError, match="set ca_file"):
        ask(client_of(url_of(certificates.server)))


def test_tls_to_a_plain_port_is_told(serve, client_of):
    with pytest.raises(TransientError, match="does not speak TLS on this port"):
        ask(client_of(f"https://localhost:{serve().port}"))


def test_nobody_listening_is_said(client_of):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TransientError, match=f"127.0.0.1:{port} refused the connection"):
        ask(client_of(f"http://127.0.0.1:{port}"))


def test_a_name_that_is_not_found_is_said(client_of):
    def unknown(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(TransientError, match=r"the name platform\.example was not found"):
        ask(client_of("http://platform.example", resolver=unknown))


def test_a_network_without_route_is_said(client_of, monkeypatch):
    class Unreachable(socket.socket):
        def connect(self, address):
            raise OSError(101, "Network is unreachable")

    client = client_of("http://127.0.0.1:9")
    monkeypatch.setattr(socket, "socket", Unreachable)
    with pytest.raises(TransientError, match="no route"):
        ask(client)


def test_the_second_address_is_tried_when_the_first_refuses(hostile, client_of):
    platform = hostile(polite)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead = taken.getsockname()[1]

    def two(host, port):
        stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*stream, ("127.0.0.1", dead)), (*stream, ("127.0.0.1", port))]

    assert ask(client_of(platform.url, resolver=two)).status == 200


def test_resolvers_that_hang_cost_a_few_threads_and_no_more(client_of, wait_until):
    release = threading.Event()
    before = threading.active_count()

    def hang(host, port):
        release.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    client = client_of("http://platform.example", resolver=hang)
    for _ in range(3):
        start = time.monotonic()
        with pytest.raises(TransientError, match=r"while resolving platform\.example"):
            ask(client, deadline_seconds=0.2)
        assert time.monotonic() - start < 5
    for _ in range(3):
        with pytest.raises(TransientError, match="still hang in the resolver"):
            ask(client, deadline_seconds=20)
    with pytest.raises(TransientError, match="still hang in the resolver"):
        client.local_address(deadline_seconds=20)
    assert threading.active_count() == before + 3
    release.set()
    wait_until(lambda: threading.active_count() == before)
    with pytest.raises(TransientError, match="not found"):
        ask(client)


def test_the_address_that_routes_to_the_platform_is_found(hostile, client_of):
    platform = hostile(polite)
    client = client_of(platform.url)
    with pytest.raises(TransientError, match=r"set node\.address"):
        client.route_address()
    assert client.local_address(deadline_seconds=20) == "127.0.0.1"
    assert client.route_address() == "127.0.0.1"
    assert platform.connections == 0


def test_an_exchange_teaches_the_route(hostile, client_of):
    client = client_of(hostile(polite).url)
    ask(client)
    assert client.route_address() == "127.0.0.1"


def test_a_platform_with_ipv6_alone_asks_for_an_address(client_of):
    def only_ipv6(host, port):
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", port, 0, 0))]

    client = client_of("http://platform.example", resolver=only_ipv6)
    with pytest.raises(TransientError, match=r"no known IPv4 address.*set node\.address"):
        client.local_address(deadline_seconds=20)


def test_closing_ends_what_is_running(hostile, client_of, wait_until):
    platform = hostile(lambda platform, sock: platform.over.wait(60))
    client = client_of(platform.url)
    outcome = []

    def run() -> None:
        try:
            ask(client, deadline_seconds=60)
        except TransientError as error:
            outcome.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: platform.connections == 1)
    client.close()
    thread.join(20)
    assert outcome == ["the client was closed"]
    with pytest.raises(TransientError, match="was closed"):
        ask(client)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer a\r\nX: y"},
        {"Authorization": "Bearer \u4ee4\u724c"},
        {"A b": "secret"},
        {"Authorization": " x"},
        {"Authorization": "a\x00"},
    ],
)
def test_a_header_that_would_break_the_request_is_refused_without_showing_it(client_of, headers):
    with pytest.raises(PermanentError, match="does not allow") as caught:
        ask(client_of("http://127.0.0.1:9"), headers=headers)
    assert next(iter(headers.values())) not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["", "platform", "ftp://platform", "http://", "http://u:p@platform", "http://a:99999",
     "http://a/?x=1", "http://a/#x"],
)  # fmt: skip
def test_a_base_url_that_cannot_be_one_is_refused(url):
    with pytest.raises(PermanentError):
        HttpClient(base_url=url, user_agent="test/1")


def test_files_of_tls_that_cannot_be_used_are_named(tmp_path, certificates):
    def make(**files):
        return HttpClient(base_url="https://platform.example", user_agent="test/1", **files)

    missing = str(tmp_path / "missing.pem")
    with pytest.raises(PermanentError, match=r"ca_file .*missing\.pem"):
        make(ca_file=missing)
    with pytest.raises(PermanentError, match=r"client_certificate .*missing\.pem"):
        make(client_certificate=missing)
    with pytest.raises(PermanentError, match=r"client_certificate .*ca\.pem"):
        make(client_certificate=certificates.ca)
