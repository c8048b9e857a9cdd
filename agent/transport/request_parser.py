"""Reads requests more strictly than waitress does.

Where two programs read one request differently, a request can be smuggled past the first of them,
so whatever is ambiguous is refused (RFC 9112, sections 2.2, 3.2, 5.2, 6.1 and 6.3).
"""

from __future__ import annotations

from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import ChunkedReceiver
from waitress.utilities import Error

from agent.errors import NoRoomError, TransientError
from agent.transport.refusals import Refusal
from agent.transport.uploads import UploadAllowance, Uploads

_FIRST_BYTES = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ\r\n")
_TLS_HANDSHAKE = 0x16
# A chunk's size line holds some hexadecimal digits and, at most, an extension nobody uses.
_MAX_CHUNK_LINE_BYTES = 256
# Longer numbers mean nothing, and int() refuses those of more than 4,300 digits by raising.
_MAX_LENGTH_DIGITS = 15


class StrictRequestParser(HTTPRequestParser):  # type: ignore[misc] # waitress has no types
    """Collects one request; `error` is a `Refusal` where it will not be served.

    Used by the thread of the listener alone until `completed`, then by the worker that answers.
    `allowance` is there where a large body was let in at the end of the headers.
    """

    command = ""
    path = ""
    error: Any = None
    body_rcv: Any = None
    allowance: UploadAllowance | None = None

    def __init__(self, adj: Any, *, uploads: Uploads | None = None, peer: str = "") -> None:
        super().__init__(adj)
        self._uploads = uploads
        self._peer = peer

    @property
    def granted_to(self) -> object:
        """Return what the allowance says of the caller, None without one."""
        return None if self.allowance is None else self.allowance.granted_to

    def received(self, data: bytes) -> int:
        """Take bytes of this request; return how many of them belong to it."""
        if not (self.header_plus or self.headers_finished) and data[0] not in _FIRST_BYTES:
            return self._refuse_at_once(data)
        was_in_headers = not self.headers_finished
        try:
            consumed: int = super().received(data)
            if was_in_headers and self.headers_finished and self.error is None:
                self._ask_for_allowance()
        except NoRoomError as error:
            self.error = Refusal(status=507, message=error.reason)
            consumed = len(data)
        except OSError as error:
            # The body had outgrown memory, and the disk had no room for it.
            self.error = Refusal(status=503, message=f"no room for the body: {error.strerror}")
            consumed = len(data)
        except ValueError:
            self.error = Refusal(status=400, message="the request target is not a valid URI")
            consumed = len(data)
        self._check_body()
        if self.body_rcv is None:
            # waitress would wait for a body that was never announced, and lose the next request.
            self.expect_continue = False
        if self.error is not None:
            self._settle()
        return consumed

    def refuse(self, refusal: Refusal) -> None:
        """End this request here with a refusal."""
        self.error = refusal
        self._settle()

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the head of the request and refuse what can be read in two ways."""
        if b"\r\n " in header_plus or b"\r\n\t" in header_plus:
            raise ParsingError("a header is folded over two lines")
        target = header_plus.partition(b"\r\n")[0]
        if any(byte < 0x20 or byte == 0x7F for byte in target):
            raise ParsingError("the request line holds a control character")
        names = [line.partition(b":")[0].lower() for line in header_plus.split(b"\r\n")[1:]]
        if names.count(b"host") > 1:
            raise ParsingError("there are two Host headers")
        if b"transfer-encoding" in names and b"content-length" in names:
            raise ParsingError("Transfer-Encoding and Content-Length exclude each other")
        if names.count(b"content-length") > 1:
            raise ParsingError("there are two Content-Length headers")
        length = _value(header_plus, b"content-length")
        if length is not None and len(length) > _MAX_LENGTH_DIGITS and length.isdigit():
            raise ParsingError("Content-Length has too many digits")
        self._check_transfer_encoding(header_plus, names)
        super().parse_header(header_plus)
        if self.version not in ("1.0", "1.1"):
            self.error = Refusal(
                status=505 if self.version else 400,
                message="speak HTTP/1.1 or HTTP/1.0",
            )
        elif self.version == "1.1" and "HOST" not in self.headers:
            raise ParsingError("HTTP/1.1 needs a Host header")

    def _check_transfer_encoding(self, header_plus: bytes, names: list[bytes]) -> None:
        if b"transfer-encoding" not in names:
            return
        if names.count(b"transfer-encoding") > 1:
            raise ParsingError("there are two Transfer-Encoding headers")
        coding = _value(header_plus, b"transfer-encoding") or b""
        if coding.lower().count(b"chunked") > 1 or not coding:
            raise ParsingError("Transfer-Encoding is invalid")
        if header_plus.partition(b"\r\n")[0].endswith(b"HTTP/1.0"):
            raise ParsingError("HTTP/1.0 has no Transfer-Encoding")

    def _ask_for_allowance(self) -> None:
        """Let a body that may be large in, or refuse it before any of it has come."""
        is_large = self.content_length > self.adj.max_body_bytes
        if self._uploads is None or self.body_rcv is None or not (is_large or self.chunked):
            return
        answer = self._uploads.admit(self.command, self.path, self.headers, self._peer)
        if isinstance(answer, Refusal):
            self.error = answer
        elif answer is not None and self.content_length <= answer.maximum_bytes:
            try:
                spool = self._uploads.folder.open(expected_bytes=self.content_length or None)
            except TransientError as error:
                seconds = round(error.retry_after_seconds or 1)
                self.error = Refusal(
                    status=503, message=error.reason, headers=(("Retry-After", str(seconds)),)
                )
            else:
                self.allowance = answer
                self.body_rcv.buf = spool
        elif answer is not None:
            self.error = _too_long(answer.maximum_bytes)

    def _check_body(self) -> None:
        allowance = self.allowance
        limit = self.adj.max_body_bytes if allowance is None else allowance.maximum_bytes
        body = self.body_rcv
        if self.error is not None or body is None:
            return
        # The raw count bounds what a body of tiny chunks costs to take apart.
        if (
            self.content_length > limit
            or len(body) > limit
            or self.body_bytes_received > limit + limit // 4 + 65536
        ):
            self.error = _too_long(limit)
        elif isinstance(body, ChunkedReceiver) and not self.completed:
            if len(body.control_line) > _MAX_CHUNK_LINE_BYTES:
                self.error = Refusal(status=400, message="the size line of a chunk is too long")
            elif len(body.trailer) > self.adj.max_request_header_size:
                self.error = Refusal(status=431, message="the trailers are too long")

    def _refuse_at_once(self, data: bytes) -> int:
        message = (
            "this port speaks plain HTTP, and the client began a TLS handshake: use http://"
            if data[0] == _TLS_HANDSHAKE
            else "this is not HTTP"
        )
        self.refuse(Refusal(status=400, message=message))
        return len(data)

    def _settle(self) -> None:
        self.completed = True
        # waitress would ask for the body of a request that it has already refused.
        self.expect_continue = False
        error: Any = self.error
        if isinstance(error, Error):
            self.error = Refusal(status=error.code, message=self._words(error))

    def _words(self, error: Any) -> str:
        if error.code == 431:
            return f"the headers are longer than {self.adj.max_request_header_size} bytes"
        return str(error.body)


def _too_long(limit_bytes: int) -> Refusal:
    return Refusal(status=413, message=f"the body is longer than {limit_bytes} bytes")


def _value(header_plus: bytes, name: bytes) -> bytes | None:
    for line in header_plus.split(b"\r\n")[1:]:
        key, colon, value = line.partition(b":")
        if colon and key.lower() == name:
            return value.strip(b" \t")
    return None
