from __future__ import annotations

import base64
import hmac
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.secret import Secret
from agent.security import credentials
from agent.security.credentials import BasicCredentials
from agent.security.errors import PasswordError, SecretFileError

ALLOWED = [
    BasicCredentials(username="admin", password=Secret("p:ass")),
    BasicCredentials(username="市", password=Secret("口令")),
]


def _basic(pair: str, *, scheme: str = "Basic", encoding: str = "utf-8") -> str:
    return f"{scheme} {base64.b64encode(pair.encode(encoding)).decode()}"


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"secret", "secret"),
        (b"secret\n", "secret"),
        (b"secret\r\n", "secret"),
        (b"secret\n\n", "secret\n"),
        (b" secret ", " secret "),
        ("口令\n".encode(), "口令"),
    ],
)
def test_one_newline_at_the_end_is_dropped_and_nothing_else(
    content: bytes, secret: str, tmp_path: Path
) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    path.chmod(0o600)

    read = credentials.read_secret_file(path)

    assert read.secret.reveal() == secret
    assert read.warning is None


def test_a_file_that_everybody_may_read_gives_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("secret")
    path.chmod(0o644)

    read = credentials.read_secret_file(path)

    assert read.warning is not None
    assert str(path) in read.warning
    assert "secret" not in repr(read).replace("secret=", "")


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n", b"\xff\xfe", b"x" * 4097])
def test_an_unusable_file_is_refused_without_its_content(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)

    with pytest.raises(SecretFileError, match="password") as caught:
        credentials.read_secret_file(path)
    assert "xxxx" not in str(caught.value)


@pytest.mark.parametrize("password", ["x", "x" * 32, "口令口令口令口令口令", "a b:c"])
def test_a_password_of_1_to_32_bytes_may_serve(password: str) -> None:
    credentials.check_device_password(Secret(password))


@pytest.mark.parametrize(
    "password", ["", "x" * 33, "口" * 11, "two\nlines", "nul\0", "tab\t", "del\x7f", "\ud800"]
)
def test_a_password_that_cannot_serve_is_refused_and_not_shown(password: str) -> None:
    with pytest.raises(PasswordError) as caught:
        credentials.check_device_password(Secret(password))
    assert not password or password not in str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        _basic("admin:p:ass"),
        _basic("admin:p:ass", scheme="basic"),
        _basic("admin:p:ass", scheme="BASIC "),
        _basic("市:口令"),
    ],
)
def test_a_known_user_with_its_password_may_enter(header: str) -> None:
    assert credentials.is_basic_allowed(header, allowed=ALLOWED)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic 口令",
        _basic("admin"),
        _basic("admin:"),
        _basic(":p:ass"),
        _basic("admin:p:asS"),
        _basic("Admin:p:ass"),
        _basic("admin:口令"),  # another user's password
        _basic("市:口令", encoding="gb18030"),
        _basic("admin:p:ass", scheme="Bearer"),
        _basic("admin:p:ass") + "\n\n=",
        "Basic " + "A" * 10_000,
    ],
)
def test_anything_else_may_not_enter(header: str | None) -> None:
    assert not credentials.is_basic_allowed(header, allowed=ALLOWED)


def test_nobody_enters_where_nobody_is_allowed() -> None:
    assert not credentials.is_basic_allowed(_basic("admin:p:ass"), allowed=[])
    assert not credentials.is_bearer_allowed("Bearer token", tokens=[])


def test_every_token_that_is_held_may_enter() -> None:
    tokens = [Secret("first-token"), Secret("令牌")]

    assert credentials.is_bearer_allowed("Bearer first-token", tokens=tokens)
    assert credentials.is_bearer_allowed("bearer  first-token ", tokens=tokens)
    # A server hands on the bytes of a header as Latin-1.
    wire = "Bearer " + "令牌".encode().decode("latin-1")
    assert credentials.is_bearer_allowed(wire, tokens=tokens)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer first", "first-token"])
def test_no_other_token_may_enter(header: str | None) -> None:
    assert not credentials.is_bearer_allowed(header, tokens=[Secret("first-token"), Secret("")])


@given(st.text() | st.text().map("Basic {}".format) | st.text().map("Bearer {}".format))
def test_any_header_is_refused_without_an_error(header: str) -> None:
    assert not credentials.is_basic_allowed(header, allowed=ALLOWED)
    assert not credentials.is_bearer_allowed(header, tokens=[Secret("a token with blanks\n")])


def test_every_pair_is_compared_in_full_whatever_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def count(one: bytes, other: bytes) -> bool:
        lengths.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", count)
    for pair in ("admin:p:ass", "nobody:x", "市:wrong"):
        credentials.is_basic_allowed(_basic(pair), allowed=ALLOWED)

    # Two users, two halves, three headers; always over digests of one length.
    assert lengths == [(32, 32)] * 12


@pytest.mark.parametrize("password", ["open sesame", "芝麻:开门", "x" * 1024])
def test_the_header_of_a_user_opens_its_own_door_and_no_other(password):
    ours = BasicCredentials(username="admin", password=Secret(password))
    header = credentials.basic_header(ours)
    assert password not in repr(header)
    assert credentials.is_basic_allowed(header.reveal(), allowed=[ours])
    other = BasicCredentials(username="admin", password=Secret("another"))
    assert not credentials.is_basic_allowed(header.reveal(), allowed=[other])
