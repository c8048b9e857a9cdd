from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.config.load import Loaded

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]

HEAD = """\
node: {code: "11010800005020000001", type: AI_BOX}
device_api: {password_file: password}
acsmp:
"""
KEY = "sm2_public_key_file: city.pem"


def platforms(*sections: str) -> str:
    """Return a configuration with these platforms; the first begins on line 4."""
    return HEAD + "".join(f"  - {{{section}}}\n" for section in sections)


def test_a_platform_needs_the_device_api(problems_of: Problems) -> None:
    text = platforms(f"name: a, url: https://h, {KEY}").replace(
        "device_api: {password_file: password}", "device_api: null"
    )
    assert problems_of(text) == [
        (
            "config.yaml:3:1: acsmp: a platform reads this node on the device API; "
            "add a section device_api"
        )
    ]


def test_a_bad_device_api_is_not_called_missing(problems_of: Problems) -> None:
    text = platforms(f"name: a, url: https://h, {KEY}").replace("password}", "nope}")
    assert problems_of(text) == [
        "config.yaml:2:29: device_api.password_file: there is no file nope"
    ]


def test_two_platforms_have_two_names(problems_of: Problems) -> None:
    text = platforms(f"name: a, url: https://h, {KEY}", f"name: a, url: https://i, {KEY}")
    assert problems_of(text) == [
        'config.yaml:5:6: acsmp[1].name: expected a name of its own, "a" is taken on line 4'
    ]


@pytest.mark.parametrize(
    "second",
    ["https://h", "https://H:443/", "https://h, code: 11010800005020000001"],
)
def test_one_code_registers_once_at_a_platform(problems_of: Problems, second: str) -> None:
    text = platforms(f"name: a, url: https://h, {KEY}", f"name: b, url: {second}, {KEY}")
    assert problems_of(text) == [
        (
            "config.yaml:5:15: acsmp[1].url: this platform stands on line 4 with the same "
            "computility code"
        )
    ]


def test_two_codes_may_register_at_one_platform(load_here: Load) -> None:
    text = platforms(
        f"name: a, url: https://h, {KEY}",
        f"name: b, url: https://h, code: 11010800005020000002, {KEY}",
        f"name: c, url: https://h/c, {KEY}",
    )
    assert len(load_here(text).settings.acsmp) == 3


def test_an_encrypted_password_needs_a_key(problems_of: Problems) -> None:
    assert problems_of(platforms("name: a, url: https://h")) == [
        (
            "config.yaml:4:5: acsmp[0].sm2_public_key_file: missing; expected the path of a file "
            "with the platform's SM2 public key"
        )
    ]


def test_a_plain_password_needs_permission(load_here: Load, problems_of: Problems) -> None:
    text = platforms("name: a, url: https://h, password_format: plain")
    assert problems_of(text) == [
        (
            "config.yaml:4:31: acsmp[0].password_format: plain shows the password to everybody on "
            "the way; if the platform wants it so, set allow_plain_password: true beside it"
        )
    ]
    allowed = text.replace("plain}", "plain, allow_plain_password: true}")
    assert load_here(allowed).settings.acsmp[0].sm2_public_key_file is None


def test_a_private_key_needs_its_certificate(load_here: Load, problems_of: Problems) -> None:
    text = platforms(f"name: a, url: https://h, {KEY}, client_private_key: client.key")
    assert problems_of(text) == [
        (
            "config.yaml:4:62: acsmp[0].client_certificate: missing; expected the certificate that "
            "belongs to client_private_key"
        )
    ]
    alone = text.replace("client_private_key: client.key", "client_certificate: client.pem")
    assert load_here(alone).settings.acsmp[0].client_private_key is None


def test_plain_http_is_a_warning(load_here: Load) -> None:
    loaded = load_here(platforms(f"name: a, url: http://h, {KEY}"))
    (warning,) = loaded.warnings
    assert (warning.line, warning.column, warning.key) == (4, 15, "acsmp[0].url")


def test_listening_everywhere_without_tls_is_no_warning(load_here: Load) -> None:
    assert load_here(HEAD).warnings == ()
