from __future__ import annotations

import hmac
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.security import hmac_sm3, sm3


def test_a_known_text_gives_the_known_digest() -> None:
    expected = "28e63256e7c5a087b1f073265dc53092163f7b82729735d06f28f10af9d52393"
    assert hmac_sm3.digest(b"key", b"abc").hex() == expected


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=300))
def test_it_agrees_with_the_hmac_of_python(key: bytes, data: bytes) -> None:
    assert hmac_sm3.digest(key, data) == hmac.new(key, data, "sm3").digest()


def test_a_build_of_openssl_without_sm3_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    key, data = b"k" * 100, b"text"
    expected = hmac_sm3.digest(key, data)
    monkeypatch.setattr(sm3, "digest", sm3.digest_without_openssl)

    assert hmac_sm3.digest(key, data) == expected


@pytest.mark.peer
@pytest.mark.parametrize("key_length", [1, 63, 64, 65, 200])
def test_openssl_computes_the_same(
    require_program: Callable[[str], str], tmp_path: Path, key_length: int
) -> None:
    openssl = require_program("openssl")
    key = bytes(range(1, 1 + key_length))
    text = tmp_path / "text"
    text.write_bytes("算力中心".encode() * 50)

    def ask(*options: str) -> bytes:
        command = [openssl, "dgst", "-sm3", *options, "-binary", str(text)]
        return subprocess.run(command, capture_output=True, check=True, timeout=30).stdout

    assert ask("-mac", "HMAC", "-macopt", f"hexkey:{key.hex()}") == hmac_sm3.digest(
        key, text.read_bytes()
    )
    assert ask() == sm3.digest(text.read_bytes())
