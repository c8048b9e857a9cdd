"""Computes and compares the digests of a package's file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Protocol

from agent.errors import PermanentError, RequestError
from agent.model.workloads import Digests

_HEX_DIGITS = {"md5": 32, "sha256": 64, "sm3": 64}
_WORDS = {"md5": "MD5", "sha256": "SHA-256", "sm3": "SM3"}


class Hash(Protocol):
    """Is what hashlib gives out."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """Return the digest of all so far."""


class DigestMismatch(PermanentError):  # noqa: N818 - named by what it says
    """Says that a file is not the one that was announced."""


def normal(digests: Digests) -> Digests:
    """Return the digests in lower case; raises RequestError for what is no digest."""
    values = {}
    for name, value in given(digests).items():
        lower = value.strip().lower()
        if re.fullmatch(rf"[0-9a-f]{{{_HEX_DIGITS[name]}}}", lower) is None:
            raise RequestError(
                f"{_WORDS[name]} must be {_HEX_DIGITS[name]} hexadecimal digits, not {value[:80]!r}"
            )
        values[name] = lower
    return Digests(**values)


def given(digests: Digests) -> dict[str, str]:
    """Return the digests that are known, by the name of the algorithm."""
    pairs = {"md5": digests.md5, "sha256": digests.sha256, "sm3": digests.sm3}
    return {name: value for name, value in pairs.items() if value is not None}


def are_of_one_file(one: Digests, other: Digests) -> bool:
    """Tell whether two announcements mean the same file: one digest in common, none against it."""
    mine, theirs = given(one), given(other)
    shared = mine.keys() & theirs.keys()
    return bool(shared) and all(mine[name] == theirs[name] for name in shared)


def new_hashes(digests: Digests) -> dict[str, Hash]:
    """Return what computes the digests that are known.

    Raises:
        PermanentError: this machine cannot compute one of them.
    """
    hashes: dict[str, Hash] = {}
    for name in given(digests):
        try:
            hashes[name] = hashlib.new(name, usedforsecurity=False)
        except ValueError as error:
            raise PermanentError(
                f"the OpenSSL of this machine has no {_WORDS[name]}: push without it"
            ) from error
    return hashes


def compare(expected: Digests, actual: Mapping[str, str], *, size_bytes: int) -> None:
    """Raise DigestMismatch unless all digests are as announced."""
    for name, value in given(expected).items():
        if actual[name] != value:
            raise DigestMismatch(
                f"the {_WORDS[name]} of the {size_bytes} bytes that came is {actual[name]}, "
                f"not {value}"
            )
