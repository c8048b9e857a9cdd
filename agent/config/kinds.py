"""The kinds of text that a setting may hold, beyond plain text and numbers.

This module is imported by every plugin's child process: the heavier modules of the standard
library are imported where they are needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from datetime import tzinfo

RawValue: TypeAlias = "str | list[RawValue] | dict[str, RawValue] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextKind:
    """Tells how a text of one kind is checked.

    `words` says what is expected, in messages and in the documentation. `accept` returns the text
    in its normal form, or raises ValueError with what is wrong ("" where `words` says it all).
    `purpose` is what the text stands for: a file must exist and be readable, a private file should
    not be readable by others, and both, like a folder, are relative to the configuration file. A
    folder is not looked for.
    """

    words: str
    example: str
    accept: Callable[[str], str]
    purpose: Literal["text", "file", "private file", "folder"] = "text"


_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}", re.ASCII)
_HOST_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_HOST_NAME = re.compile(rf"{_HOST_LABEL}(?:\.{_HOST_LABEL})*\.?")
_MAXIMUM_PORT = 65535
_SHANGHAI = "Asia/Shanghai"


def _accept_computility_code(text: str) -> str:
    if re.fullmatch(r"[0-9]{20}", text) is None:
        raise ValueError(f"it has {len(text)} digits" if _is_digits(text) else "")
    return text


def _is_digits(text: str) -> bool:
    return re.fullmatch(r"[0-9]+", text) is not None


def _accept_ipv4(text: str) -> str:
    if _IPV4.fullmatch(text) is None:
        raise ValueError
    return text


def _accept_path(text: str) -> str:
    if not text:
        raise ValueError
    if text.startswith("~"):
        raise ValueError("~ is not replaced here")
    return text


def _accept_absolute_path(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError
    return text


def _accept_host(host: str) -> None:
    """Check a host name or an IPv4 address; IPv6 is the caller's, for its brackets."""
    if re.fullmatch(r"[0-9.]+", host):
        if _IPV4.fullmatch(host) is None:
            raise ValueError(f"{host} is no IPv4 address")
    elif _HOST_NAME.fullmatch(host) is None:
        raise ValueError("the host is not a valid name")


def _accept_ipv6(host: str) -> None:
    import ipaddress

    try:
        ipaddress.IPv6Address(host)
    except ValueError as error:
        raise ValueError("what stands in the brackets is no IPv6 address") from error


def _accept_port(digits: str, *, least: int) -> int:
    if re.fullmatch(r"[0-9]{1,5}", digits) is None or not least <= int(digits) <= _MAXIMUM_PORT:
        raise ValueError(f"the port must be {least} to {_MAXIMUM_PORT}")
    return int(digits)


def split_listen(listen: str) -> tuple[str, int]:
    """Split "host:port" or "[IPv6]:port" into host, without brackets, and port.

    Port 0 lets the system choose.

    Raises:
        ValueError: the text is neither; says what is wrong.
    """
    bracketed = re.fullmatch(r"\[([^\[\]]*)\]:([^:]*)", listen)
    if bracketed is not None:
        host, digits = bracketed.groups()
        _accept_ipv6(host)
        return host, _accept_port(digits, least=0)
    host, colon, digits = listen.rpartition(":")
    if not colon:
        raise ValueError(f"write 0.0.0.0:{listen}" if _is_digits(listen) else "the port is missing")
    if not host:
        raise ValueError(f"write 0.0.0.0:{digits}" if _is_digits(digits) else "")
    if ":" in host:
        raise ValueError("an IPv6 address stands in brackets")
    _accept_host(host)
    return host, _accept_port(digits, least=0)


def _accept_listen(text: str) -> str:
    split_listen(text)
    return text


def time_zone(text: str) -> tzinfo:
    """Return the zone of a name such as Asia/Shanghai, or of an offset such as +08:00.

    Raises:
        ValueError: it is neither, or this machine knows no zone of that name.
    """
    from datetime import timedelta, timezone
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    offset = re.fullmatch(r"([+-])([01][0-9]):([0-5][0-9])", text)
    if offset is not None:
        sign, hours, minutes = offset.groups()
        delta = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(-delta if sign == "-" else delta)
    if text == _SHANGHAI:
        # Without daylight saving since 1991; so the default needs no database of zones.
        return timezone(timedelta(hours=8), text)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("this machine knows no such zone") from error


def _accept_time_zone(text: str) -> str:
    time_zone(text)
    return text


def _accept_url(text: str) -> str:
    found = re.fullmatch(r"(?i:(https?))://([^/?#]*)([^?#]*)(.*)", text)
    if found is None:
        raise ValueError
    scheme, authority, path, rest = found.groups()
    if re.search(r"[\s\\]", text):
        raise ValueError("it has a space or a backslash in it")
    if "@" in authority:
        raise ValueError("a user name or password may not stand in it")
    if rest:
        raise ValueError("it may have no ? or #")
    parts = re.fullmatch(r"(\[([^\[\]]*)\]|[^:\[\]]*)(?::(.*))?", authority)
    if parts is None:
        raise ValueError("the host is not valid")
    host, ipv6, digits = parts.groups()
    if not host:
        raise ValueError("the host is missing")
    if ipv6 is not None:
        _accept_ipv6(ipv6)
    else:
        _accept_host(host)
    if digits is not None:
        _accept_port(digits, least=1)
    return f"{scheme.lower()}://{authority}{path.rstrip('/')}"


def _accept_token_header(text: str) -> str:
    name, colon, value = text.partition(": ")
    is_name = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    if not colon or not is_name or "{token}" not in value or not value.isprintable():
        raise ValueError
    return text


ComputilityCode = Annotated[
    str,
    TextKind(words="20 digits", example="11010800005020000001", accept=_accept_computility_code),
]
Ipv4 = Annotated[str, TextKind(words="an IPv4 address", example="192.0.2.10", accept=_accept_ipv4)]
Listen = Annotated[
    str,
    TextKind(words="host:port or [IPv6 address]:port", example="[::]:8123", accept=_accept_listen),
]
Url = Annotated[
    str,
    TextKind(
        words="an http:// or https:// URL", example="https://acsmp.example", accept=_accept_url
    ),
]
FilePath = Annotated[
    str,
    TextKind(
        words="the path of a file",
        example="/etc/computility-agent/file.pem",
        accept=_accept_path,
        purpose="file",
    ),
]
# What may be missing for a while, and is looked for where it is used.
LaterFilePath = Annotated[
    str,
    TextKind(
        words="the path of a file",
        example="/etc/computility-agent/file.yaml",
        accept=_accept_path,
        purpose="folder",
    ),
]
PrivateFilePath = Annotated[
    str,
    TextKind(
        words="the path of a file",
        example="/etc/computility-agent/file.key",
        accept=_accept_path,
        purpose="private file",
    ),
]
FolderPath = Annotated[
    str,
    TextKind(
        words="the path of a folder",
        example="/var/lib/computility-agent",
        accept=_accept_path,
        purpose="folder",
    ),
]
TimeZone = Annotated[
    str,
    TextKind(
        words="a time zone such as Asia/Shanghai or +08:00",
        example="+08:00",
        accept=_accept_time_zone,
    ),
]
MountPath = Annotated[
    str, TextKind(words="an absolute path", example="/data", accept=_accept_absolute_path)
]
TokenHeader = Annotated[
    str,
    TextKind(
        words='a header "Name: value" with {token} in its value',
        example="Authorization: Bearer {token}",
        accept=_accept_token_header,
    ),
]
Enabled: TypeAlias = Literal["auto"] | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSection:
    """Is the part of a plugin's section that only the plugin can check, and where it stands.

    `values` holds text, lists, mappings and None (a value left empty), with `${NAME}` already
    replaced. `places` gives line and column of each value by its path in the section ("library",
    "links[0].port"), and `files` the path of the drop-in for those that are not in `file`;
    `written` the text as it stands in the file where `${NAME}` was replaced, so that no message
    shows what came from the environment. Two sections are equal if their values are.
    """

    values: Mapping[str, RawValue] = field(default_factory=dict, repr=False)
    file: str = field(default="", compare=False)
    key: str = field(default="", compare=False)
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict, compare=False, repr=False)
    files: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    written: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return the section as plain values that `json` can write."""
        return {
            "values": dict(self.values),
            "file": self.file,
            "key": self.key,
            "places": {path: list(place) for path, place in self.places.items()},
            "files": dict(self.files),
            "written": dict(self.written),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> RawSection:
        """Return the section that `to_json` wrote."""
        return cls(
            values=plain["values"],
            file=plain["file"],
            key=plain["key"],
            places={path: (line, column) for path, (line, column) in plain["places"].items()},
            files=plain["files"],
            written=plain["written"],
        )
