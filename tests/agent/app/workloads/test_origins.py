"""Who is shown the token of a platform, and who is not."""

from __future__ import annotations

import pytest

from agent.app.workloads.origins import PlatformOrigins
from agent.config.settings import AcsmpSettings
from agent.model.secret import Secret
from agent.protocols.acsmp.identity import PlatformToken
from agent.transport.download import Downloader
from tests.file_server import FileServer


def origins(url, *, tokens=("t0ken",), **settings):
    platform = AcsmpSettings(name="city", url=url, **settings)
    held = [PlatformToken(platform="city", token=Secret(each)) for each in tokens]
    return PlatformOrigins([platform], tokens=lambda: held)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://acsmp.example", "https://acsmp.example:443"),
        ("http://acsmp.example/base", "http://acsmp.example:80"),
        ("https://ACSMP.example:8443", "https://acsmp.example:8443"),
        ("http://[2001:DB8::1]", "http://[2001:db8::1]:80"),
        ("http://[2001:db8::1]:8088", "http://[2001:db8::1]:8088"),
    ],
)
def test_the_platform_gets_the_token_that_it_gave(url, origin):
    access = origins(url).access(origin)
    assert access.headers == {"Authorization": "Bearer t0ken"}


@pytest.mark.parametrize(
    "origin",
    [
        "http://acsmp.example:443",
        "https://acsmp.example:8443",
        "https://files.acsmp.example:443",
        "https://acsmp.example.evil.example:443",
        "",
    ],
)
def test_nobody_else_gets_anything(origin):
    assert origins("https://acsmp.example", ca_file="/ca.pem").access(origin) is None


def test_without_a_token_its_certificates_are_used_all_the_same():
    access = origins(
        "https://acsmp.example",
        tokens=(),
        ca_file="/ca.pem",
        client_certificate="/c.pem",
        client_private_key="/k.pem",
    ).access("https://acsmp.example:443")
    assert dict(access.headers) == {}
    assert (access.ca_file, access.client_certificate) == ("/ca.pem", "/c.pem")
    assert access.client_private_key == "/k.pem"


def test_the_newest_token_is_sent_in_the_header_that_is_configured():
    access = origins("http://h:1", tokens=("new", "old"), token_header="X-Token: <{token}>").access(
        "http://h:1"
    )
    assert access.headers == {"X-Token": "<new>"}


def test_a_token_of_another_platform_is_not_sent():
    known = PlatformOrigins(
        [AcsmpSettings(name="city", url="http://city"), AcsmpSettings(name="r", url="http://r")],
        tokens=lambda: [PlatformToken(platform="r", token=Secret("of r"))],
    )
    assert dict(known.access("http://city:80").headers) == {}
    assert known.access("http://r:80").headers == {"Authorization": "Bearer of r"}


def test_a_download_sends_it_to_that_server_alone():
    mine, other = FileServer(b"licence"), FileServer(b"licence")
    try:
        known = origins(f"http://localhost:{mine.port}")
        downloader = Downloader(user_agent="test/1", credentials_for=known.access)
        for server in (mine, other):
            downloader.fetch_small(server.url, maximum_bytes=100, deadline_seconds=20)
        assert mine.asked[0].headers["authorization"] == "Bearer t0ken"
        assert "authorization" not in other.asked[0].headers
    finally:
        mine.close()
        other.close()
