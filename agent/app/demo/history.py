"""What simulated meters counted before the demonstration begins, as a file of readings.

A meter that an agent begins to read in the middle of a month has counted before: what was written
down of it by hand or by another system is imported, so that the month can be told whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from agent.metering.hours import HOUR
from agent.simulator.meters.layouts import TRAITS
from agent.simulator.meters.meter import MeterScript
from agent.simulator.meters.script import CentreScript

_JOULES_PER_KWH = 3_600_000
_MILLILITRES_PER_LITRE = 1000


def readings(script: CentreScript) -> bytes:
    """Return a reading of each meter at every full hour from the first of the month on, as CSV.

    The start itself is left out: it is read over the meter's own protocol.
    """
    lines = ["meter,time,energy_kwh,water_litres,power_kw\n"]
    for moment in _hours(script.start_at):
        for meter in script.meters:
            second = script.second_of(moment)
            if meter.start + meter.amount(second) < 0:
                # So long ago its register had not begun.
                continue
            energy, water = _register(meter, count=meter.shown(second).count)
            lines.append(f"{meter.name},{moment.isoformat()},{energy},{water},\n")
    return "".join(lines).encode("ascii")


def _hours(start_at: datetime) -> Iterator[datetime]:
    moment = start_at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while moment < start_at:
        yield moment
        moment += HOUR


def _register(meter: MeterScript, *, count: int) -> tuple[str, str]:
    """Return what a register shows, in kWh and in litres."""
    if TRAITS[meter.layout].is_water:
        return "", _text(count * meter.step, per=_MILLILITRES_PER_LITRE)
    return _text(count * meter.step, per=_JOULES_PER_KWH), ""


def _text(count: int, *, per: int) -> str:
    return format(Decimal(count) / per, "f")


def month_of(moment: datetime) -> tuple[datetime, datetime]:
    """Return the first moment of a time's month, and of the next one, in the time's own zone."""
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=32)).replace(day=1)
    return first, following
