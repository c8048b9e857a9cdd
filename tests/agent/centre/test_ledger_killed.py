"""SIGKILL at any moment loses no acknowledged reading, counts none twice, and spoils no hour.

Hours are closed between the readings, so some of the kills hit that.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

from agent.centre.ledger import Ledger
from agent.store.ledger import hour_at, microseconds_of
from tests.agent.centre.killed_ledger import NumberClock, closer_of, reading

CHILD = Path(__file__).with_name("killed_ledger.py")
KILLS = int(os.environ.get("LEDGER_KILLS", "20"))


def run_and_kill(folder: Path, first: int, *, readings: int, seed: random.Random) -> int:
    """Let the child keep readings, kill it amid them, and return the last it acknowledged."""
    with subprocess.Popen(
        [sys.executable, str(CHILD), str(folder), str(first)],
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        last = first - 1
        for _ in range(readings):
            last = int(child.stdout.readline())
        # Anywhere within the next readings.
        for _ in range(seed.randrange(2000)):
            pass
        child.send_signal(signal.SIGKILL)
        rest, _ = child.communicate()
        numbers = [int(line) for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
        return max([last, *numbers])


def test_no_acknowledged_reading_is_lost_or_counted_twice(tmp_path: Path) -> None:
    seed = random.Random(5)
    first = 0
    for _ in range(KILLS):
        last = run_and_kill(tmp_path, first, readings=seed.randrange(1, 200), seed=seed)
        database = sqlite3.connect(tmp_path / "ledger.db")
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        found = database.execute(
            "SELECT name, taken_us, energy_joules, text FROM readings "
            "JOIN meters USING (meter_id) LEFT JOIN markers USING (marker_id)"
        ).fetchall()
        database.close()
        numbers = Counter(energy // 1000 for _, _, energy, _ in found)
        assert set(range(last + 1)) <= set(numbers)
        assert max(numbers.values()) == 1
        # At most the one batch that was under way is there without an acknowledgement.
        assert max(numbers) <= last + 3
        for name, taken_us, energy, marker in found:
            number = energy // 1000
            expected = reading(number)
            assert name == f"meter-{number % 2}"
            assert taken_us == microseconds_of(expected.taken_at)
            assert marker == expected.reset_marker
        # Some are handed in again, as after a restart that did not know of them.
        first = max(0, max(numbers) - seed.randrange(3))
    check_hours(tmp_path, NumberClock(first))


def check_hours(folder: Path, clock: NumberClock) -> None:
    """Hold every closed hour to what its readings give now."""
    ledger = Ledger(folder)
    closer, maker = closer_of(ledger, clock)
    closer.close_due()
    closed = ledger.last_hours(count=100_000)
    ends = hour_at(clock.now() - timedelta(minutes=2)) - 1
    assert [hour_at(each.start_at) for each in closed] == list(
        range(hour_at(closed[0].start_at), ends + 1)
    )
    assert len(closed) > KILLS
    assert sum(each.facility.value == 15_000 * 2 for each in closed) > len(closed) / 2
    for each in closed:
        made, _ = maker.make(each.start_at, version=each.version, closed_at=each.closed_at)
        assert made == each
    assert ledger.opened(until=ends, most=10) == ()
    ledger.close()
