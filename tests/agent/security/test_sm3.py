from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.security import sm3

# GM/T 0004, annex A.
EXAMPLES = [
    (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
    (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
]


@pytest.mark.parametrize(("text", "expected"), EXAMPLES)
def test_the_published_examples_come_out(text: bytes, expected: str) -> None:
    assert sm3.digest(text).hex() == expected
    assert sm3.digest_without_openssl(text).hex() == expected


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300))
def test_the_fallback_agrees_with_the_fast_way(text: bytes) -> None:
    assert sm3.digest_without_openssl(text) == sm3.digest(text)


def test_a_build_of_openssl_without_sm3_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, data: bytes) -> None:
        raise ValueError(f"unsupported hash type {name}")

    monkeypatch.setattr(hashlib, "new", refuse)

    text, expected = EXAMPLES[0]
    assert sm3.digest(text).hex() == expected
