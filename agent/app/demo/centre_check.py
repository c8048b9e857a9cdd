"""Judges the hours that an agent made of simulated meters by what the script says was true.

A figure may differ from the truth by the steps of the registers that it is made of (and by the one
joule that a reader rounds down). Where readings are missing it may differ, too, by what a straight
line across the longest gap can hide, and by what flowed in time that it says it does not cover.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from agent.metering.hours import EDGE_GAP_SECONDS, HOUR
from agent.metering.months import MonthTotals
from agent.metering.roles import WHOLE_RATIO
from agent.model.metering import CentreHour, Figure, Quality
from agent.simulator.meters.meter import Event, MeterScript, Mishap
from agent.simulator.meters.script import FACILITY, GREEN, IT, WATER, CentreScript, Truth

WUE_SCALE = 3600
_EDGE = timedelta(seconds=EDGE_GAP_SECONDS)
# What costs a register its amount; a wrap does not.
_COSTLY = (Mishap.RESET, Mishap.SWAP, Mishap.SILENCE, Mishap.UNPLUGGED, Mishap.SPIKE)
_ROLES_OF = {
    "facility": (FACILITY,),
    "it": (IT,),
    "green": (FACILITY, *GREEN),
    "water": (WATER,),
}


class Verdict(str, enum.Enum):
    """Says what became of an hour.

    AGREES: every figure is as it should be. UNKNOWN: figures that the script took from the agent
    are unknown, and the others agree. DIFFERS: a figure is wrong, or unknown without a cause.
    """

    AGREES = "agrees"
    UNKNOWN = "unknown"
    DIFFERS = "DIFFERS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Is one hour beside its truth; `faults` says what is wrong with it."""

    hour: CentreHour
    truth: Truth
    verdict: Verdict
    faults: tuple[str, ...]


def judge(hour: CentreHour, *, script: CentreScript) -> Judgement:
    """Return what is to be said of a closed hour."""
    end_at = hour.start_at + HOUR
    truth = script.truth(hour.start_at, end_at)
    faults: list[str] = []
    unknown = 0
    for name, figure, true in _figures(hour, truth):
        meters = _meters(script, _ROLES_OF[name])
        if true is None:
            if figure.value is not None:
                faults.append(f"{name} is {figure.value}, and no meter measures it")
            continue
        is_touched = any(_touches(script, each, hour.start_at) for each in _costs(meters))
        if figure.value is None:
            unknown += 1
            if not is_touched:
                faults.append(f"{name} is unknown without a cause: {figure.reason}")
            continue
        allowed = sum((Fraction(meter.step + 1) for meter in meters), Fraction(0))
        if is_touched or figure.quality is Quality.INTERPOLATED:
            allowed += _hidden(script, meters, start_at=hour.start_at)
        if figure.coverage_ratio < WHOLE_RATIO:
            allowed += _uncovered(script, meters, figure=figure, start_at=hour.start_at)
        if abs(figure.value - true) > allowed:
            faults.append(
                f"{name} is {figure.value}, true is {float(true):.1f}, and the meters' steps "
                f"explain {float(allowed):.1f}"
            )
    faults += _ratio_faults(hour)
    verdict = Verdict.DIFFERS if faults else Verdict.UNKNOWN if unknown else Verdict.AGREES
    return Judgement(hour=hour, truth=truth, verdict=verdict, faults=tuple(faults))


def judge_month(totals: MonthTotals, *, script: CentreScript) -> tuple[str, ...]:
    """Return what is wrong with the figures of a month, those that are known."""
    truth = script.truth(totals.start_at, totals.end_at)
    faults: list[str] = []
    for name, figure, true in _figures(totals, truth):
        if figure.value is None or true is None:
            continue
        meters = _meters(script, _ROLES_OF[name])
        # Each time that another way than the register has to be gone costs one more step.
        steps = 2 + 2 * sum(1 for _ in _costs(meters))
        allowed = steps * sum(meter.step + 1 for meter in meters)
        if abs(figure.value - true) > allowed:
            faults.append(
                f"{name} of the month is {figure.value}, true is {float(true):.1f}, and the "
                f"meters' steps explain {allowed}"
            )
    return tuple(faults)


def happenings(script: CentreScript, start_at: datetime) -> Iterator[tuple[MeterScript, Event]]:
    """Yield what the script does to meters in an hour, by time."""
    first = script.second_of(start_at)
    found = [
        (event.at, meter.name, meter, event)
        for meter in script.meters
        for event in meter.events
        if first <= event.at < first + 3600
    ]
    for _, _, meter, event in sorted(found, key=lambda each: each[:2]):
        yield meter, event


def _figures(
    hour: CentreHour | MonthTotals, truth: Truth
) -> Iterator[tuple[str, Figure, Fraction | None]]:
    yield "facility", hour.facility, truth.facility
    yield "it", hour.it, truth.it
    yield "green", hour.green, truth.green
    yield "water", hour.water, truth.water


def _meters(script: CentreScript, roles: Sequence[str]) -> list[MeterScript]:
    return [
        meter
        for meter in script.meters
        if any(role.removeprefix("-") in roles for role in meter.roles)
    ]


def _costs(meters: Sequence[MeterScript]) -> Iterator[Event]:
    for meter in meters:
        yield from (event for event in meter.events if event.kind in _COSTLY)


def _touches(script: CentreScript, event: Event, start_at: datetime) -> bool:
    first, last = start_at - _EDGE, start_at + HOUR + _EDGE
    return script.time_of(event.at) <= last and script.time_of(event.until) >= first


def _hidden(script: CentreScript, meters: Sequence[MeterScript], *, start_at: datetime) -> Fraction:
    """Return what straight lines across the longest gaps at both edges may hide."""
    hidden = Fraction(0)
    for edge in (start_at, start_at + HOUR):
        first, last = script.second_of(edge - _EDGE), script.second_of(edge + _EDGE)
        hidden += sum(meter.spread(first, last) for meter in meters) * int(EDGE_GAP_SECONDS)
    return hidden


def _uncovered(
    script: CentreScript, meters: Sequence[MeterScript], *, figure: Figure, start_at: datetime
) -> Fraction:
    """Return the most that was used in the time that a figure does not cover."""
    first, last = script.second_of(start_at), script.second_of(start_at + HOUR)
    most = sum((each.rate(first) + each.spread(first, last) for each in meters), Fraction(0))
    return most * (last - first) * (1 - Fraction(figure.coverage_ratio))


def _ratio_faults(hour: CentreHour) -> Iterator[str]:
    """Yield what is wrong with PUE and WUE, computed again from the figures of the hour."""
    ratios = (
        ("PUE", hour.pue, hour.facility, 1),
        ("WUE", hour.wue_litres_per_kwh, hour.water, WUE_SCALE),
    )
    for name, value, above, scale in ratios:
        is_known = all(
            each.value is not None and each.coverage_ratio >= WHOLE_RATIO
            for each in (above, hour.it)
        )
        if (value is not None) is not is_known:
            yield f"{name} is {value}, and its parts are {above.value} and {hour.it.value}"
        elif value is not None and above.value is not None and hour.it.value:
            again = Fraction(above.value * scale, hour.it.value)
            if abs(Fraction(value) - again) > Fraction(1, 10**9):
                yield f"{name} is {value}, and its parts give {float(again)}"
