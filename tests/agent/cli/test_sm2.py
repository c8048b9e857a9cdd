"""The command `sm2 probe`."""

from __future__ import annotations

import re

import pytest

from agent.security import sm2

SAMPLE = b"encryption standard"
LAYOUTS = [
    *(
        {"order": order, "point_prefix": prefix, "encoding": encoding}
        for order in ("c1c3c2", "c1c2c3")
        for prefix in (True, False)
        for encoding in ("hex", "HEX", "base64")
    ),
    *({"der": True, "encoding": encoding} for encoding in ("hex", "HEX", "base64")),
]


def ciphertexts(out):
    return re.findall(r"^  ciphertext   (\S+)$", out, re.MULTILINE)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: " ".join(map(str, layout.values())))
def test_the_platform_can_open_what_is_printed(operator, layout):
    asked = operator("sm2", "probe", "--config", operator.configure({"sm2": layout}))
    assert (asked.status, asked.err) == (0, "")
    (ciphertext,) = ciphertexts(asked.out)
    opened = sm2.decrypt(operator.key, ciphertext)
    assert (opened.plaintext, opened.layout) == (SAMPLE, sm2.Layout(**layout))
    assert "opens as     encryption standard\n" in asked.out
    assert f"  public key   {operator.key.public_key.to_hex()}\n" in asked.out
    assert f"  fingerprint  {operator.key.public_key.fingerprint}\n" in asked.out


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({}, "C1C3C2 with 04, hex"),
        ({"order": "c1c2c3", "point_prefix": False}, "C1C2C3 without 04, hex"),
        ({"der": True, "encoding": "base64"}, "ASN.1 DER, base64"),
    ],
)
def test_the_layout_is_told_in_words(operator, layout, words):
    asked = operator("sm2", "probe", "--config", operator.configure({"sm2": layout}))
    assert f"  layout       {words}\n" in asked.out


def test_the_platforms_private_key_really_decrypts(operator):
    private = operator.folder / "private.pem"
    private.write_text(operator.key.to_pkcs8_pem())
    path = operator.configure({})
    asked = operator("sm2", "probe", "city", "--private-key", private, "--config", path)
    assert (asked.status, asked.err) == (0, "")
    assert "the private key made of it: encryption standard" in asked.out
    assert operator.key.to_hex() not in asked.out
    without = operator("sm2", "probe", "city", "--config", path)
    assert "with a key pair made for this probe" in without.out


def test_another_private_key_is_refused_with_both_fingerprints(operator):
    other = sm2.generate_key_pair()
    private = operator.folder / "other.pem"
    private.write_text(other.to_pkcs8_pem())
    path = operator.configure({})
    asked = operator("sm2", "probe", "--private-key", private, "--config", path)
    assert (asked.status, asked.out) == (1, "")
    for part in (str(private), "city.pem", other.public_key.fingerprint):
        assert part in asked.err
    assert operator.key.public_key.fingerprint in asked.err


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x00\xff" * 40, b"04" + b"ab" * 64])
def test_a_key_file_that_is_none_is_named(operator, content):
    (operator.folder / "city.pem").write_bytes(content)
    path = operator.configure({})
    asked = operator("sm2", "probe", "--config", path)
    assert (asked.status, asked.out) == (1, "")
    assert asked.err.startswith(f"city: {operator.folder / 'city.pem'}: ")


def test_a_private_key_file_that_is_none_is_named(operator):
    for private in (operator.folder / "password", operator.folder / "missing"):
        asked = operator(
            "sm2", "probe", "--private-key", private, "--config", operator.configure({})
        )
        assert (asked.status, asked.out) == (1, "")
        assert asked.err.startswith(f"city: {private}: ")


def test_one_bad_key_does_not_hide_the_next_platform(operator):
    (operator.folder / "bad.pem").write_text("garbage")
    path = operator.configure(
        {"sm2_public_key_file": "bad.pem"},
        {"name": "region", "url": "https://region.example"},
        {
            "name": "open",
            "url": "https://open.example",
            "sm2_public_key_file": None,
            "password_format": "plain",
            "allow_plain_password": True,
        },
    )
    asked = operator("sm2", "probe", "--config", path)
    assert asked.status == 1
    assert asked.out.startswith("region:\n")
    assert len(ciphertexts(asked.out)) == 1
    assert [line.split(":")[0] for line in asked.complaints] == ["city", "open"]
    chosen = operator("sm2", "probe", "region", "--config", path)
    assert (chosen.status, chosen.complaints) == (0, [])
