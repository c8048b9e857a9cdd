"""What must hold between settings that are each good by themselves.

The rules work on the values that were found, not on finished settings, so that they speak up
beside other problems. A value that is missing here had a problem of its own: no rule about it.
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from agent.config import meter_rules, monitoring_rules
from agent.config.findings import Findings
from agent.config.nodes import Place, join_index

SOCKET_NAME = "agent.sock"
_PLAIN, _ENCRYPTED = "plain", "sm2"
_LONGEST_SOCKET_PATH_BYTES = 107
_DEFAULT_PORTS = {"http": 80, "https": 443}


def check(findings: Findings) -> None:
    """Note every problem and warning that concerns more than one setting."""
    _check_state_dir(findings)
    count = sum(1 for path in findings.places if re.fullmatch(r"acsmp\[[0-9]+\]", path))
    if count and "device_api" in findings.values and findings.values["device_api"] is None:
        findings.problem(
            "acsmp",
            "a platform reads this node on the device API; add a section device_api",
            place=findings.places.get("acsmp"),
        )
    platforms = [join_index("acsmp", index) for index in range(count)]
    for platform in platforms:
        _check_password_format(findings, platform)
        _check_client_certificate(findings, platform)
        _warn_of_plain_http(findings, platform)
    _check_names(findings, platforms)
    _check_targets(findings, platforms)
    meter_rules.check(findings)
    monitoring_rules.check(findings)


def _place_of(findings: Findings, platform: str, name: str) -> Place | None:
    return findings.places.get(f"{platform}.{name}") or findings.places.get(platform)


def _check_state_dir(findings: Findings) -> None:
    state_dir = findings.values.get("node.state_dir")
    if not isinstance(state_dir, str):
        return
    length = len(os.fsencode(f"{state_dir}/{SOCKET_NAME}"))
    if length > _LONGEST_SOCKET_PATH_BYTES:
        longest = _LONGEST_SOCKET_PATH_BYTES - len(SOCKET_NAME) - 1
        findings.problem(
            "node.state_dir",
            f"expected a path of at most {longest} bytes, because the local socket stands in it; "
            f"found {length - len(SOCKET_NAME) - 1}",
            place=findings.places.get("node.state_dir"),
        )


def _check_password_format(findings: Findings, platform: str) -> None:
    values = findings.values
    password_format = values.get(f"{platform}.password_format")
    if password_format == _PLAIN and values.get(f"{platform}.allow_plain_password") is False:
        findings.problem(
            f"{platform}.password_format",
            "plain shows the password to everybody on the way; "
            "if the platform wants it so, set allow_plain_password: true beside it",
            place=_place_of(findings, platform, "password_format"),
        )
    key_file = f"{platform}.sm2_public_key_file"
    if password_format == _ENCRYPTED and key_file in values and values[key_file] is None:
        findings.problem(
            key_file,
            "missing; expected the path of a file with the platform's SM2 public key",
            place=_place_of(findings, platform, "sm2_public_key_file"),
        )


def _check_client_certificate(findings: Findings, platform: str) -> None:
    key, certificate = f"{platform}.client_private_key", f"{platform}.client_certificate"
    is_key_given = findings.values.get(key) is not None
    if is_key_given and certificate in findings.values and findings.values[certificate] is None:
        findings.problem(
            certificate,
            "missing; expected the certificate that belongs to client_private_key",
            place=_place_of(findings, platform, "client_private_key"),
        )


def _warn_of_plain_http(findings: Findings, platform: str) -> None:
    url = findings.values.get(f"{platform}.url")
    if isinstance(url, str) and url.startswith("http://"):
        findings.warning(
            f"{platform}.url",
            "http:// shows the token and what is reported to everybody on the way",
            place=_place_of(findings, platform, "url"),
        )


def _check_names(findings: Findings, platforms: list[str]) -> None:
    first: dict[object, str] = {}
    for platform in platforms:
        name = findings.values.get(f"{platform}.name")
        if name is None:
            continue
        if name in first:
            line = _line_of(findings, first[name], "name")
            findings.problem(
                f"{platform}.name",
                f'expected a name of its own, "{name}" is taken on line {line}',
                place=_place_of(findings, platform, "name"),
            )
        first.setdefault(name, platform)


def _check_targets(findings: Findings, platforms: list[str]) -> None:
    """Refuse one computility code twice at one platform: each would end the other's session."""
    first: dict[object, str] = {}
    for platform in platforms:
        url, code = findings.values.get(f"{platform}.url"), f"{platform}.code"
        if not isinstance(url, str) or code not in findings.values:
            continue
        target = (_normal(url), findings.values[code] or findings.values.get("node.code"))
        if target in first:
            line = _line_of(findings, first[target], "url")
            findings.problem(
                f"{platform}.url",
                f"this platform stands on line {line} with the same computility code",
                place=_place_of(findings, platform, "url"),
            )
        first.setdefault(target, platform)


def _line_of(findings: Findings, platform: str, name: str) -> int | None:
    place = _place_of(findings, platform, name)
    return place.line if place is not None else None


def _normal(url: str) -> tuple[str, str | None, int | None, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme], parts.path
