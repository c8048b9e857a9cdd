from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.secret import Secret
from agent.security.errors import PasswordError
from agent.security.password_hashes import PasswordHash


@pytest.fixture(scope="module")
def kept() -> PasswordHash:
    return PasswordHash.of(Secret("密码 Passw0rd"))


def test_the_password_matches_and_nothing_else_does(kept: PasswordHash) -> None:
    assert kept.matches("密码 Passw0rd")
    for wrong in ("", "密码 Passw0r", "密码 Passw0rd ", "\ud800", "x" * 2000):
        assert not kept.matches(wrong)


def test_it_survives_being_written(kept: PasswordHash) -> None:
    again = PasswordHash.parse(kept.to_text() + "\n")

    assert again == kept
    assert again.matches("密码 Passw0rd")


def test_one_password_is_never_hashed_alike(kept: PasswordHash) -> None:
    assert PasswordHash.of(Secret("密码 Passw0rd")).digest != kept.digest


def test_the_digest_is_that_of_scrypt(kept: PasswordHash) -> None:
    digest = hashlib.scrypt(
        "密码 Passw0rd".encode(), salt=kept.salt, n=16384, r=8, p=1, dklen=32, maxmem=2**26
    )
    assert kept.digest == digest


def test_it_shows_neither_salt_nor_digest(kept: PasswordHash) -> None:
    assert "salt" not in repr(kept)
    assert "digest" not in repr(kept)


@pytest.mark.parametrize("password", ["", "x" * 1025, "\ud800"])
def test_what_is_no_password_is_not_hashed(password: str) -> None:
    with pytest.raises(PasswordError):
        PasswordHash.of(Secret(password))


SALT, DIGEST = "A" * 22, "A" * 43


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Passw0rd",
        f"$scrypt$ln=18,r=8,p=1${SALT}${DIGEST}",
        f"$scrypt$ln=0,r=8,p=1${SALT}${DIGEST}",
        f"$scrypt$ln=14,r=64,p=1${SALT}${DIGEST}",
        f"$scrypt$ln=14,r=8,p=16${SALT}${DIGEST}",
        f"$scrypt$ln=14,r=8,p=1${'A' * 25}${DIGEST}",
        f"$scrypt$ln=14,r=8,p=1$${DIGEST}",
    ],
)
def test_a_text_that_is_no_hash_or_a_dear_one_is_refused(text: str) -> None:
    with pytest.raises(PasswordError):
        PasswordHash.parse(text)


@given(st.text())
def test_any_text_is_a_hash_or_refused(text: str) -> None:
    with pytest.raises(PasswordError):
        PasswordHash.parse(text)
