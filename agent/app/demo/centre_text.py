"""The hours of the demonstration as people read them, each beside its truth."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, tzinfo
from fractions import Fraction

from agent.app.demo import centre_check as demo_centre_check
from agent.app.demo.centre_check import WUE_SCALE, Judgement, Verdict
from agent.metering.explain import Step
from agent.metering.months import MonthTotals
from agent.model.metering import CentreHour, Figure, Quality
from agent.simulator.meters.meter import Event, MeterScript, Mishap
from agent.simulator.meters.script import CentreScript, Truth

_JOULES_PER_KWH = 3_600_000
_MILLILITRES_PER_LITRE = 1000
_COLUMNS = (
    ("hour", "小时", -12),
    ("electricity kWh", "总用电", 17),
    ("IT kWh", "IT 用电", 11),
    ("green kWh", "绿电", 11),
    ("water L", "用水", 10),
    ("PUE", "", 9),
    ("WUE L/kWh", "", 11),
    ("  quality", "  质量", -14),
)
_WORDS = {
    Mishap.WRAP: "its register wraps (翻转)",
    Mishap.RESET: "its register begins anew at 0 (清零)",
    Mishap.SWAP: "another meter takes its place (换表)",
    Mishap.SILENCE: "it does not answer (无应答)",
    Mishap.UNPLUGGED: "it cannot be reached (断线)",
    Mishap.SPIKE: "its register shows far too much (跳变)",
}
_WORSE = tuple(Quality)
_UNKNOWN = "unknown"
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z")


def heading() -> str:
    """Return the heading, English and Chinese."""
    english = _row(*(name for name, _, _ in _COLUMNS))
    return f"{english}\n{_row(*(name for _, name, _ in _COLUMNS))}"


def hour(judged: Judgement, *, script: CentreScript, zone: tzinfo) -> Iterator[str]:
    """Yield the lines of an hour: what the agent found, the truth, and what happened."""
    found, truth = judged.hour, judged.truth
    start = found.start_at.astimezone(zone)
    name = f"{start:%m-%d %H:%M}" + (f" v{found.version}" if found.version > 1 else "")
    yield _row(
        name,
        _energy(found.facility.value),
        _energy(found.it.value),
        _energy(found.green.value),
        _litres(found.water.value),
        _ratio(found.pue),
        _ratio(found.wue_litres_per_kwh),
        f"  {_quality(judged)}",
    )
    yield _row(
        "  truth 真值",
        _true(_energy, truth.facility),
        _true(_energy, truth.it),
        _true(_energy, truth.green),
        _true(_litres, truth.water),
        _true(_ratio, _quotient(truth.facility, truth.it, 1)),
        _true(_ratio, _quotient(truth.water, truth.it, WUE_SCALE)),
        f"  {_verdict(judged)}",
    )
    for meter, event in demo_centre_check.happenings(script, found.start_at):
        yield "    " + happening(meter, event, script=script)
    if judged.verdict is not Verdict.AGREES:
        yield from (f"    {line}" for line in _reasons(found, zone=zone))
    yield from (f"    FAIL {fault}" for fault in judged.faults)


def explanation(steps: Sequence[Step], *, zone: tzinfo) -> Iterator[str]:
    """Yield those steps to an hour's figures that are no plain increase: wraps, readings left out.

    What is not known is told as the reason of the hour, and not here.
    """
    for step in steps:
        kind, amount = step.fields.get("kind"), step.fields.get("amount")
        if amount is not None and (kind not in (None, "increase") or step.fields.get("reason")):
            yield f"    agent: {_MOMENT.sub(lambda at: _local(at[0], zone), step.text)}"


def month(totals: MonthTotals, *, true: Truth) -> Iterator[str]:
    """Yield each figure of a month beside its truth."""
    pairs = (
        ("electricity kWh (总用电)", _energy(totals.facility.value), _true(_energy, true.facility)),
        ("IT kWh (IT 用电)", _energy(totals.it.value), _true(_energy, true.it)),
        ("green kWh (绿电)", _energy(totals.green.value), _true(_energy, true.green)),
        ("water L (用水)", _litres(totals.water.value), _true(_litres, true.water)),
        (
            "PUE",
            _ratio(totals.pue),
            _true(_ratio, _quotient(true.facility, true.it, 1)),
        ),
        (
            "WUE L/kWh",
            _ratio(totals.wue_litres_per_kwh),
            _true(_ratio, _quotient(true.water, true.it, WUE_SCALE)),
        ),
    )
    for name, found, really in pairs:
        yield f"{_cell(name, -26)}{_cell(found, 12)}   truth 真值 {_cell(really, 12)}"


def happening(meter: MeterScript, event: Event, *, script: CentreScript) -> str:
    """Return what the script does to a meter."""
    at, until = (script.time_of(each) for each in (event.at, event.until))
    time = f"{at:%H:%M}" if at == until else f"{at:%H:%M} to {until:%H:%M}"
    return f"{time} {meter.name}: {_WORDS[event.kind]}"


def _reasons(found: CentreHour, *, zone: tzinfo) -> Iterator[str]:
    """Yield why figures are unknown; green, PUE and WUE only where none of their parts is."""
    told = ""
    for name in ("facility", "it", "water", "green", "pue", "wue"):
        reason = found.unknown.get(name)
        if reason is None or any(each in reason for each in filter(None, told.split("\n"))):
            continue
        told += f"{reason}\n"
        yield f"{name} unknown (未知): {_MOMENT.sub(lambda at: _local(at[0], zone), reason)}"


def _local(moment: str, zone: tzinfo) -> str:
    return f"{datetime.fromisoformat(moment.replace('Z', '+00:00')).astimezone(zone):%H:%M}"


def _verdict(judged: Judgement) -> str:
    figures = [each for each in _measured(judged) if each.value is not None]
    is_whole = all(each.coverage_ratio == 1 for each in figures)
    told = "" if is_whole or judged.verdict is not Verdict.AGREES else ", for what is covered"
    return judged.verdict.value + told


def _measured(judged: Judgement) -> list[Figure]:
    """Return the figures that some meter measures."""
    names = ("facility", "it", "green", "water")
    return [getattr(judged.hour, name) for name in names if getattr(judged.truth, name) is not None]


def _quality(judged: Judgement) -> str:
    figures = _measured(judged)
    if not figures:
        return Quality.UNKNOWN.value
    worst = max(figures, key=lambda each: _WORSE.index(each.quality))
    covered = min(each.coverage_ratio for each in figures)
    return worst.quality.value + ("" if covered == 1 else f" {covered:.0%}")


def _row(*cells: str) -> str:
    return "".join(
        _cell(text, width) for text, (_, _, width) in zip(cells, _COLUMNS, strict=True)
    ).rstrip()


def _cell(text: str, width: int) -> str:
    """Return a text in a column; left-bound where the width is below 0."""
    space = " " * (abs(width) - _width(text))
    return text + space if width < 0 else space + text


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def _energy(joules: Fraction | int | None) -> str:
    return _UNKNOWN if joules is None else f"{float(joules / _JOULES_PER_KWH):.3f}"


def _litres(millilitres: Fraction | int | None) -> str:
    return _UNKNOWN if millilitres is None else f"{float(millilitres / _MILLILITRES_PER_LITRE):.1f}"


def _ratio(value: Fraction | float | None) -> str:
    return _UNKNOWN if value is None else f"{float(value):.4f}"


def _true(text: Callable[[Fraction | None], str], value: Fraction | None) -> str:
    """Return a true figure; a dash where no meter measures it, so that nobody could know it."""
    return "-" if value is None else text(value)


def _quotient(above: Fraction | None, below: Fraction | None, scale: int) -> Fraction | None:
    return None if above is None or not below else above * scale / below
