"""The sections `centre`, `monitoring` and `outbox`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.config.centre_settings import AgentSourceSettings
from agent.config.load import Loaded

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]

NODE = 'node: {code: "11010800005020000001", type: AI_BOX}\n'
USERS = "users: [{username: city, password_file: password}]"
REGION = "name: region, url: https://h, username: u, password_file: password"
PLACE = 'province: "110000", city: "110100", longitude: 116.4, latitude: 39.9'


def centre(*lines: str) -> str:
    """Return a configuration with a centre; the first of the lines is line 4."""
    return NODE + f"centre:\n  {USERS}\n" + "".join(f"  {line}\n" for line in lines)


def monitoring(*platforms: str) -> str:
    """Return a configuration with these platforms; the first is on line 3."""
    return NODE + "monitoring:\n" + "".join(f"  - {{{one}}}\n" for one in platforms)


def test_both_sections_are_off_without_a_word(load_here: Load) -> None:
    settings = load_here(NODE).settings
    assert settings.centre is None
    assert settings.monitoring == ()
    assert (settings.outbox.maximum_mib, settings.outbox.keep_days) == (64, 400)


def test_a_centre_tells_the_last_full_hour_of_this_node(load_here: Load) -> None:
    loaded = load_here(centre("id: 7"))
    assert loaded.settings.centre is not None
    assert loaded.settings.centre.hour == "last_full"
    assert loaded.settings.centre.sources.nodes == "self"
    assert loaded.settings.centre.sign.scheme == "none"
    (warning,) = loaded.warnings
    assert "without tls" in str(warning)


def test_a_secret_alone_means_hmac_sm3(load_here: Load) -> None:
    settings = load_here(centre("id: 7", "sign: {secret_file: password}")).settings
    assert settings.centre is not None
    assert settings.centre.sign.scheme == "hmac-sm3"


def test_other_agents_are_a_list(load_here: Load) -> None:
    text = centre("name: 中心", "sources: {nodes: [{url: https://a, password_file: password}]}")
    settings = load_here(text).settings
    assert settings.centre is not None
    (source,) = settings.centre.sources.nodes
    assert isinstance(source, AgentSourceSettings)
    assert (source.username, source.prefix) == ("admin", "/ACSMP")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["hour: rolling"], "config.yaml:2:1: centre: expected id or name"),
        (
            ["id: 7", "sources: {nodes: prometheus}"],
            (
                "config.yaml:5:13: centre.sources.prometheus: missing; expected the section of the "
                "server that `nodes: prometheus` asks"
            ),
        ),
        (
            ["id: 7", "sign: {mode: hmac-sm3}"],
            (
                "config.yaml:5:10: centre.sign.secret: missing; the mode hmac-sm3 needs "
                "secret_file or secret"
            ),
        ),
        (
            ["id: 7", "sign: {mode: sm2, private_key_file: client.key}"],
            "centre.sign.public_key_file: missing; the mode sm2 needs the platform's public key",
        ),
        (
            ["id: 7", "sign: {mode: sha256-tif, secret_file: password, timestamp: false}"],
            "centre.sign.timestamp: sha256-tif signs the time",
        ),
        (["id: 7", "hour: last"], 'expected last_full or rolling, found "last"'),
        (["name: " + "算" * 41], "centre.name: expected a text of 1 to 40 characters"),
    ],
)
def test_what_is_wrong_in_a_centre_is_told(
    problems_of: Problems, lines: list[str], expected: str
) -> None:
    (problem,) = problems_of(centre(*lines))
    assert expected in problem


def test_two_users_have_two_names(problems_of: Problems) -> None:
    user = "{username: city, password_file: password}"
    (problem,) = problems_of(NODE + f"centre:\n  id: 7\n  users:\n  - {user}\n  - {user}\n")
    assert 'centre.users[1].username: expected one of its own, "city" is taken on line 5' in problem


def test_a_platform_keeps_what_is_declared(load_here: Load) -> None:
    text = monitoring(
        f"{REGION}, projects: [{{name: 甲, province: 110000}}], "
        f"centre: {{name: 中心, projects: [甲], production_date: 2025/06/30, {PLACE}}}, "
        'token_header: ["token: {token}", "X-Token: {token}"]'
    )
    (platform,) = load_here(text).settings.monitoring
    assert platform.projects[0].province == "110000"
    assert platform.centre.production_date == "2025-06-30"
    assert platform.centre.type == "ai"
    assert platform.token_headers == ("token: {token}", "X-Token: {token}")
    assert platform.report.enabled
    assert platform.map.supply is None


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        (
            f"{REGION}, centre: {{name: 中心, projects: [甲], {PLACE}}}",
            'monitoring[0].centre.projects: there is no project "甲" under monitoring[0].projects',
        ),
        (
            f"{REGION}, centre: {{name: 中心, {PLACE.replace('110100', '310100')}}}",
            "monitoring[0].centre.city: 310100 does not lie in the province 110000",
        ),
        (
            f"{REGION}, centre: {{name: 中心, {PLACE.replace('116.4', '181')}}}",
            "monitoring[0].centre.longitude: expected a number from -180 to 180",
        ),
        (
            f"{REGION}, centre: {{name: 中心, {PLACE}, production_date: 2025-02-30}}",
            'production_date: expected a day, found "2025-02-30"',
        ),
        (
            f'{REGION}, centre: {{name: 中心, {PLACE}}}, token_header: "token"',
            'expected a header "Name: value" with {token} in its value',
        ),
        (
            f"{REGION}, centre: {{name: 中心, {PLACE}}}, sign: {{mode: sm2}}",
            "monitoring[0].sign.private_key_file: missing; the mode sm2 needs our private key",
        ),
        (
            f"{REGION}, centre: {{name: 中心, {PLACE}}}, client_private_key: client.key",
            "monitoring[0].client_certificate: missing",
        ),
    ],
)
def test_what_is_wrong_with_a_platform_is_told(
    problems_of: Problems, platform: str, expected: str
) -> None:
    (problem,) = problems_of(monitoring(platform))
    assert expected in problem


def test_two_platforms_have_two_names(problems_of: Problems) -> None:
    platform = f"{REGION}, centre: {{name: 中心, {PLACE}}}"
    (problem,) = problems_of(monitoring(platform, platform))
    assert 'monitoring[1].name: expected one of its own, "region" is taken on line 3' in problem


def test_plain_http_is_allowed_with_a_warning(load_here: Load) -> None:
    platform = f"{REGION.replace('https', 'http')}, centre: {{name: 中心, {PLACE}}}"
    (warning,) = load_here(monitoring(platform)).warnings
    assert "http:// shows the password, the token and what is reported" in str(warning)
