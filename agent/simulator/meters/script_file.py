"""A script of meters in YAML → a centre that can be played; every mistake with its place in words.

Every text is taken as it stands (no 09:50 becomes a number of base 60), and what is not known is
refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from agent.errors import PermanentError
from agent.simulator.meters.flows import DAY_SECONDS, Flow, Point
from agent.simulator.meters.layouts import TRAITS, Layout, Traits
from agent.simulator.meters.meter import LASTING, Event, MeterScript, Mishap
from agent.simulator.meters.script import FACILITY, GREEN, IT, WATER, CentreScript

SMALL_CENTRE = Path(__file__).parent / "scripts" / "small-centre.yaml"

_MAXIMUM_BYTES = 256 * 1024
_MOST_METERS = 64
_MOST_DAYS = 1000
_ROLES = (FACILITY, IT, *GREEN, WATER)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?")
_TIME = re.compile(r"([0-9]{1,5}):([0-5][0-9])(?::([0-5][0-9]))?")
_KWH, _LITRE = 3_600_000, 1000
# From a unit to watts, or to millilitres a second.
_UNITS = {
    "kw": (Fraction(1000), False),
    "w": (Fraction(1), False),
    "litres_per_hour": (Fraction(_LITRE, 3600), True),
}


class ScriptError(Exception):
    """Says what is wrong with a script, and where in it."""


def load(path: Path) -> CentreScript:
    """Return the centre that a file describes.

    Raises:
        PermanentError: it cannot be read, or is no script; with what is wrong and where.
    """
    try:
        with path.open("rb") as opened:
            content = opened.read(_MAXIMUM_BYTES + 1)
    except OSError as error:
        raise PermanentError(f"{path}: {error.strerror or error}") from error
    if len(content) > _MAXIMUM_BYTES:
        raise PermanentError(f"{path}: longer than {_MAXIMUM_BYTES} bytes")
    try:
        return parse(yaml.load(content, Loader=yaml.BaseLoader))  # noqa: S506 - makes texts only
    except (ScriptError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise PermanentError(f"{path}: {' '.join(str(error).split())}") from error


def parse(document: Any) -> CentreScript:
    """Return the centre of a document whose values are texts, lists and mappings.

    Raises:
        ScriptError: it is no script; with what is wrong and where.
    """
    top = _section(document, where="the script", keys=("start", "flows", "meters"))
    try:
        start_at = datetime.fromisoformat(_text(top, "start", where="start"))
    except ValueError as error:
        raise ScriptError("start: expected a time such as 2026-01-31T00:00:00+08:00") from error
    if start_at.tzinfo is None:
        raise ScriptError("start: the time has no zone; write +08:00 behind it")
    flows = {
        name: _flow(each, where=f"flows.{name}")
        for name, each in _section(top.get("flows"), where="flows").items()
    }
    listed = top.get("meters")
    if not isinstance(listed, list) or not 1 <= len(listed) <= _MOST_METERS:
        raise ScriptError(f"meters: expected a list of 1 to {_MOST_METERS} meters")
    meters = tuple(
        _meter(each, flows=flows, where=f"meters[{place}]") for place, each in enumerate(listed)
    )
    names = [meter.name for meter in meters]
    for name in names:
        if names.count(name) > 1:
            raise ScriptError(f"meters: two are called {name}")
    return CentreScript(start_at=start_at, meters=meters)


def _flow(document: Any, *, where: str) -> tuple[Flow, bool]:
    """Return a flow, and whether it is one of water."""
    section = _section(document, where=where, keys=("unit", "day"))
    unit = _text(section, "unit", where=where)
    if unit not in _UNITS:
        raise ScriptError(f"{where}.unit: expected one of {', '.join(_UNITS)}")
    factor, is_water = _UNITS[unit]
    points = []
    for time, value in _section(section.get("day"), where=f"{where}.day").items():
        second = _second(time, where=f"{where}.day")
        if second >= DAY_SECONDS:
            raise ScriptError(f"{where}.day: {time} is no time of a day")
        rate = factor * _number(value, where=f"{where}.day {time}")
        points.append(Point(second=second, rate=rate))
    try:
        return Flow(points), is_water
    except ValueError as error:
        raise ScriptError(f"{where}.day: {error}") from error


def _meter(document: Any, *, flows: Mapping[str, tuple[Flow, bool]], where: str) -> MeterScript:
    keys = ("name", "layout", "role", "measures", "start", "ct", "digits", "port", "options")
    section = _section(document, where=where, keys=(*keys, "rated_power_kw", "events"))
    name = _text(section, "name", where=where)
    if _NAME.fullmatch(name) is None:
        raise ScriptError(f"{where}.name: expected letters, digits, dots and hyphens")
    try:
        layout = Layout(_text(section, "layout", where=where))
    except ValueError as error:
        words = ", ".join(each.value for each in Layout)
        raise ScriptError(f"{where}.layout: expected one of {words}") from error
    traits = TRAITS[layout]
    step, ratio = _step(section, traits=traits, where=where)
    digits = _whole(section.get("digits", "0"), most=18, where=f"{where}.digits")
    modulus = min(traits.modulus, 10**digits) if digits else traits.modulus
    measured = _measured(section, flows=flows, is_water=traits.is_water, where=where)
    _check_direction(measured, where=f"{where}.measures")
    events = _events(section.get("events", []), where=f"{where}.events")
    start = _number(section.get("start", "1000"), where=f"{where}.start")
    start *= _LITRE if traits.is_water else _KWH
    for event in events:
        if event.kind is Mishap.WRAP:
            second = Fraction(event.at)
            counted = sum((sign * flow.amount(second) for sign, flow in measured), Fraction(0))
            start = modulus * step - counted
    options = dict(_section(section.get("options", {}), where=f"{where}.options"))
    if ratio != 1:
        options["ct"] = str(section["ct"])
    if digits:
        unit = "litres" if traits.is_water else "kwh"
        base = _LITRE if traits.is_water else _KWH
        options[f"rollover_{unit}"] = _decimal(Fraction(modulus * step, base))
    rated = section.get("rated_power_kw")
    if rated is not None:
        _number(rated, where=f"{where}.rated_power_kw")
    return MeterScript(
        name=name,
        layout=layout,
        roles=_roles(section.get("role", []), where=f"{where}.role"),
        flows=measured,
        step=step,
        modulus=modulus,
        start=start,
        rated_kw=rated,
        options=tuple(options.items()),
        port=_whole(section.get("port", "0"), most=65535, where=f"{where}.port"),
        events=events,
    )


def _step(section: Mapping[str, Any], *, traits: Traits, where: str) -> tuple[int, Fraction]:
    """Return the step of a register in joules or millilitres, and the transformers' ratio."""
    ratio = _number(section.get("ct", "1"), where=f"{where}.ct")
    if ratio != 1 and not traits.has_ratio:
        raise ScriptError(f"{where}.ct: a meter of this layout multiplies itself")
    step = traits.step * ratio
    if step < 1 or step.denominator != 1:
        raise ScriptError(f"{where}.ct: the register has to count whole joules")
    return int(step), ratio


def _measured(
    section: Mapping[str, Any],
    *,
    flows: Mapping[str, tuple[Flow, bool]],
    is_water: bool,
    where: str,
) -> tuple[tuple[int, Flow], ...]:
    measured = []
    for text in _list(section.get("measures"), where=f"{where}.measures"):
        name = text.removeprefix("-")
        if name not in flows:
            raise ScriptError(f"{where}.measures: there is no flow {name}")
        flow, flows_water = flows[name]
        if flows_water != is_water:
            raise ScriptError(f"{where}.measures: {name} is nothing that this meter measures")
        measured.append((-1 if text.startswith("-") else 1, flow))
    if not measured:
        raise ScriptError(f"{where}.measures: expected flows")
    return tuple(measured)


def _check_direction(measured: tuple[tuple[int, Flow], ...], *, where: str) -> None:
    """Refuse what would let a register run backwards, which none does."""
    for second in sorted({corner for _, flow in measured for corner in flow.corners}):
        if sum(sign * flow.rate(Fraction(second)) for sign, flow in measured) < 0:
            time = f"{second // 3600:02}:{second // 60 % 60:02}"
            raise ScriptError(
                f"{where}: at {time} more flows back than comes, and none counts that"
            )


def _roles(value: Any, *, where: str) -> tuple[str, ...]:
    roles = (value,) if isinstance(value, str) else tuple(_list(value, where=where))
    for role in roles:
        if role.removeprefix("-") not in _ROLES:
            raise ScriptError(f"{where}: expected one of {', '.join(_ROLES)}")
    return roles


def _events(value: Any, *, where: str) -> tuple[Event, ...]:
    if not isinstance(value, list):
        raise ScriptError(f"{where}: expected a list")
    events = []
    for place, each in enumerate(value):
        spot = f"{where}[{place}]"
        section = _section(each, where=spot)
        kinds = [kind for kind in Mishap if kind.value in section]
        if len(kinds) != 1:
            words = ", ".join(kind.value for kind in Mishap)
            raise ScriptError(f"{spot}: expected one of {words}, with its time")
        kind = kinds[0]
        for key in section:
            if key not in (kind.value, "until") or (key == "until" and kind not in LASTING):
                raise ScriptError(f"{spot}: {key} is not known of a {kind.value}")
        at = _second(section[kind.value], where=spot)
        until = at
        if kind in LASTING:
            until = _second(section.get("until"), where=f"{spot}.until")
            if until <= at:
                raise ScriptError(f"{spot}.until: expected a time after {section[kind.value]}")
        events.append(Event(kind=kind, at=at, until=until))
    if sum(event.kind is Mishap.WRAP for event in events) > 1:
        raise ScriptError(f"{where}: a register wraps once in a script")
    return tuple(events)


def _section(value: Any, *, where: str, keys: tuple[str, ...] | None = None) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ScriptError(f"{where}: expected keys and values")
    for key in value:
        if not isinstance(key, str) or (keys is not None and key not in keys):
            known = f"; known are {', '.join(keys)}" if keys else ""
            raise ScriptError(f"{where}: unknown key {key}{known}")
    return value


def _list(value: Any, *, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ScriptError(f"{where}: expected a list")
    return value


def _text(section: Mapping[str, Any], key: str, *, where: str) -> str:
    value = section.get(key)
    if not isinstance(value, str) or not value:
        raise ScriptError(f"{where}: {key} is missing")
    return value


def _number(value: Any, *, where: str) -> Fraction:
    """Return a number that is not below 0, exactly as it is written."""
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError, ValueError) as error:
        raise ScriptError(f"{where}: expected a number") from error
    if not number.is_finite() or not 0 <= number <= Decimal("1e12") or number.adjusted() < -12:
        raise ScriptError(f"{where}: expected a number from 0 to 1000000000000")
    return Fraction(number)


def _whole(value: Any, *, most: int, where: str) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,10}", value) or int(value) > most:
        raise ScriptError(f"{where}: expected a whole number, at most {most}")
    return int(value)


def _second(text: Any, *, where: str) -> int:
    """Return a time in seconds since midnight of the first day; 26:00 is the next day's 02:00."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None or int(match[1]) > _MOST_DAYS * 24:
        raise ScriptError(f"{where}: expected a time such as 09:50, or 33:50 of the next day")
    return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3] or 0)


def _decimal(number: Fraction) -> str:
    return format(Decimal(number.numerator) / Decimal(number.denominator), "f")
