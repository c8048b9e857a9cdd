"""What must hold between the settings of a centre and of monitoring platforms."""

from __future__ import annotations

import re

from agent.config.findings import Findings
from agent.config.nodes import Place, join_index


def check(findings: Findings) -> None:
    """Note every problem and warning that concerns more than one of these settings."""
    if "centre" in findings.places:
        _check_centre(findings)
    platforms = _items(findings, "monitoring")
    _check_unique(findings, platforms, "name")
    for platform in platforms:
        _check_platform(findings, platform)


def _check_centre(findings: Findings) -> None:
    values = findings.values
    if _is_absent(findings, "centre.id") and _is_absent(findings, "centre.name"):
        findings.problem(
            "centre",
            "expected id or name: platforms ask for the centre by one of them",
            place=findings.places.get("centre"),
        )
    _check_unique(findings, _items(findings, "centre.users"), "username")
    _check_sign(findings, "centre.sign", checks=True)
    nodes, prometheus = values.get("centre.sources.nodes"), "centre.sources.prometheus"
    if nodes == "prometheus" and _is_absent(findings, prometheus):
        findings.problem(
            prometheus,
            "missing; expected the section of the server that `nodes: prometheus` asks",
            place=findings.places.get("centre.sources.nodes"),
        )
    for given, other in (("username", "password"), ("password", "username")):
        if findings.values.get(f"{prometheus}.{given}") is not None and _is_absent(
            findings, f"{prometheus}.{other}"
        ):
            findings.problem(
                f"{prometheus}.{other}",
                f"missing; {given} is given",
                place=_place(findings, prometheus, given),
            )
    for source in [*_items(findings, "centre.sources.nodes"), prometheus]:
        _check_client_certificate(findings, source)
        _warn_of_plain_http(findings, source, what="the password")
    tls = "centre.tls"
    if tls in values and values[tls] is None:
        findings.warning(
            "centre",
            "without tls the passwords and tokens of the platforms are shown to everybody on the "
            "way",
            place=findings.places.get("centre"),
        )


def _check_platform(findings: Findings, platform: str) -> None:
    _warn_of_plain_http(findings, platform, what="the password, the token and what is reported")
    _check_client_certificate(findings, platform)
    _check_sign(findings, f"{platform}.sign", checks=False)
    projects = _items(findings, f"{platform}.projects")
    _check_unique(findings, projects, "name")
    names = [findings.values.get(f"{project}.name") for project in projects]
    wanted = findings.values.get(f"{platform}.centre.projects")
    if isinstance(wanted, tuple) and None not in names:
        for name in wanted:
            if name not in names:
                findings.problem(
                    f"{platform}.centre.projects",
                    f'there is no project "{name}" under {platform}.projects',
                    place=_place(findings, f"{platform}.centre", "projects"),
                )
    province = findings.values.get(f"{platform}.centre.province")
    city = findings.values.get(f"{platform}.centre.city")
    if isinstance(province, str) and isinstance(city, str) and province[:2] != city[:2]:
        findings.problem(
            f"{platform}.centre.city",
            f"{city} does not lie in the province {province}",
            place=_place(findings, f"{platform}.centre", "city"),
        )


def _check_sign(findings: Findings, sign: str, *, checks: bool) -> None:
    """Note what a mode lacks; `checks` says that the other side's signature is checked."""
    mode = findings.values.get(f"{sign}.mode")
    if mode == "sm2":
        key = f"{sign}.{'public' if checks else 'private'}_key_file"
        if _is_absent(findings, key):
            whose = "the platform's public key" if checks else "our private key"
            findings.problem(
                key,
                f"missing; the mode sm2 needs {whose}",
                place=_place(findings, sign, "mode"),
            )
    elif isinstance(mode, str) and mode != "none" and _is_absent(findings, f"{sign}.secret"):
        findings.problem(
            f"{sign}.secret",
            f"missing; the mode {mode} needs secret_file or secret",
            place=_place(findings, sign, "mode"),
        )
    if mode == "sha256-tif" and findings.values.get(f"{sign}.timestamp") is False:
        findings.problem(
            f"{sign}.timestamp",
            "sha256-tif signs the time, so it cannot be left out",
            place=_place(findings, sign, "timestamp"),
        )


def _check_client_certificate(findings: Findings, section: str) -> None:
    certificate = f"{section}.client_certificate"
    if findings.values.get(f"{section}.client_private_key") is not None and _is_absent(
        findings, certificate
    ):
        findings.problem(
            certificate,
            "missing; expected the certificate that belongs to client_private_key",
            place=_place(findings, section, "client_private_key"),
        )


def _warn_of_plain_http(findings: Findings, section: str, *, what: str) -> None:
    url = findings.values.get(f"{section}.url")
    if isinstance(url, str) and url.startswith("http://"):
        findings.warning(
            f"{section}.url",
            f"http:// shows {what} to everybody on the way",
            place=_place(findings, section, "url"),
        )


def _check_unique(findings: Findings, sections: list[str], name: str) -> None:
    first: dict[object, str] = {}
    for section in sections:
        value = findings.values.get(f"{section}.{name}")
        if value is None:
            continue
        if value in first:
            place = _place(findings, first[value], name)
            findings.problem(
                f"{section}.{name}",
                f'expected one of its own, "{value}" is taken on line '
                f"{place.line if place else '?'}",
                place=_place(findings, section, name),
            )
        first.setdefault(value, section)


def _items(findings: Findings, key: str) -> list[str]:
    pattern = re.compile(re.escape(key) + r"\[[0-9]+\]")
    count = sum(1 for path in findings.places if pattern.fullmatch(path))
    return [join_index(key, index) for index in range(count)]


def _is_absent(findings: Findings, key: str) -> bool:
    """Tell whether a value is good and None; one with a problem of its own is not absent."""
    return key in findings.values and findings.values[key] is None


def _place(findings: Findings, section: str, name: str) -> Place | None:
    return findings.places.get(f"{section}.{name}") or findings.places.get(section)
