"""Keeps readings until it is killed; every one that was kept is told on standard output.

python killed_ledger.py FOLDER FIRST_NUMBER
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from agent.centre.ledger import Ledger
from agent.model.metering import MeterReading
from agent.store.readings import Source

START = datetime(2026, 3, 1, tzinfo=timezone.utc)


def reading(number: int) -> MeterReading:
    """Return the reading of a number: a meter that is read every 15 seconds."""
    return MeterReading(
        taken_at=START + timedelta(seconds=15 * number),
        energy_joules=number * 1000,
        reset_marker=f"boot {number // 500}",
    )


def main() -> None:
    folder, first = Path(sys.argv[1]), int(sys.argv[2])
    ledger = Ledger(folder)
    os.write(1, b"ready\n")
    number = first
    while True:
        batch = range(number, number + 1 + number % 3)
        ledger.keep(
            [(f"meter-{each % 2}", reading(each)) for each in batch],
            source=Source.LIVE,
            now=START + timedelta(days=300),
            not_before=START,
        )
        number = batch[-1] + 1
        os.write(1, b"%d\n" % batch[-1])


if __name__ == "__main__":
    main()
