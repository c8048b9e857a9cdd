"""The CSV meter: a file that people write, seen as it grows."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone

import pytest

from agent.errors import NotPresent, ReadingUnavailable
from collectors.meters.csv.plugin import CsvConfig, CsvMeter

HEADER = "meter,time,energy_kwh,water_litres,power_kw\n"
NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


class StillClock:
    def monotonic(self):
        return 0.0

    def now(self):
        return NOW


class Notebook:
    """Is a file, and the meter that follows it."""

    def __init__(self, path, **settings):
        self.path = path
        self.meter = CsvMeter(CsvConfig(path=str(path), **settings), clock=StillClock())

    def write(self, text, *, age_seconds=60):
        self.path.write_bytes(text if isinstance(text, bytes) else (HEADER + text).encode())
        moment = (NOW - timedelta(seconds=age_seconds)).timestamp()
        os.utime(self.path, (moment, moment))


@pytest.fixture
def notebook(tmp_path):
    return Notebook(tmp_path / "readings.csv")


def row(hour, energy, *, meter="a"):
    return f"{meter},2026-01-01T{hour:02}:00:00Z,{energy},,\n"


def kwh(reading):
    return reading.energy_joules / 3_600_000


def test_the_newest_row_counts_first_and_the_older_ones_follow(notebook):
    notebook.write(row(1, 10) + row(3, 30) + row(2, 20))
    notebook.meter.probe()

    assert [kwh(notebook.meter.read()) for _ in range(5)] == [30, 20, 10, 30, 30]
    assert [kwh(each) for each in notebook.meter.read_all()] == [10, 20, 30]


def test_a_row_that_is_added_or_corrected_is_given_next(notebook):
    notebook.write(row(1, 10) + row(2, 20))
    assert [kwh(notebook.meter.read()) for _ in range(3)] == [20, 10, 20]

    notebook.write(row(1, 11) + row(2, 20) + row(3, 30))

    assert [kwh(notebook.meter.read()) for _ in range(3)] == [30, 11, 30]


def test_a_file_that_is_being_written_is_not_read(notebook):
    notebook.write(row(1, 1234).rstrip(",\n")[:-2], age_seconds=1)
    with pytest.raises(ReadingUnavailable, match="no row yet"):
        notebook.meter.read()

    notebook.write(row(1, 1234))
    assert kwh(notebook.meter.read()) == 1234
    notebook.write(row(1, 1234) + row(2, 12), age_seconds=0)
    assert kwh(notebook.meter.read()) == 1234


def test_values_that_were_not_given_are_unknown(notebook):
    notebook.write("w,2026-01-01T00:00:00Z,,12.5,\n")

    reading = notebook.meter.read()

    assert reading.water_millilitres == 12_500
    assert set(reading.unknown) == {"energy_joules", "power_watts"}


def test_rows_of_several_meters_need_a_name(tmp_path):
    text = row(1, 10) + row(1, 99, meter="b")
    one = Notebook(tmp_path / "readings.csv")
    one.write(text)
    with pytest.raises(ReadingUnavailable, match="rows of 2 meters") as caught:
        one.meter.read()
    assert "set meter" in caught.value.hint

    named = Notebook(tmp_path / "readings.csv", meter="b")
    assert kwh(named.meter.read()) == 99


def test_rows_that_are_refused_are_told_and_cost_nothing_else(notebook, caplog):
    notebook.write(row(1, 10) + "a,yesterday,5,,\n" + row(2, 20))

    assert [kwh(each) for each in notebook.meter.read_all()] == [10, 20]
    assert "line 3" in caplog.text
    notebook.meter.read()
    assert caplog.text.count("line 3") == 1


def test_a_time_zone_may_be_that_of_the_file(tmp_path):
    one = Notebook(tmp_path / "readings.csv", time_zone="Asia/Shanghai")
    one.write("a,2026/1/1 8:00,1,,\n")

    assert one.meter.read().taken_at == datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "line 1: no row with the names"),
        (b"meter,time,energy\n", "unknown column"),
        (HEADER.encode(), "no row yet"),
        (b"\0" * (17 * 1024 * 1024), "larger than 16 MiB"),
    ],
)
def test_a_file_that_is_none_says_what_to_do(notebook, content, words):
    notebook.write(content)

    with pytest.raises(ReadingUnavailable, match=words):
        notebook.meter.read()


def test_what_is_missing_is_told(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for settings, words in (
        ({}, "no file is named"),
        ({"path": str(tmp_path / "none")}, "No such file"),
        ({"path": str(tmp_path)}, "not a regular file"),
        ({"path": str(tmp_path / "pipe")}, "not a regular file"),
        ({"path": "/dev/null", "time_zone": "Asia/Nowhere"}, "no time zone"),
    ):
        with pytest.raises(NotPresent, match=words) as caught:
            CsvMeter(CsvConfig(**settings)).probe()
        assert caught.value.hint
