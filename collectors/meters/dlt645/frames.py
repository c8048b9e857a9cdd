"""Frames of DL/T 645-2007: questions, answers, and what lies between them on the line.

A frame is 68H, six bytes of address (lowest first), 68H, control code, length, data with 33H added
to each byte, checksum (sum of everything before it), 16H; any number of FEH may come before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

READ = 0x11
ANSWER = 0x91
ANSWER_WITH_MORE = 0xB1
REFUSAL = 0xD1
_START = 0x68
_END = 0x16
_WAKE_UP = b"\xfe" * 4
_OFFSET = 0x33
_ADDRESS_BYTES = 6
_HEADER_BYTES = 10
_TRAILER_BYTES = 2
_LARGEST_DATA = 200
_IDENTIFIER_BYTES = 4
_ADDRESS = re.compile(r"[0-9]{12}")
_WILDCARD = re.compile(r"A{1,12}|A+[0-9]+")
_LENGTH = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Is one whole frame whose checksum is right; `address` as it is written, highest first.

    `data` is without the 33H, lowest byte first as on the line.
    """

    address: str
    control: int
    data: bytes


def is_address(text: str) -> bool:
    """Tell whether a text is the address of one meter, 12 digits."""
    return _ADDRESS.fullmatch(text) is not None


def is_wildcard(text: str) -> bool:
    """Tell whether a text is an address whose high digits are left open with A."""
    return len(text) == _LENGTH and _WILDCARD.fullmatch(text) is not None


def matches(address: str, *, pattern: str) -> bool:
    """Tell whether an address is the one of a pattern, where A stands for any digit."""
    return len(address) == len(pattern) and all(
        expected in ("A", digit) for digit, expected in zip(address, pattern, strict=True)
    )


def question(address: str, *, identifier: str) -> bytes:
    """Return the frame that asks for an identifier, written as in the standard: 00010000.

    It begins with four FEH, which wake a meter's receiver.
    """
    data = bytes.fromhex(identifier)[::-1]
    return _WAKE_UP + encode(address, control=READ, data=data)


def encode(address: str, *, control: int, data: bytes) -> bytes:
    """Return a frame without a wake-up before it; `data` is without the 33H."""
    body = bytes([_START]) + bytes.fromhex(address)[::-1] + bytes([_START, control, len(data)])
    body += bytes((byte + _OFFSET) & 0xFF for byte in data)
    return body + bytes([sum(body) & 0xFF, _END])


def take_frame(buffer: bytes) -> tuple[Frame | None, bytes]:
    """Return the first whole frame, and what has still to be looked at with the bytes to come.

    Noise is passed over: bytes that begin no frame, and frames with a wrong checksum.
    """
    rest: bytes | None = None
    position = buffer.find(_START)
    while position >= 0:
        length = _length(buffer, position)
        if length is None:  # may still become one
            rest = buffer[position:] if rest is None else rest
        elif length:
            candidate = buffer[position : position + length]
            frame = _decode(candidate)
            if frame is not None:
                return frame, buffer[position + length :]
        position = buffer.find(_START, position + 1)
    return None, rest or b""


def _length(buffer: bytes, position: int) -> int | None:
    """Return the length of the frame that may begin here, 0 for none, None if it is cut."""
    header = buffer[position : position + _HEADER_BYTES]
    second = _ADDRESS_BYTES + 1
    if len(header) > second and header[second] != _START:
        return 0
    if len(header) < _HEADER_BYTES:
        return None
    data = header[_HEADER_BYTES - 1]
    if data > _LARGEST_DATA:
        return 0
    length = _HEADER_BYTES + data + _TRAILER_BYTES
    return length if len(buffer) - position >= length else None


def _decode(candidate: bytes) -> Frame | None:
    if candidate[-1] != _END or sum(candidate[:-_TRAILER_BYTES]) & 0xFF != candidate[-2]:
        return None
    return Frame(
        address=candidate[1 : 1 + _ADDRESS_BYTES][::-1].hex().upper(),
        control=candidate[_ADDRESS_BYTES + 2],
        data=bytes((byte - _OFFSET) & 0xFF for byte in candidate[_HEADER_BYTES:-_TRAILER_BYTES]),
    )


def split_answer(frame: Frame) -> tuple[str, bytes]:
    """Return the identifier of an answer, as in the standard, and the bytes after it."""
    return frame.data[:_IDENTIFIER_BYTES][::-1].hex(), frame.data[_IDENTIFIER_BYTES:]
