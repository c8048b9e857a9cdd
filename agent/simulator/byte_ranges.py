"""The arithmetic of a Range header (RFC 9110, section 14)."""

from __future__ import annotations

import re

_ONE_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII)


class UnsatisfiableRange(ValueError):  # noqa: N818 - names the answer 416
    """Says that nothing of the file lies in the range."""


def parse_range(header: str | None, *, size_bytes: int) -> tuple[int, int] | None:
    """Return first byte and length of a single range; None where the whole file is to be sent.

    What is malformed, of another unit, or more than one range is ignored, as the RFC allows.

    Raises:
        UnsatisfiableRange: the range is well-formed and begins behind the end.
    """
    match = _ONE_RANGE.fullmatch(header.strip().replace(" ", "")) if header is not None else None
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        length = min(int(last), size_bytes)
        if length == 0:
            raise UnsatisfiableRange
        return size_bytes - length, length
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size_bytes:
        raise UnsatisfiableRange
    end = min(int(last), size_bytes - 1) if last else size_bytes - 1
    return start, end - start + 1
