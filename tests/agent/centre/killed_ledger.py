"""Keeps readings and closes hours until it is killed; each one kept is told on standard output.

python killed_ledger.py FOLDER FIRST_NUMBER
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from agent.centre.closing import Closer
from agent.centre.figuring import HourMaker
from agent.centre.ledger import Ledger
from agent.config.meter_settings import LedgerSettings, MeterSettings
from agent.model.metering import MeterReading
from agent.store.readings import Source

START = datetime(2026, 3, 1, tzinfo=timezone.utc)
# In seconds: hours of two meters come to an end all the time, and several at once.
INTERVAL_SECONDS = 120
METERS = (
    MeterSettings(name="meter-0", kind="modbus", role="facility_total"),
    MeterSettings(name="meter-1", kind="modbus", role="it"),
)
SETTINGS = LedgerSettings()
_READINGS_A_CLOSING = 100


class NumberClock:
    """Shows the time of a reading, by its number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def now(self) -> datetime:
        return START + timedelta(seconds=INTERVAL_SECONDS * self.number)

    def monotonic(self) -> float:
        return float(INTERVAL_SECONDS * self.number)


def reading(number: int) -> MeterReading:
    """Return the reading of a number: two meters take turns."""
    return MeterReading(
        taken_at=START + timedelta(seconds=INTERVAL_SECONDS * number),
        energy_joules=number * 1000,
        reset_marker=f"boot {number // 500}",
    )


def closer_of(ledger: Ledger, clock: NumberClock) -> tuple[Closer, HourMaker]:
    """Return what closes the hours of a ledger."""
    maker = HourMaker(ledger, meters=METERS, settings=SETTINGS)
    return Closer(ledger, maker=maker, settings=SETTINGS, clock=clock), maker


def main() -> None:
    folder, first = Path(sys.argv[1]), int(sys.argv[2])
    ledger = Ledger(folder)
    clock = NumberClock(first)
    closer, _ = closer_of(ledger, clock)
    os.write(1, b"ready\n")
    closer.close_due()
    number = since = first
    while True:
        batch = range(number, number + 1 + number % 3)
        ledger.keep(
            [(f"meter-{each % 2}", reading(each)) for each in batch],
            source=Source.LIVE,
            now=START + timedelta(days=3000),
            not_before=START,
        )
        number = batch[-1] + 1
        os.write(1, b"%d\n" % batch[-1])
        if number - since >= _READINGS_A_CLOSING:
            since = clock.number = number
            closer.close_due()


if __name__ == "__main__":
    main()
