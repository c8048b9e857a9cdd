from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.security import keys, points, sm2
from agent.security.errors import Sm2KeyError
from agent.security.points import Point

Form = Callable[[sm2.PublicKey], str]
FORMS: dict[str, Form] = {
    "PEM": lambda key: key.to_pem(),
    "PEM with CR LF": lambda key: key.to_pem().replace("\n", "\r\n"),
    "PEM in one line": lambda key: key.to_pem().replace("\n", ""),
    "PEM with text around it": lambda key: f"The platform's key:\n{key.to_pem()}\nkept by A. B.",
    "PEM with a byte order mark": lambda key: "\ufeff" + key.to_pem(),
    "base64 SPKI": lambda key: base64.b64encode(key.to_spki()).decode(),
    "base64 SPKI in lines": lambda key: base64.encodebytes(key.to_spki()).decode(),
    "hex SPKI": lambda key: key.to_spki().hex(),
    "hex with 04": lambda key: key.to_hex(),
    "HEX with 04": lambda key: key.to_hex().upper(),
    "hex without 04": lambda key: key.to_hex()[2:],
    "HEX without 04": lambda key: key.to_hex()[2:].upper(),
    "hex in groups": lambda key: " ".join(key.to_hex()[i : i + 8] for i in range(0, 130, 8)),
    "hex with a newline and a byte order mark": lambda key: f"\ufeff{key.to_hex()}\r\n",
    "base64 with 04": lambda key: base64.b64encode(bytes.fromhex(key.to_hex())).decode(),
    "base64 without 04": lambda key: base64.b64encode(bytes.fromhex(key.to_hex()[2:])).decode(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("digits", ["", "0", "00", "4", "04", "40", "44", "040"])
def test_every_spelling_gives_the_same_key_whatever_its_first_digits(
    form: Form,
    digits: str,
    key_with_x_beginning: Callable[[str], tuple[sm2.PrivateKey, sm2.PublicKey]],
) -> None:
    _, key = key_with_x_beginning(digits)

    assert sm2.PublicKey.parse(form(key)) == key


def test_the_published_key_is_read(vector: SimpleNamespace) -> None:
    key = sm2.PublicKey.parse(f"{vector.x:064X} {vector.y:064X}")

    assert key.point == Point(vector.x, vector.y)
    assert sm2.PrivateKey(number=vector.private_number).public_key == key


P256_SPKI = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"
    "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q=="
)


@pytest.mark.parametrize(
    ("spelling", "advice"),
    [
        (lambda key: "", "empty"),
        (lambda key: " \n", "empty"),
        (lambda key: key.to_hex()[:-1], "129 hex digits"),
        (lambda key: key.to_hex() + "00", "132 hex digits"),
        (lambda key: "05" + key.to_hex()[2:], "04, X and Y"),
        (lambda key: "0x" + key.to_hex(), "begins with 0x"),
        (lambda key: "02" + key.to_hex()[2:66], "conv_form uncompressed"),
        (lambda key: key.to_hex()[2:66], "64 hex digits"),
        (lambda key: key.to_hex()[:-1] + ("0" if key.to_hex()[-1] != "0" else "1"), "not a point"),
        (lambda key: key.to_hex()[66:] + key.to_hex()[2:66], "not a point"),
        (lambda key: "f" * 128, "not a point"),
        (lambda key: "0" * 128, "not a point"),
        (lambda key: P256_SPKI, "P-256"),
        (lambda key: key.to_pem().replace("PUBLIC", "RSA PUBLIC"), "exactly one PUBLIC KEY"),
        (lambda key: key.to_pem() * 2, "exactly one PUBLIC KEY"),
        (lambda key: key.to_pem()[:100], "exactly one PUBLIC KEY"),
        (lambda key: key.to_pem().replace("\n-----END", "=\n-----END"), "neither hex nor base64"),
        (lambda key: key.to_pem().replace("PUBLIC KEY", "CERTIFICATE"), "openssl x509"),
        (lambda key: base64.b64encode(key.to_spki()[:-1]).decode(), "not DER"),
        (lambda key: base64.b64encode(key.to_spki() + b"\0").decode(), "not DER"),
        (lambda key: base64.b64encode(b"\x30\x80").decode(), "not DER"),
        (lambda key: "A" * 100_000, "far too long"),
        (lambda key: "鑰匙", "neither hex nor base64"),
    ],
)
def test_what_is_no_sm2_key_is_refused_with_what_to_write(
    spelling: Form, advice: str, public_key: sm2.PublicKey
) -> None:
    text = spelling(public_key)

    with pytest.raises(Sm2KeyError, match=advice) as caught:
        sm2.PublicKey.parse(text)
    assert len(text) < 20 or text not in str(caught.value)


def test_a_private_key_in_place_of_a_public_one_is_named_and_not_shown(
    private_key: sm2.PrivateKey,
) -> None:
    for text in (private_key.to_pkcs8_pem(), private_key.to_sec1_pem()):
        with pytest.raises(Sm2KeyError, match="openssl pkey") as caught:
            sm2.PublicKey.parse(text)
        assert text.splitlines()[1] not in str(caught.value)


def test_a_private_key_comes_back_from_every_form(private_key: sm2.PrivateKey) -> None:
    # As `openssl ecparam -genkey` writes it.
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqgRzPVQGCLQ==\n-----END EC PARAMETERS-----\n"
    for text in (
        private_key.to_pkcs8_pem(),
        private_key.to_sec1_pem(),
        parameters + private_key.to_sec1_pem(),
        private_key.to_hex(),
        private_key.to_hex().upper() + "\n",
    ):
        assert sm2.PrivateKey.parse(text) == private_key


def test_a_private_key_is_never_shown(private_key: sm2.PrivateKey) -> None:
    assert repr(private_key) == "PrivateKey()"
    assert str(private_key.number) not in f"{private_key}{private_key!r}"


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "no private key"),
        ("ab" * 31, "62 characters"),
        ("0" * 64, "from 1 to n-2"),
        (f"{points.ORDER - 1:064x}", "from 1 to n-2"),
        (f"{points.ORDER:064x}", "from 1 to n-2"),
        ("f" * 64, "from 1 to n-2"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----", "enc"),
        ("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n-----END-----", "encrypted"),
        ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----", "neither hex nor base64"),
        ("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----", "not PKCS#8"),
        ("-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----", "not an EC private"),
        ("A" * 100_000, "far too long"),
    ],
)
def test_what_is_no_private_key_is_refused(text: str, advice: str) -> None:
    with pytest.raises(Sm2KeyError, match=advice):
        sm2.PrivateKey.parse(text)


def test_a_private_key_with_the_public_key_of_another_is_refused(
    private_key: sm2.PrivateKey,
) -> None:
    other = sm2.generate_key_pair().public_key.point.to_bytes()
    body = "".join(private_key.to_pkcs8_pem().splitlines()[1:-1])
    data = base64.b64decode(body).replace(private_key.public_key.point.to_bytes(), other)
    pem = (
        f"-----BEGIN PRIVATE KEY-----\n{base64.b64encode(data).decode()}\n-----END PRIVATE KEY-----"
    )

    with pytest.raises(Sm2KeyError, match="no pair"):
        sm2.PrivateKey.parse(pem)


@settings(max_examples=300, deadline=None)
@given(
    st.text()
    | st.from_regex(r"(04)?[0-9a-fA-F]{120,134}")
    | st.binary().map(lambda data: base64.b64encode(data).decode())
    | st.text().map(lambda body: f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----")
)
def test_any_text_is_a_key_or_refused_by_our_error(text: str) -> None:
    for kind in (sm2.PublicKey, sm2.PrivateKey):
        with contextlib.suppress(Sm2KeyError):
            kind.parse(text)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_key_with_one_byte_changed_is_refused_or_spells_another_point(
    data: st.DataObject,
) -> None:
    key = sm2.PrivateKey(number=4711)
    spki = bytearray(key.public_key.to_spki())
    place = data.draw(st.integers(0, len(spki) - 1))
    spki[place] ^= data.draw(st.integers(1, 255))

    for text in (base64.b64encode(spki).decode(), bytes(spki).hex()):
        with pytest.raises(Sm2KeyError):
            sm2.PublicKey.parse(text)


def test_the_fingerprint_is_that_of_the_spki(public_key: sm2.PublicKey) -> None:
    assert public_key.fingerprint == hashlib.sha256(public_key.to_spki()).hexdigest()


def test_keys_are_read_from_files_and_errors_name_them(
    tmp_path: Path, private_key: sm2.PrivateKey
) -> None:
    public_file, private_file = tmp_path / "city.sm2.pem", tmp_path / "own.pem"
    public_file.write_text(private_key.public_key.to_pem())
    private_file.write_text(private_key.to_pkcs8_pem())

    assert keys.read_public_key(public_file) == private_key.public_key
    assert keys.read_private_key(private_file) == private_key
    for read, path in [
        (keys.read_public_key, tmp_path / "missing"),
        (keys.read_private_key, tmp_path / "missing"),
        (keys.read_public_key, private_file),
        (keys.read_private_key, public_file),
        (keys.read_public_key, tmp_path),
        (keys.read_public_key, Path(os.devnull)),
    ]:
        with pytest.raises(Sm2KeyError, match=str(path)) as caught:
            read(path)
        assert str(caught.value).count(str(path)) == 1
