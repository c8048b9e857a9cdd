"""An HTTP client for one platform, with a deadline over everything that an exchange does."""

from __future__ import annotations

import http.cookiejar
import re
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import requests
import requests.cookies

from agent.errors import AgentError, PermanentError, TransientError
from agent.transport import exchange as exchanges
from agent.transport.answer import HttpAnswer
from agent.transport.body import read_body
from agent.transport.connections import CurrentExchange, PlatformAdapter, make_pool
from agent.transport.exchange import Exchange
from agent.transport.failures import describe, was_stale

__all__ = ["HttpAnswer", "HttpClient"]

# Threads that hang in the resolver and cannot be woken; a fourth would only join them.
_MAX_HANGING = 3
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?|")
_T = TypeVar("_T")


class HttpClient:
    """Talks to one platform and keeps one connection to it; safe in several threads.

    Follows no redirect, keeps no cookie and reads neither proxies nor passwords from environment
    or .netrc: what is sent, and where to, stands in the configuration and nowhere else. Files that
    cannot be used raise PermanentError in the constructor. Without `ca_file` the CAs of the system
    are trusted, with it only those in the file.
    """

    def __init__(
        self,
        *,
        base_url: str,
        user_agent: str,
        ca_file: str | None = None,
        client_certificate: str | None = None,
        client_private_key: str | None = None,
        max_body_bytes: int = 1 << 20,
        resolver: exchanges.Resolver = exchanges.resolve,
    ) -> None:
        self._base_url, self._host, self._port, is_tls = _parse_base_url(base_url)
        self._max_body_bytes = max_body_bytes
        self._resolver = resolver
        self._current = CurrentExchange()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._running: set[Exchange] = set()
        self._is_closed = False
        self._platform_ipv4: str | None = None
        context = (
            tls_context(
                ca_file=ca_file, certificate=client_certificate, private_key=client_private_key
            )
            if is_tls
            else None
        )
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.clear()
        self._session.headers.update(
            {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        )
        pool = make_pool(
            host=self._host,
            port=self._port,
            ssl_context=context,
            current=self._current,
            connect=self._connect,
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, PlatformAdapter(pool))

    def exchange(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None,
        headers: Mapping[str, str],
        deadline_seconds: float,
        is_repeatable: bool = True,
    ) -> HttpAnswer:
        """Send one request and return the whole answer, of any status but a redirect.

        `path` begins with a slash and follows the base URL. Where a kept connection turns out to be
        closed, the request is sent once more on a new one, unless it does not bear being repeated.
        Raises TransientError with what happened in plain words, PermanentError for a header that
        cannot be sent.
        """
        check_headers(headers)
        url = self._base_url + path

        def work(exchange: Exchange) -> HttpAnswer:
            self._current.exchange = exchange
            try:
                return self._send(exchange, method, url, body=body, headers=headers)
            except requests.RequestException as error:
                if not is_repeatable or exchange.is_fresh or not was_stale(error):
                    raise
            return self._send(exchange, method, url, body=body, headers=headers)

        return self._run(work, deadline_seconds=deadline_seconds)

    def local_address(self, *, deadline_seconds: float) -> str:
        """Return the IPv4 address of this host that routes to the platform; sends nothing to it.

        The name is resolved anew. Raises TransientError with advice where there is no such address.
        """

        def work(exchange: Exchange) -> str:
            self._resolve(exchange)
            return self.route_address()

        return self._run(work, deadline_seconds=deadline_seconds)

    def route_address(self) -> str:
        """Return the same address from the platform's last known one: no name is resolved.

        Never waits. Raises TransientError where no address of the platform is known yet, or none
        routes to it.
        """
        platform = self._platform_ipv4
        if platform is None:
            raise TransientError(
                f"{self._host} has no known IPv4 address, so none of ours can be told to it: "
                "set node.address"
            )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                # A datagram socket only looks up the route here.
                probe.connect((platform, self._port))
            except OSError as error:
                raise TransientError(
                    f"no route to {platform} ({error.strerror}): connect the network, or set "
                    "node.address"
                ) from error
            address: str = probe.getsockname()[0]
        return address

    def close(self) -> None:
        """Close the connection and end what is running; its callers get a TransientError."""
        with self._lock:
            self._is_closed = True
            running = list(self._running)
        for exchange in running:
            exchange.cut("the client was closed")
        self._session.close()

    def _run(self, work: Callable[[Exchange], _T], *, deadline_seconds: float) -> _T:
        exchange = Exchange(deadline_seconds=deadline_seconds)
        thread = threading.Thread(
            target=exchange.run, args=(work,), name=f"http-{self._host}", daemon=True
        )
        with self._lock:
            if self._is_closed:
                raise TransientError("the client was closed")
            self._threads = [known for known in self._threads if known.is_alive()]
            hanging = len(self._threads) - len(self._running)
            if hanging >= _MAX_HANGING:
                raise TransientError(
                    f"{hanging} earlier exchanges with {self._host} still hang in the resolver of "
                    "this machine: check its DNS servers"
                )
            try:
                thread.start()
            except RuntimeError as error:
                raise TransientError(f"no thread for the exchange: {error}") from error
            self._threads.append(thread)
            self._running.add(exchange)
        try:
            result = exchange.result()
        except AgentError:
            raise
        except Exception as error:
            raise TransientError(
                describe(error, host=self._host, port=self._port, stage=exchange.stage)
            ) from error
        finally:
            # Ended or woken by the cut, it is gone at once; in the resolver it stays behind.
            thread.join(0.2)
            with self._lock:
                self._running.discard(exchange)
        return cast(_T, result)

    def _send(
        self,
        exchange: Exchange,
        method: str,
        url: str,
        *,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> HttpAnswer:
        response = self._session.request(
            method,
            url,
            data=body,
            headers=dict(headers),
            allow_redirects=False,
            stream=True,
            timeout=exchange.socket_seconds,
        )
        try:
            if response.is_redirect or 300 <= response.status_code < 304:
                raise TransientError(_redirect_words(response))
            exchange.stage = "reading the answer"
            announced = response.headers.get("Content-Length", "")
            if announced.isdigit() and float(announced[:18]) > self._max_body_bytes:
                raise TransientError(
                    f"the answer is longer than {self._max_body_bytes} bytes ({announced[:18]})"
                )
            content = read_body(
                response.raw,
                encoding=response.headers.get("Content-Encoding", ""),
                max_bytes=self._max_body_bytes,
            )
            return HttpAnswer(
                status=response.status_code,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=content,
            )
        finally:
            # What is left unread ends the connection: it must not be taken for the next answer.
            response.close()

    def _resolve(self, exchange: Exchange) -> list[tuple[Any, ...]]:
        exchange.stage = f"resolving {self._host}"
        addresses = list(self._resolver(self._host, self._port))
        for family, _, _, _, address in addresses:
            if family == socket.AF_INET:
                self._platform_ipv4 = address[0]
                break
        return addresses

    def _connect(self, exchange: Exchange, _host: str, _port: int) -> socket.socket:
        sock = exchange.connect(self._resolve(exchange))
        if sock.family == socket.AF_INET:
            self._platform_ipv4 = sock.getpeername()[0]
        return sock


def _parse_base_url(base_url: str) -> tuple[str, str, int, bool]:
    """Return the URL without its last slash, host, port, and whether it is https."""
    try:
        prepared = requests.Request("GET", base_url).prepare().url or ""
        parts = urlsplit(prepared)
        port = parts.port
    except (requests.RequestException, ValueError) as error:
        raise PermanentError(f"not a URL: {base_url!r}") from error
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise PermanentError(f"not a base URL, like https://platform.example: {base_url!r}")
    if "@" in parts.netloc:
        raise PermanentError(f"a URL must not hold a user name or password: host {host!r}")
    is_tls = parts.scheme == "https"
    return prepared.rstrip("/"), host, port or (443 if is_tls else 80), is_tls


def tls_context(
    *, ca_file: str | None, certificate: str | None, private_key: str | None
) -> ssl.SSLContext:
    """Return what TLS is spoken with; files that cannot be used raise PermanentError."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise PermanentError(f"ca_file {ca_file} cannot be used: {error}") from error
    # Python 3.13 refuses certificates that every version before took, such as those of a private
    # CA without the key usage extension. Which Python the agent runs on must not decide that.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if certificate is not None:
        try:
            # A password, even a wrong one, keeps OpenSSL from asking for it on the terminal.
            context.load_cert_chain(certificate, private_key, password="")
        except (OSError, ValueError) as error:
            raise PermanentError(
                f"client_certificate {certificate} cannot be used with its key: {error}"
            ) from error
    return context


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers that would break the request; their values are secrets, so not shown."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise PermanentError(f"the header {name!r} holds characters that HTTP does not allow")


def _redirect_words(response: requests.Response) -> str:
    location = response.headers.get("Location", "nowhere")[:200]
    return (
        f"the platform redirects to {location!r} (HTTP {response.status_code}), which is not "
        "followed, since credentials would go along: set url to the right address"
    )
