from __future__ import annotations

import ipaddress
import typing
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import kinds
from agent.config.kinds import TextKind, split_listen


def accept(kind: object, text: str) -> str:
    (found,) = [one for one in typing.get_args(kind) if isinstance(one, TextKind)]
    return found.accept(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.0.0.0:8123", ("0.0.0.0", 8123)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
        ("[::]:80", ("::", 80)),
    ],
)
def test_listen_is_split(text: str, expected: tuple[str, int]) -> None:
    assert split_listen(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", ":", "8123", ":8123", "::1:80", "h:", "h:x", "h:-1", "h:65536", "1.2.3:80", "256.1.1.1:80",
     "[1.2.3.4]:80", "[::1]", "[]:80", "a b:80", "h:８０", "[::1%eth0x]y:1"],
)  # fmt: skip
def test_what_is_no_listen_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        split_listen(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://h", "https://h"),
        ("HTTPS://H/", "https://H"),
        ("http://127.0.0.1:8080/base//", "http://127.0.0.1:8080/base"),
        ("https://[2001:db8::1]:443", "https://[2001:db8::1]:443"),
        ("https://平台.example", "https://平台.example"),
    ],
)
def test_a_url_is_accepted(text: str, expected: str) -> None:
    assert accept(kinds.Url, text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "h", "ftp://h", "https:/h", "https://", "https:///x", "https://:80", "https://u@h",
     "https://u:p@h", "https://h?a=b", "https://h?", "https://h#", "https://h:0", "https://h:x",
     "https://h:", "https://h/a b", "https://h\\x", "https://1.2.3", "https://[::g]", "https://-h",
     "https://h_/", "https://[::1]x"],
)  # fmt: skip
def test_what_is_no_base_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        accept(kinds.Url, text)


@given(st.ip_addresses(v=4).map(str))
def test_every_ipv4_address_is_one(text: str) -> None:
    assert accept(kinds.Ipv4, text) == text


@given(st.text(alphabet="0123456789.", min_size=7, max_size=15))
def test_an_ipv4_address_is_what_the_standard_library_takes_for_one(text: str) -> None:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        with pytest.raises(ValueError):
            accept(kinds.Ipv4, text)
    else:
        assert accept(kinds.Ipv4, text) == text


@given(st.text(max_size=40))
def test_any_text_is_accepted_or_refused(text: str) -> None:
    for kind in (kinds.Url, kinds.Listen, kinds.Ipv4, kinds.ComputilityCode, kinds.FilePath):
        for candidate in (text, f"http://{text}", f"[{text}]:1"):
            try:
                accept(kind, candidate)
            except ValueError:
                continue


@pytest.mark.parametrize(
    ("text", "hours"),
    [("Asia/Shanghai", 8), ("+08:00", 8), ("-03:30", -3.5), ("+00:00", 0), ("UTC", 0)],
)
def test_a_time_zone_is_a_name_or_an_offset(text: str, hours: float) -> None:
    assert accept(kinds.TimeZone, text) == text
    moment = datetime(2026, 7, 1, tzinfo=kinds.time_zone(text))
    assert moment.utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize(
    "text",
    ["", "Asia/Nowhere", "8", "+8", "+24:00", "+08:60", "/etc/passwd", "../UTC", "a\0b", "Asia"],
)
def test_what_is_no_time_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        accept(kinds.TimeZone, text)
