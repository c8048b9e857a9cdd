"""The part of BER (X.690) that SNMP takes: definite lengths, and the types of RFC 2578."""

from __future__ import annotations

from typing import TypeAlias

INTEGER, OCTET_STRING, NULL, OBJECT_IDENTIFIER, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
COUNTER32, GAUGE32, TIME_TICKS = 0x41, 0x42, 0x43
_LONGEST_LENGTH = 2
_MOST_INTEGER_BYTES = 8
_MOST_ARCS = 128

Oid: TypeAlias = tuple[int, ...]


def encode(tag: int, content: bytes) -> bytes:
    """Return one element."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def encode_integer(number: int, *, tag: int = INTEGER) -> bytes:
    """Return a whole number in the fewest bytes, with its sign."""
    bits = (number if number >= 0 else ~number).bit_length()
    return encode(tag, number.to_bytes(bits // 8 + 1, "big", signed=True))


def encode_oid(oid: Oid) -> bytes:
    """Return an object identifier of two arcs or more."""
    content = bytearray()
    for arc in (oid[0] * 40 + oid[1], *oid[2:]):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(arc & 0x7F | 0x80)
        content += bytes(reversed(septets))
    return encode(OBJECT_IDENTIFIER, bytes(content))


class Reader:
    """Takes one element after another from bytes; every error is a ValueError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is left."""
        return self._place >= len(self._data)

    def element(self) -> tuple[int, bytes]:
        """Return tag and content of the next element."""
        tag, size = self._bytes(2)
        if size & 0x80:
            if not 1 <= size & 0x7F <= _LONGEST_LENGTH:
                raise ValueError("a length that no message has")
            size = int.from_bytes(self._bytes(size & 0x7F), "big")
        return tag, self._bytes(size)

    def expect(self, *tags: int) -> tuple[int, bytes]:
        """Return the next element, which has one of these tags."""
        tag, content = self.element()
        if tag not in tags:
            raise ValueError(f"tag {tag:#x} where {tags[0]:#x} was expected")
        return tag, content

    def sequence(self) -> Reader:
        """Return a reader of the next element, a sequence."""
        return Reader(self.expect(SEQUENCE)[1])

    def integer(self) -> int:
        """Return the next element, a whole number."""
        content = self.expect(INTEGER)[1]
        if not 1 <= len(content) <= _MOST_INTEGER_BYTES:
            raise ValueError("a number of a length that none has")
        return int.from_bytes(content, "big", signed=True)

    def oid(self) -> Oid:
        """Return the next element, an object identifier."""
        content = self.expect(OBJECT_IDENTIFIER)[1]
        if not content or content[-1] & 0x80:
            raise ValueError("an object identifier that does not end")
        arcs: list[int] = []
        arc = 0
        for byte in content:
            arc = arc << 7 | byte & 0x7F
            if arc >> 32:
                raise ValueError("an arc of more than 32 bits")
            if not byte & 0x80:
                arcs.append(arc)
                arc = 0
        if len(arcs) > _MOST_ARCS:
            raise ValueError("an object identifier of more than 128 arcs")
        first = min(arcs[0] // 40, 2)
        return (first, arcs[0] - first * 40, *arcs[1:])

    def _bytes(self, count: int) -> bytes:
        taken = self._data[self._place : self._place + count]
        if len(taken) != count:
            raise ValueError("it ends too early")
        self._place += count
        return taken
