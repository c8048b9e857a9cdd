"""What must hold between the settings of meters."""

from __future__ import annotations

import re

from agent.config.findings import Findings
from agent.config.nodes import join_index


def check(findings: Findings) -> None:
    """Note every problem that concerns more than one setting of the meters."""
    count = sum(1 for path in findings.places if re.fullmatch(r"meters\[[0-9]+\]", path))
    meters = [join_index("meters", index) for index in range(count)]
    _check_names(findings, meters)
    _check_roles(findings, meters)


def _check_names(findings: Findings, meters: list[str]) -> None:
    first: dict[object, str] = {}
    for meter in meters:
        name = findings.values.get(f"{meter}.name")
        if name is None:
            continue
        if name in first:
            place = findings.places.get(f"{first[name]}.name")
            findings.problem(
                f"{meter}.name",
                f'expected a name of its own, "{name}" is taken on line '
                f"{place.line if place else '?'}",
                place=findings.places.get(f"{meter}.name"),
            )
        first.setdefault(name, meter)


def _check_roles(findings: Findings, meters: list[str]) -> None:
    added: set[str] = set()
    taken: dict[str, str] = {}
    is_whole = True
    for meter in meters:
        key = f"{meter}.role"
        roles = _roles(findings.values.get(key))
        if roles is None:
            is_whole = False
            continue
        plain = [role.removeprefix("-") for role in roles]
        twice = next((role for role in plain if plain.count(role) > 1), None)
        if twice is not None:
            findings.problem(
                key,
                f"{twice} stands there twice, so that it would count twice or cancel itself",
                place=findings.places.get(key),
            )
        for role in roles:
            if role.startswith("-"):
                taken.setdefault(role.removeprefix("-"), key)
            else:
                added.add(role)
    for role, key in taken.items() if is_whole else ():
        if role not in added:
            findings.problem(
                key,
                f"taken away from {role}, which no meter adds to",
                place=findings.places.get(key),
            )


def _roles(value: object) -> tuple[str, ...] | None:
    """Return the roles of a meter, None where they had a problem of their own."""
    if isinstance(value, str):
        return (value,)
    return tuple(str(role) for role in value) if isinstance(value, tuple) else None
