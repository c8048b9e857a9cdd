"""Holds the hours of a synthetic year against its truth."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agent.metering.explain import Step
from agent.metering.hours import EDGE_GAP_SECONDS, HOUR, MARGIN, register_hour
from agent.metering.readings import RegisterReading
from agent.metering.stretches import RegisterStretch
from agent.store.ledger import microseconds_of
from tests.agent.metering.synthetic_year import EPOCH, HOUR_SECONDS, Year, moment


@dataclass(kw_only=True)
class Verdict:
    known: int = 0
    measured: int = 0
    unknown: int = 0
    wrong: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)


def judge_year(year: Year, readings: Sequence[RegisterReading]) -> Verdict:
    """Close every hour from the slice of readings that a ledger would give, and judge it."""
    ordered = sorted(readings, key=lambda reading: reading.taken_at)
    times = [reading.taken_at for reading in ordered]
    verdict = Verdict()
    for index in range(year.seconds // HOUR_SECONDS):
        start_at = EPOCH + index * HOUR
        first = bisect_left(times, start_at - MARGIN)
        last = bisect_right(times, start_at + HOUR + MARGIN)
        part = ordered[max(0, first - 1) : last + 1]
        figure, steps = register_hour(part, traits=year.kind.traits, start_at=start_at)
        if figure.value is None:
            verdict.unknown += 1
            verdict.reasons[(figure.reason or "?").rsplit("Z", 1)[-1][:60]] += 1
            continue
        verdict.known += 1
        verdict.measured += figure.quality.value == "measured"
        begin = index * HOUR_SECONDS * 1000
        truth = year.truth.joules(begin + HOUR_SECONDS * 1000) - year.truth.joules(begin)
        allowed = year.kind.resolution + sum(_line_error(year, step) for step in steps)
        if abs(figure.value - truth) > allowed:
            verdict.wrong.append(f"{moment(begin)}: {figure.value}, truth {truth} ± {allowed}")
    return verdict


def plain_hours(year: Year, readings: Sequence[RegisterReading]) -> tuple[int, list[datetime]]:
    """Count the hours that a stretch finds at once, and name those that it finds otherwise."""
    kept: dict[datetime, RegisterReading] = {}
    for reading in readings:
        # As a ledger does: what contradicts it is refused.
        kept.setdefault(reading.taken_at, reading)
    ordered = [kept[moment] for moment in sorted(kept)]
    markers = {marker: number for number, marker in enumerate({each.marker for each in ordered})}
    stretch = RegisterStretch(
        ((microseconds_of(each.taken_at), each.value, markers[each.marker]) for each in ordered),
        traits=year.kind.traits,
    )
    times = [each.taken_at for each in ordered]
    found, wrong = 0, []
    for index in range(year.seconds // HOUR_SECONDS):
        start_at = EPOCH + index * HOUR
        plain = stretch.hour(microseconds_of(start_at), edge_gap_seconds=EDGE_GAP_SECONDS)
        if plain is None:
            continue
        found += 1
        first = bisect_left(times, start_at - MARGIN)
        last = bisect_right(times, start_at + HOUR + MARGIN)
        part = ordered[max(0, first - 1) : last + 1]
        if register_hour(part, traits=year.kind.traits, start_at=start_at)[0] != plain:
            wrong.append(start_at)
    return found, wrong


def _line_error(year: Year, step: Step) -> int:
    """Return how far a line at an edge may be off: by the load's changes and the resolution."""
    if "into_microseconds" not in step.fields:
        return 0
    begin = datetime.fromisoformat(step.fields["before"][0].replace("Z", "+00:00"))
    gap = math.ceil(step.fields["gap_microseconds"] / 1000)
    at = (begin - EPOCH) // timedelta(milliseconds=1)
    return year.truth.deviation(at, at + gap) + 2
