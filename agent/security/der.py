"""The little of ASN.1 DER that SM2 keys and ciphertexts need, read strictly.

Every form but the one that DER allows is an error: a ciphertext with a second spelling could be
changed on its way without anybody noticing.
"""

from __future__ import annotations

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30
CONTEXT_0 = 0xA0
CONTEXT_1 = 0xA1

Element = tuple[int, bytes]


class DerError(ValueError):
    """Says that bytes are not the DER that was expected."""


def write(tag: int, *contents: bytes) -> bytes:
    """Return one element with these contents, one after another."""
    body = b"".join(contents)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def write_integer(value: int) -> bytes:
    """Return a non-negative INTEGER."""
    return write(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def read_all(data: bytes) -> list[Element]:
    """Return the elements that fill `data` exactly, as (tag, contents).

    Raises:
        DerError: the bytes are no such list; long tags are not known here.
    """
    elements: list[Element] = []
    place = 0
    while place < len(data):
        if len(data) - place < 2:
            raise DerError("an element ends early")
        tag, length = data[place], data[place + 1]
        place += 2
        if tag & 0x1F == 0x1F:
            raise DerError("an unknown kind of element")
        if length & 0x80:
            count = length & 0x7F
            digits = data[place : place + count]
            length = int.from_bytes(digits, "big")
            if not 1 <= count <= 4 or len(digits) != count or digits[0] == 0 or length < 0x80:
                raise DerError("a length is not written as DER demands")
            place += count
        if length > len(data) - place:
            raise DerError("an element ends early")
        elements.append((tag, data[place : place + length]))
        place += length
    return elements


def read_one(data: bytes, *, tag: int) -> bytes:
    """Return the contents of the one element of this tag that fills `data`."""
    elements = read_all(data)
    if len(elements) != 1 or elements[0][0] != tag:
        raise DerError(f"exactly one element of kind {tag:#04x} was expected")
    return elements[0][1]


def read_sequence(data: bytes, *, tags: tuple[int, ...]) -> list[bytes]:
    """Return the contents of the members of a SEQUENCE that has exactly these tags."""
    elements = read_all(read_one(data, tag=SEQUENCE))
    if tuple(tag for tag, _ in elements) != tags:
        raise DerError("a SEQUENCE has other members than expected")
    return [contents for _, contents in elements]


def integer(contents: bytes) -> int:
    """Return the value of a non-negative INTEGER's contents."""
    if not contents or contents[0] & 0x80:
        raise DerError("an INTEGER is empty or negative")
    if len(contents) > 1 and contents[0] == 0 and not contents[1] & 0x80:
        raise DerError("an INTEGER has a zero too many in front")
    return int.from_bytes(contents, "big")
