"""The figures of a centre's hour: consumption, green electricity, PUE and WUE (TC609, B.2-3).

PUE and WUE are defined for a year; those of an hour are interim values. Both are ratios to the IT
energy of the same hour, and both parts have to cover it whole.

Green electricity is what came directly, plus what was bought from others, plus certificates, and
never more than the hour's consumption. A role that no meter has adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agent.metering.explain import Step, time_text
from agent.metering.roles import WHOLE_RATIO
from agent.model.metering import CentreHour, Figure, MeterRole, Quality

JOULES_PER_KWH = 3_600_000
MILLILITRES_PER_LITRE = 1000
# From joules over joules, and from millilitres over joules to litres over kWh.
PUE_SCALE = 1
WUE_SCALE = JOULES_PER_KWH // MILLILITRES_PER_LITRE

PUE_BELOW_1 = "pue_below_1"
GREEN_CAPPED = "green_capped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Is a ratio of two figures, None where it is not known, with `reason`."""

    value: float | None
    reason: str | None
    steps: tuple[Step, ...]


def centre_hour(
    start_at: datetime,
    *,
    version: int,
    closed_at: datetime,
    facility: Figure | None,
    it: Figure | None,
    green_direct: Figure | None,
    green_purchased: Figure | None,
    green_certificate: Figure | None,
    water: Figure | None,
) -> tuple[CentreHour, tuple[Step, ...]]:
    """Return an hour of the centre from the figures of its roles, None where no meter has one."""
    facility = facility or _nobody(MeterRole.FACILITY_TOTAL)
    it = it or _nobody(MeterRole.IT)
    water = water or _nobody(MeterRole.WATER)
    green, green_steps, capped = green_of(
        facility,
        direct=green_direct,
        purchased=green_purchased,
        certificate=green_certificate,
    )
    pue = pue_of(facility, it)
    wue = wue_of(water, it)
    flags = []
    if pue.value is not None and pue.value < 1:
        flags.append(PUE_BELOW_1)
    if capped:
        flags.append(GREEN_CAPPED)
    unknown = {
        name: reason
        for name, reason in (
            ("facility", facility.reason if facility.value is None else None),
            ("it", it.reason if it.value is None else None),
            ("green", green.reason if green.value is None else None),
            ("water", water.reason if water.value is None else None),
            ("pue", pue.reason),
            ("wue", wue.reason),
        )
        if reason is not None
    }
    hour = CentreHour(
        start_at=start_at,
        version=version,
        closed_at=closed_at,
        facility=facility,
        it=it,
        green=green,
        water=water,
        pue=pue.value,
        wue_litres_per_kwh=wue.value,
        flags=tuple(flags),
        unknown=unknown,
    )
    head = Step(
        text=f"The hour from {time_text(start_at)} on, version {version}.",
        fields={
            "start_at": time_text(start_at),
            "version": version,
            "closed_at": time_text(closed_at),
            "facility": facility.value,
            "it": it.value,
            "green": green.value,
            "water": water.value,
        },
    )
    return hour, (head, *green_steps, *pue.steps, *wue.steps)


def pue_of(facility: Figure, it: Figure) -> Ratio:
    """Return facility energy over IT energy; below 1 it is wrong and returned all the same."""
    return _ratio("PUE (interim)", facility, it, of="facility", scale=PUE_SCALE, unit="")


def wue_of(water: Figure, it: Figure) -> Ratio:
    """Return litres of water for each kWh of IT energy."""
    return _ratio("WUE (interim)", water, it, of="water", scale=WUE_SCALE, unit=" L/kWh")


def _ratio(name: str, above: Figure, it: Figure, *, of: str, scale: int, unit: str) -> Ratio:
    reason = _why_no_ratio(above, it, of=of)
    fields = {of: above.value, "it": it.value, "scale": scale}
    if reason is not None or above.value is None or it.value is None:
        step = Step(text=f"{name}: not known; {reason}.", fields={**fields, "value": None})
        return Ratio(value=None, reason=reason, steps=(step,))
    value = above.value * scale / it.value
    times = "" if scale == 1 else f" × {scale}"
    step = Step(
        text=f"{name}: {above.value}{times} ÷ {it.value} = {value:.4f}{unit}.",
        fields={**fields, "value": value},
    )
    return Ratio(value=value, reason=None, steps=(step,))


def _why_no_ratio(above: Figure, it: Figure, *, of: str) -> str | None:
    for name, figure in ((of, above), ("it", it)):
        if figure.value is None:
            return f"{name}: {figure.reason or 'not known'}"
        if figure.coverage_ratio < WHOLE_RATIO:
            return f"{name} covers {figure.coverage_ratio:.1%} of the hour, and a ratio needs all"
    if it.value is not None and it.value <= 0:
        return "no IT energy was used"
    return None


def green_of(
    facility: Figure,
    *,
    direct: Figure | None,
    purchased: Figure | None,
    certificate: Figure | None,
) -> tuple[Figure, tuple[Step, ...], bool]:
    """Return the green electricity of an hour, its steps, and whether it was capped."""
    parts = [
        (name, figure)
        for name, figure in (
            ("direct", direct),
            ("purchased", purchased),
            ("certificates", certificate),
        )
        if figure is not None
    ]
    if not parts:
        figure = _unknown("no meter has a green role", method="", coverage=0.0)
        return figure, (Step(text="Green: not known; no meter has a green role."),), False
    method = " + ".join(name for name, _ in parts) + ", at most the consumption"
    coverage = min(facility.coverage_ratio, *(figure.coverage_ratio for _, figure in parts))
    reasons = [
        f"{name}: {figure.reason or 'not known'}"
        for name, figure in (("facility", facility), *parts)
        if figure.value is None
    ]
    fields = {name: figure.value for name, figure in (("facility", facility), *parts)}
    if reasons or facility.value is None:
        reason = "; ".join(reasons)
        step = Step(text=f"Green: not known; {reason}.", fields={**fields, "value": None})
        return _unknown(reason, method=method, coverage=coverage), (step,), False
    total = sum(figure.value or 0 for _, figure in parts)
    value = min(total, facility.value)
    sums = " + ".join(f"{figure.value} ({name})" for name, figure in parts)
    text = f"Green: {sums} = {total}"
    if total > facility.value:
        text += f", more than the consumption of {facility.value}: capped there"
    measured = all(figure.quality is Quality.MEASURED for _, figure in (("", facility), *parts))
    figure = Figure(
        value=value,
        coverage_ratio=coverage,
        quality=Quality.MEASURED if measured else Quality.INTERPOLATED,
        method=method,
    )
    step = Step(text=f"{text}.", fields={**fields, "total": total, "value": value})
    return figure, (step,), total > facility.value


def _nobody(role: MeterRole) -> Figure:
    return _unknown(f"no meter has the role {role.value}", method="", coverage=0.0)


def _unknown(reason: str, *, method: str, coverage: float) -> Figure:
    return Figure(
        value=None,
        coverage_ratio=coverage,
        quality=Quality.PARTIAL if coverage > 0 else Quality.UNKNOWN,
        method=method,
        reason=reason,
    )
