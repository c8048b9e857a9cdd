"""The headers of HTTP that say which part of a file an answer holds (RFC 9110, 14.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass

# More digits than any file has bytes: what is longer is nonsense, or meant to hurt.
_CONTENT_RANGE = re.compile(
    r"bytes[ \t]+(?:([0-9]{1,18})-([0-9]{1,18})|\*)/([0-9]{1,18}|\*)", re.ASCII | re.IGNORECASE
)
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRange:
    """Is the part of a file that an answer holds: bytes `first` to `last`, the last included.

    Both are None where the server says only how long the file is; `total_bytes` is None where it
    does not say that.
    """

    first: int | None
    last: int | None
    total_bytes: int | None


def parse_content_range(text: str) -> ContentRange | None:
    """Return what the header says, None where it makes no sense."""
    found = _CONTENT_RANGE.fullmatch(text.strip(" \t"))
    if found is None:
        return None
    first, last, total = (None if part in (None, "*") else int(part) for part in found.groups())
    if first is None or last is None:
        return None if total is None else ContentRange(first=None, last=None, total_bytes=total)
    if last < first or (total is not None and last >= total):
        return None
    return ContentRange(first=first, last=last, total_bytes=total)


def parse_length(text: str | None) -> int | None:
    """Return what Content-Length says; None where it is absent. Raises ValueError for nonsense."""
    if text is None:
        return None
    # Sent twice with the same value it is joined with a comma, and still clear.
    values = {value.strip() for value in text.split(",")}
    value = values.pop()
    if values or _LENGTH.fullmatch(value) is None:
        raise ValueError
    return int(value)


def strong_validator(etag: str | None) -> str | None:
    """Return the entity tag if it promises the same bytes (RFC 9110, 8.8.1), else None."""
    if etag is None or re.fullmatch(r'"[\x21\x23-\x7e]{0,256}"', etag) is None:
        return None
    return etag
