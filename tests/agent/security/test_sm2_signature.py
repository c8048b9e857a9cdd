from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.security import sm2, sm2_signature
from agent.security.points import ORDER

DATA = b"message digest"
KEY = sm2.PrivateKey(number=0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8)
NUMBER = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
# GM/T 0003.5, annex A.2.
SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)


def test_the_published_example_comes_out() -> None:
    assert sm2_signature.sign(KEY, DATA, draw_number=lambda: NUMBER) == SIGNATURE
    assert sm2_signature.is_signed(KEY.public_key, DATA, SIGNATURE)
    assert sm2_signature.is_signed(KEY.public_key, DATA, sm2_signature.to_der(SIGNATURE))


def test_another_text_key_or_identity_is_refused() -> None:
    other = sm2.generate_key_pair().public_key

    assert not sm2_signature.is_signed(KEY.public_key, DATA + b".", SIGNATURE)
    assert not sm2_signature.is_signed(other, DATA, SIGNATURE)
    assert not sm2_signature.is_signed(KEY.public_key, DATA, SIGNATURE, identity=b"somebody")


@settings(max_examples=25)
@given(st.integers(0, 63), st.integers(1, 255))
def test_any_changed_byte_is_refused(place: int, change: int) -> None:
    changed = bytearray(SIGNATURE)
    changed[place] ^= change

    assert not sm2_signature.is_signed(KEY.public_key, DATA, bytes(changed))


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        bytes(64),
        SIGNATURE[:63],
        SIGNATURE + b"\0",
        sm2_signature.to_der(SIGNATURE) + b"\0",
        SIGNATURE[:32] + ORDER.to_bytes(32, "big"),
        b"\xff" * 64,
        (ORDER - 1).to_bytes(32, "big") + (1).to_bytes(32, "big"),
    ],
)
def test_what_is_no_signature_is_refused(signature: bytes) -> None:
    assert not sm2_signature.is_signed(KEY.public_key, DATA, signature)


def test_two_signatures_of_one_text_differ() -> None:
    assert sm2_signature.sign(KEY, DATA) != sm2_signature.sign(KEY, DATA)


@pytest.mark.peer
def test_openssl_takes_ours_and_we_take_its(
    require_program: Callable[[str], str], tmp_path: Path
) -> None:
    openssl = require_program("openssl")
    key = sm2.generate_key_pair()
    (tmp_path / "private").write_text(key.to_pkcs8_pem())
    (tmp_path / "public").write_text(key.public_key.to_pem())
    (tmp_path / "text").write_bytes(DATA)
    ours = sm2_signature.to_der(sm2_signature.sign(key, DATA))
    (tmp_path / "ours").write_bytes(ours)
    options = ["-rawin", "-digest", "sm3", "-in", "text", "-pkeyopt", "distid:1234567812345678"]

    def ask(*arguments: str) -> bytes:
        command = [openssl, "pkeyutl", *arguments, *options]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=30)
        return done.stdout

    assert b"Successfully" in ask("-verify", "-pubin", "-inkey", "public", "-sigfile", "ours")
    theirs = ask("-sign", "-inkey", "private")
    assert sm2_signature.is_signed(key.public_key, DATA, theirs)
