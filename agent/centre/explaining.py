"""The way from readings to the figures of an hour that was closed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime

from agent.centre.figuring import HourMaker
from agent.centre.ledger import Ledger
from agent.errors import NotFoundError
from agent.metering.explain import Step, time_text
from agent.model.metering import CentreHour, MeterReading
from agent.store.corrections import Superseded


def explain(
    ledger: Ledger, start_at: datetime, *, maker: HourMaker, meters: Sequence[str]
) -> tuple[Step, ...]:
    """Return every step from the readings of the meters to the figures of an hour.

    Raises:
        NotFoundError: this hour was not closed.
    """
    versions = ledger.versions(start_at)
    if not versions:
        raise NotFoundError(f"the hour from {time_text(start_at)} on was not closed")
    last = versions[-1]
    steps = [
        Step(
            text=f"Version {each.version} was closed at {time_text(each.closed_at)}: "
            f"facility {each.facility.value}, IT {each.it.value}, green {each.green.value} J, "
            f"water {each.water.value} ml.",
            fields={"version": each.version, "closed_at": time_text(each.closed_at)},
        )
        for each in versions
    ]
    for name in meters:
        found = ledger.superseded(name, last.start_at)
        steps.extend(_correction(name, each) for each in found)
    made, way = maker.make(last.start_at, version=last.version, closed_at=last.closed_at)
    steps.extend(way)
    if made != last:
        changed = [
            each.name
            for each in dataclasses.fields(CentreHour)
            if getattr(made, each.name) != getattr(last, each.name)
        ]
        steps.append(
            Step(
                text="The readings and settings of now give another result than was closed "
                f"({', '.join(changed)}): readings were deleted for their age, or the "
                "configuration has changed since.",
                fields={"changed": changed},
            )
        )
    return tuple(steps)


def _correction(name: str, one: Superseded) -> Step:
    """Return the step that tells of a reading that was corrected."""
    at, when = time_text(one.before.taken_at), time_text(one.corrected_at)
    now = "it was withdrawn" if one.after is None else f"now it is {_values(one.after)}"
    return Step(
        text=f"The reading of {name} at {at} was corrected at {when}: "
        f"it was {_values(one.before)}, {now}.",
        fields={
            "meter": name,
            "at": at,
            "corrected_at": when,
            "before": _fields(one.before),
            "after": None if one.after is None else _fields(one.after),
        },
    )


def _values(reading: MeterReading) -> str:
    units = (
        (reading.energy_joules, "J"),
        (reading.water_millilitres, "ml"),
        (reading.power_watts, "W"),
    )
    return ", ".join(f"{value} {unit}" for value, unit in units if value is not None)


def _fields(reading: MeterReading) -> dict[str, int | float | None]:
    return {
        "energy_joules": reading.energy_joules,
        "water_millilitres": reading.water_millilitres,
        "power_watts": reading.power_watts,
    }
