"""One request for a file or for what lacks of it, and what the server makes of it."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.errors import AgentError, PermanentError, TransientError
from agent.transport import content_range
from agent.transport.addresses import Address
from agent.transport.client import check_headers, tls_context
from agent.transport.exchange import Exchange
from agent.transport.paced_socket import Pace, PacedSocket

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Those of 4xx that a server sends while it cannot answer now.
_PASSING = frozenset({408, 421, 425, 429})
# Large enough that a piece costs more than the call; two of them are in memory at a time.
_PIECE_BYTES = 256 << 10
_LONGEST_RETRY_SECONDS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginAccess:
    """Holds what a known server wants: headers such as a token, and what TLS needs.

    `is_renewed` says that a token comes, or another one, by itself: to be refused without it is no
    reason to give up.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str | None = None
    client_certificate: str | None = None
    client_private_key: str | None = None
    is_renewed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Says what is here of a file: its first bytes, and what the server called that version.

    `validator` is a strong entity tag, `total_bytes` the length of the file; None if unknown.
    """

    offset_bytes: int
    validator: str | None = None
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """Says which part of the file comes now: all from `offset_bytes`, 0 for a new beginning."""

    offset_bytes: int
    total_bytes: int | None
    validator: str | None


class Sink(Protocol):
    """Takes a file as it arrives; what it raises ends the transfer and reaches the caller.

    Only errors of `agent.errors` may come out of it.
    """

    def begin(self, beginning: Beginning) -> None:
        """Make ready for the bytes from this offset; what was there behind it is void."""

    def write(self, piece: bytes) -> None:
        """Take the next bytes; returns when it wants more."""


class OtherVersion(Exception):  # noqa: N818 - a turn of events, not a failure
    """Says that what is here is no part of what the server has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Is one request to one server."""

    address: Address
    resume: Resume | None
    access: OriginAccess
    user_agent: str
    pace: Pace
    is_whole: bool

    def ask(self, exchange: Exchange, found: Any, sink: Sink) -> str | None:
        """Connect to one of the addresses found and give the file to the sink.

        Returns where the server redirects to, "" if it does not say; None when the sink has all.

        Raises:
            OtherVersion: what is here already is of no use; ask without it.
        """
        sock = exchange.connect(found)
        try:
            sock = self._secure(exchange, sock)
            exchange.stage = "sending the request"
            sock.settimeout(exchange.remaining_seconds)
            sock.sendall(self._request())
            exchange.stage = "waiting for the answer"
            paced = PacedSocket(
                sock,
                pace=self.pace,
                where=self.address.origin.authority,
                remaining_seconds=lambda: exchange.remaining_seconds,
                is_whole=self.is_whole,
            )
            response = http.client.HTTPResponse(paced, method="GET")  # type: ignore[arg-type]
            try:
                response.begin()
                return self._judge(exchange, response, paced, sink)
            finally:
                response.close()
        finally:
            sock.close()

    def _secure(self, exchange: Exchange, sock: socket.socket) -> socket.socket:
        if self.address.origin.scheme == "http":
            return sock
        exchange.stage = "agreeing on TLS"
        context = tls_context(
            ca_file=self.access.ca_file,
            certificate=self.access.client_certificate,
            private_key=self.access.client_private_key,
        )
        sock.settimeout(exchange.remaining_seconds)
        secured: ssl.SSLSocket = context.wrap_socket(sock, server_hostname=self.address.origin.host)
        return secured

    def _request(self) -> bytes:
        headers = {
            "Host": self.address.origin.authority,
            "User-Agent": self.user_agent,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
            **self.access.headers,
        }
        if self.address.authorization is not None:
            headers["Authorization"] = self.address.authorization.reveal()
        if self.resume is not None:
            headers["Range"] = f"bytes={self.resume.offset_bytes}-"
            if self.resume.validator is not None:
                headers["If-Range"] = self.resume.validator
        check_headers(headers)
        lines = [f"GET {self.address.target.reveal()} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")

    def _judge(
        self,
        exchange: Exchange,
        response: http.client.HTTPResponse,
        paced: PacedSocket,
        sink: Sink,
    ) -> str | None:
        where = self.address.origin.authority
        status = response.status
        if status in _REDIRECTS:
            return response.getheader("Location") or ""
        if status == 416 and self.resume is not None:
            self._nothing_left(response, sink)
            return None
        if status not in (200, 206):
            raise _refusal(response, where=where, is_renewed=self.access.is_renewed)
        encoding = (response.getheader("Content-Encoding") or "identity").strip().lower()
        if encoding != "identity":
            raise PermanentError(
                f"{where} sends the file encoded ({encoding[:40]!r}), which was not asked for"
            )
        try:
            length = content_range.parse_length(response.getheader("Content-Length"))
        except ValueError:
            raise TransientError(f"{where} sent a Content-Length that is no number") from None
        if response.chunked:
            length = None
        beginning, length = self._beginning(response, length=length)
        sink.begin(beginning)
        exchange.stage = "receiving the file"
        paced.begin_body()
        self._receive(response, paced, sink, beginning=beginning, length=length)
        return None

    def _beginning(
        self, response: http.client.HTTPResponse, *, length: int | None
    ) -> tuple[Beginning, int | None]:
        """Return what comes, and how many bytes this answer holds of it."""
        validator = content_range.strong_validator(response.getheader("ETag"))
        if response.status == 200:
            return Beginning(offset_bytes=0, total_bytes=length, validator=validator), length
        where = self.address.origin.authority
        if self.resume is None:
            raise TransientError(f"{where} sent a part of the file, though all was asked for")
        part = content_range.parse_content_range(response.getheader("Content-Range") or "")
        if part is None or part.first is None or part.last is None:
            raise OtherVersion
        known_bytes = self.resume.total_bytes
        is_other = (
            part.first != self.resume.offset_bytes
            or (length is not None and length != part.last - part.first + 1)
            or (None not in (known_bytes, part.total_bytes) and known_bytes != part.total_bytes)
            or (
                None not in (self.resume.validator, validator)
                and self.resume.validator != validator
            )
        )
        if is_other:
            raise OtherVersion
        beginning = Beginning(
            offset_bytes=part.first,
            total_bytes=known_bytes if part.total_bytes is None else part.total_bytes,
            validator=validator or self.resume.validator,
        )
        return beginning, part.last - part.first + 1

    def _nothing_left(self, response: http.client.HTTPResponse, sink: Sink) -> None:
        """Take "no such part" for the end of a file that is here whole, else begin anew."""
        part = content_range.parse_content_range(response.getheader("Content-Range") or "")
        resume = self.resume
        if resume is None or part is None or part.total_bytes != resume.offset_bytes:
            raise OtherVersion
        sink.begin(
            Beginning(
                offset_bytes=resume.offset_bytes,
                total_bytes=part.total_bytes,
                validator=resume.validator,
            )
        )

    def _receive(
        self,
        response: http.client.HTTPResponse,
        paced: PacedSocket,
        sink: Sink,
        *,
        beginning: Beginning,
        length: int | None,
    ) -> None:
        where = self.address.origin.authority
        received_bytes = 0
        while length is None or received_bytes < length:
            wanted = _PIECE_BYTES if length is None else min(_PIECE_BYTES, length - received_bytes)
            piece = response.read1(wanted)
            if not piece:
                break
            paced.claim()
            received_bytes += len(piece)
            sink.write(piece)
        here_bytes = beginning.offset_bytes + received_bytes
        if length is not None and received_bytes < length:
            raise TransientError(f"{where} broke off after {here_bytes} bytes")
        if beginning.total_bytes is not None and here_bytes < beginning.total_bytes:
            raise TransientError(
                f"{where} sent {here_bytes} of {beginning.total_bytes} bytes and stopped"
            )


def _refusal(response: http.client.HTTPResponse, *, where: str, is_renewed: bool) -> AgentError:
    status = response.status
    if status == 401 and is_renewed:
        return TransientError(f"{where} answered HTTP 401: it waits for a new registration")
    if status in _PASSING or status >= 500:
        wait = (response.getheader("Retry-After") or "").strip()
        return TransientError(
            f"{where} answered HTTP {status}",
            retry_after_seconds=min(float(wait[:9]), _LONGEST_RETRY_SECONDS)
            if wait.isascii() and wait.isdigit()
            else None,
        )
    words = {
        401: ": it wants other credentials",
        403: ": it forbids this file",
        404: ": there is no such file",
        410: ": the file is there no more",
    }.get(status, "")
    return PermanentError(f"{where} answered HTTP {status}{words}")
