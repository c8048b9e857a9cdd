"""Reads multipart/form-data (RFC 7578) from a body that lies in memory or on disk.

The file in it may have gigabytes: it is never held, but found, and read from where it lies. So the
fields may stand before it or after it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from falcon.util import mediatypes

from agent.protocols.acsmp.tolerant import WireError

PARTS_MAXIMUM = 32
FIELD_BYTES_MAXIMUM = 4096
_HEADERS_BYTES_MAXIMUM = 8192
_BOUNDARY_MAXIMUM = 70
_PIECE_BYTES = 256 * 1024
_PARAMETER = re.compile(r';\s*([^=;\s]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_PLAIN_ENCODINGS = frozenset({"", "binary", "8bit", "7bit"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Is a form: its fields as text, and its one file, None without."""

    fields: Mapping[str, str] = field(default_factory=dict)
    file: BinaryIO | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    name: str
    start: int
    length: int


def is_form(content_type: str | None) -> bool:
    """Tell whether a body of this type is a form; the standard spells it multipart/form-Data."""
    return (content_type or "").partition(";")[0].strip().lower() == "multipart/form-data"


def read_form(body: BinaryIO, *, content_type: str, file_field: str) -> Form:
    """Return the form in a body that can be read from anywhere, from its first byte to its end.

    `file_field` is the name of the part that is a file, in any case of letters; every other part
    is a field. Memory does not grow with the body.

    Raises:
        WireError: it is not such a form; says what is wrong with it.
    """
    _, parameters = mediatypes.parse_header(content_type)
    boundary = parameters.get("boundary", "").encode("latin-1", "replace")
    if not 1 <= len(boundary) <= _BOUNDARY_MAXIMUM:
        raise WireError("the Content-Type of the form has no usable boundary")
    fields: dict[str, str] = {}
    file: BinaryIO | None = None
    for part in _parts(body, delimiter=b"\r\n--" + boundary):
        if part.name.casefold() == file_field.casefold():
            if file is not None:
                raise WireError(f"the form has two parts {file_field}", field=file_field)
            file = io.BufferedReader(_Section(body, part), _PIECE_BYTES)
        elif part.name in fields:
            raise WireError(f"the form has two parts {part.name[:64]!r}")
        else:
            fields[part.name] = _text(body, part)
    return Form(fields=fields, file=file)


def _parts(body: BinaryIO, *, delimiter: bytes) -> Iterator[_Part]:
    opened: tuple[str, int] | None = None
    for count, found in enumerate(_places(body, delimiter)):
        if opened is not None:
            name, start = opened
            if found < start:
                raise WireError("a part of the form has no end")
            yield _Part(name=name, start=start, length=found - start)
        body.seek(found + len(delimiter))
        head = body.read(_HEADERS_BYTES_MAXIMUM)
        if head.startswith(b"--"):
            return
        if count == PARTS_MAXIMUM:
            raise WireError(f"the form has more than {PARTS_MAXIMUM} parts")
        start = len(head) - len(head.lstrip(b" \t"))
        end = head.find(b"\r\n\r\n", start)
        if not head.startswith(b"\r\n", start) or end < 0:
            raise WireError("the headers of a part of the form have no end, or are too long")
        opened = _name(head[start:end]), found + len(delimiter) + end + 4
    raise WireError("the form ends without its last boundary: it is cut off, or not a form")


def _places(body: BinaryIO, delimiter: bytes) -> Iterator[int]:
    """Yield where each delimiter begins; the first may do without its line break, at -2."""
    window, base, position = b"\r\n", -2, 0
    while True:
        body.seek(position)
        piece = body.read(_PIECE_BYTES)
        if not piece:
            return
        position += len(piece)
        window += piece
        start = 0
        while (found := window.find(delimiter, start)) >= 0:
            yield base + found
            start = found + len(delimiter)
        kept = min(len(delimiter) - 1, len(window) - start)
        base += len(window) - kept
        window = window[len(window) - kept :]


def _name(headers: bytes) -> str:
    """Return the name of a part; file names may be in any encoding, and do not matter."""
    values = {}
    for line in headers.split(b"\r\n"):
        key, _, value = line.partition(b":")
        values[key.strip().lower()] = value.strip().decode("utf-8", "replace")
    if values.get(b"content-transfer-encoding", "").lower() not in _PLAIN_ENCODINGS:
        raise WireError("a part of the form is encoded: send it as it is (binary)")
    for key, value in _PARAMETER.findall(values.get(b"content-disposition", "")):
        if key.lower() == "name":
            name: str = value.strip()
            if len(name) > 1 and name[0] == name[-1] == '"':
                name = re.sub(r"\\(.)", r"\1", name[1:-1])
            return name
    raise WireError("a part of the form has no name (Content-Disposition)")


def _text(body: BinaryIO, part: _Part) -> str:
    if part.length > FIELD_BYTES_MAXIMUM:
        raise WireError(
            f"{part.name[:64]!r} in the form has {part.length} bytes, a field may have "
            f"{FIELD_BYTES_MAXIMUM}; the file is to be in the part File"
        )
    body.seek(part.start)
    try:
        return body.read(part.length).decode("utf-8")
    except UnicodeDecodeError as error:
        raise WireError(f"{part.name[:64]!r} in the form is not UTF-8") from error


class _Section(io.RawIOBase):
    """Is a stretch of a body, as a file of its own; closing it leaves the body open."""

    def __init__(self, body: BinaryIO, part: _Part) -> None:
        super().__init__()
        self._body = body
        self._position = part.start
        self._left = part.length

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override] # a Buffer, there
        self._body.seek(self._position)
        piece = self._body.read(min(len(target), self._left))
        target[: len(piece)] = piece
        self._position += len(piece)
        self._left -= len(piece)
        return len(piece)
