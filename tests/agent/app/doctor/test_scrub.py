"""No secret leaves the machine in a bundle, however it is written."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import quote

import hypothesis
import pytest
from hypothesis import strategies

from agent.app.doctor.scrub import LEAST_CHARACTERS, Scrubber

SECRET = "Pässwort-密码 $1/x"


@pytest.mark.parametrize(
    "spell",
    [
        str,
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        quote,
        lambda text: quote(text, safe=""),
        repr,
        lambda text: text.encode().hex(),
        lambda text: text.encode().hex().upper(),
        lambda text: base64.b64encode(text.encode()).decode(),
    ],
)
def test_a_known_secret_is_found_in_every_spelling(spell):
    written = spell(SECRET)
    scrubbed = Scrubber(secrets=[SECRET]).scrub(f"before {written} behind")
    assert written.strip("'\"") not in scrubbed
    assert scrubbed.startswith("before ")
    assert scrubbed.endswith(" behind")


@hypothesis.given(
    secret=strategies.text(min_size=LEAST_CHARACTERS, max_size=32),
    around=strategies.text(max_size=40),
)
def test_a_known_secret_is_never_in_the_outcome(secret, around):
    hypothesis.assume(secret not in "***")
    scrubbed = Scrubber(secrets=[secret]).scrub(f"{around} [{secret}] {around}")
    assert f"[{secret}]" not in scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer HIDDEN-abcdef",
        "authorization=Basic SElEREVOCg==HIDDEN",
        '{"Authorization": "Bearer HIDDEN12345"}',
        "password: HIDDEN",
        'password: "HIDDEN word"',
        "password='HIDDEN word'",
        '"api_key": "HIDDEN"',
        "community: HIDDEN",
        "auth-secret=HIDDEN",
        "token=HIDDEN;",
        "secret_key: HIDDEN",
        "auth_password_text=HIDDEN",
        "https://user:HIDDEN@host.example/x",
        "fetched https://files.example/a.tar?Signature=HIDDEN&Expires=1 at once",
        "-----BEGIN PRIVATE KEY-----\nHIDDEN\nHIDDEN\n-----END PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----\nHIDDEN and no end",
    ],
)
def test_what_looks_like_a_secret_is_taken_out_though_nobody_knows_it(text):
    scrubber = Scrubber(secrets=[])
    assert "HIDDEN" not in scrubber.scrub(text)
    assert scrubber.counts["secrets"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "password_file: /etc/computility-agent/device-api.password",
        "password_format: sm2",
        "allow_plain_password: false",
        'token_header: "Authorization: Bearer {token}"',
        "token of 64 characters received",
        "password: ${DEVICE_PASSWORD}",
        "token_changes: 0",
        '  "token_changes": 3,',
        "secret: null",
        "secret_key_file: /etc/x.key",
    ],
)
def test_settings_and_words_stay(text):
    assert Scrubber(secrets=[]).scrub(text) == text


def test_names_of_the_machine_are_replaced_as_record_does():
    scrubber = Scrubber(secrets=[], host_names=["box-in-hall-7"], user_names=["zhangsan"])
    text = "box-in-hall-7 at 198.51.100.23, serial number: 2102312NPX10M7000123, of zhangsan"
    scrubber.learn(text)
    scrubbed = scrubber.scrub(text)
    for name in ("box-in-hall-7", "198.51.100.23", "2102312NPX10M7000123", "zhangsan"):
        assert name not in scrubbed
    assert {"host names", "IP addresses", "serial numbers", "user names"} <= set(scrubber.counts)


def test_a_secret_that_is_too_short_is_counted_and_spoils_nothing():
    scrubber = Scrubber(secrets=["a", ""])
    assert scrubber.scrub("a banana") == "a banana"
    assert scrubber.too_short == 1


@pytest.mark.parametrize(
    "piece",
    ["a", "0123456789abcdef", "a.", "password", 'password:"', "http://", "://a:", "bearer "],
)
def test_a_line_that_is_long_takes_no_longer_than_its_length_asks(piece):
    # Quadratic work on this would last minutes.
    text = piece * (200_000 // len(piece))
    scrubber = Scrubber(secrets=["some-secret"])
    began = time.process_time()
    scrubber.scrub(text)
    assert time.process_time() - began < 20
