"""Rows of readings: exact, streaming, and each refusal with its line and its reason."""

from __future__ import annotations

import tracemalloc
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import meter_rows
from agent.model.meter_rows import MeterRow, RefusedRow, read_rows, read_time, scaled

HEADER = "meter,time,energy_kwh,water_litres,power_kw\n"
UTC = timezone.utc


def rows(text, *, zone=None):
    content = text if isinstance(text, bytes) else text.encode()
    return list(read_rows([content], zone=zone))


def test_a_row_becomes_whole_joules_and_millilitres():
    (row,) = rows(HEADER + "incomer,2026-01-01T08:00:00+08:00,12345.678,90.5,1.25\n")

    assert isinstance(row, MeterRow)
    assert (row.line, row.meter) == (2, "incomer")
    assert row.reading.taken_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert row.reading.energy_joules == 44_444_440_800
    assert row.reading.water_millilitres == 90_500
    assert row.reading.power_watts == 1250.0


def test_an_empty_cell_is_not_given_and_never_zero():
    (row,) = rows(HEADER + "a,2026-01-01T00:00:00Z,,7,\n")

    assert row.reading.energy_joules is None
    assert row.reading.power_watts is None
    assert row.reading.water_millilitres == 7000


def test_columns_may_stand_in_any_order_with_a_note():
    (row,) = rows("Time,note,ENERGY_KWH, meter\n2026-01-01 00:00Z,by hand,1,a\n")

    assert (row.meter, row.reading.energy_joules) == ("a", 3_600_000)


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + HEADER + "电表,2026-01-01T00:00:00Z,1.5,,\n",
        ("\ufeff" + HEADER + "电表,2026-01-01T00:00:00Z,1.5,,\n").encode("utf-16-le"),
        ("\ufeff" + HEADER + "电表,2026-01-01T00:00:00Z,1.5,,\n").encode("utf-16-be"),
        (HEADER + "电表,2026-01-01T00:00:00Z,1.5,,\n").encode("gbk"),
        (HEADER + "电表,2026-01-01T00:00:00Z,1.5,,\n").replace("\n", "\r\n"),
        (HEADER + "电表,2026-01-01T00:00:00Z,1.5,,").replace(",", "\t"),
        (HEADER + "电表,2026-01-01T00:00:00Z,1.5,,").replace(",", ";"),
        "sep=;\n"
        + (HEADER + "电表,2026-01-01T00:00:00Z,1.5,,").replace(",", ";").replace(".", ","),
        HEADER + '"电表","2026/1/1 0:00 Z","1.5","",\n,,,,\n\n',
        HEADER + "电表 ,2026-01-01T00:00:00Z, 1.5 ,,,,\n",
    ],
)
def test_what_spreadsheets_do_to_a_file_changes_nothing(content):
    (row,) = rows(content)

    assert (row.meter, row.reading.energy_joules) == ("电表", 5_400_000)
    assert row.reading.taken_at == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a,2026-01-01T00:00:00,1,,", "has no zone"),
        ("a,2026-02-30T00:00:00Z,1,,", "does not exist"),
        ("a,1900-01-01T00:00:00Z,1,,", "is not between"),
        ("a,2026-01-01T00:00:00+25:00,1,,", "zone that does not exist"),
        ("a,01.02.2026 00:00Z,1,,", "is not like"),
        ("a,46023.5,1,,", "is not like"),
        ("a,2026-01-01T00:00:00Z,,,", "no value"),
        (",2026-01-01T00:00:00Z,1,,", "no name"),
        ("a,2026-01-01T00:00:00Z,-1,,", "negative"),
        ("a,2026-01-01T00:00:00Z,1.23E+05,,", "rounded by a spreadsheet"),
        ('a,2026-01-01T00:00:00Z,"1,234",,', "two ways"),
        ('a,2026-01-01T00:00:00Z,"1,234.5",,', "two ways"),
        ("a,2026-01-01T00:00:00Z,1,234,5,6", "thousands separators"),
        ("a,2026-01-01T00:00:00Z,n/a,,", "not a number"),
        ("a,2026-01-01T00:00:00Z,１２,,", "not a number"),
        ("a,2026-01-01T00:00:00Z,nan,,", "not a number"),
        ("a,2026-01-01T00:00:00Z,1234567890123,,", "more than 12 digits"),
        ('a,2026-01-01T00:00:00Z,"1,,', "quotation mark"),
        ("a\x07,2026-01-01T00:00:00Z,1,,", "control characters"),
    ],
)
def test_a_row_that_would_have_to_be_guessed_is_refused_with_its_line(line, words):
    good = "b,2026-01-01T00:00:00Z,1,,\n"

    first, refused, last = rows(f"{HEADER}{good}{line}\n{good}")

    assert isinstance(refused, RefusedRow)
    assert refused.line == 3
    assert words in refused.reason
    assert not refused.is_whole_file
    assert isinstance(first, MeterRow)
    assert isinstance(last, MeterRow)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no row with the names"),
        ("a,2026-01-01T00:00:00Z,1,,\n", "names no columns meter and time"),
        ("meter,time,energy_kw\n", 'unknown column "energy_kw"'),
        ("meter,time,energy_kwh,energy_kwh\n", "twice"),
        ("meter,time\n", "no column with values"),
    ],
)
def test_a_file_without_the_right_columns_is_refused_whole(content, words):
    (refused,) = rows(content + "a,2026-01-01T00:00:00Z,1,,\n" if content else content)

    assert refused.is_whole_file
    assert words in refused.reason


def test_a_line_without_end_costs_itself_and_no_memory():
    def chunks():
        yield HEADER.encode()
        for _ in range(400):
            yield b"x" * 65_536
        yield b"\nb,2026-01-01T00:00:00Z,1,,\n"

    tracemalloc.start()
    refused, row = read_rows(chunks())
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert refused == RefusedRow(line=2, reason="longer than 65536 bytes")
    assert row.line == 3
    assert peak_bytes < 4_000_000


def test_an_hour_that_the_clocks_show_twice_is_not_guessed():
    berlin = ZoneInfo("Europe/Berlin")

    with pytest.raises(ValueError, match="clocks were changed"):
        read_time("2026-10-25 02:30", zone=berlin)
    with pytest.raises(ValueError, match="clocks were changed"):
        read_time("2026-03-29 02:30", zone=berlin)
    assert read_time("2026-10-25 02:30+01:00", zone=berlin) == datetime(
        2026, 10, 25, 1, 30, tzinfo=UTC
    )
    assert read_time("2026-07-01 02:30", zone=berlin) == datetime(2026, 7, 1, 0, 30, tzinfo=UTC)


@given(
    st.decimals(min_value=0, max_value=999_999_999_999, places=9, allow_nan=False),
    st.sampled_from([1000, 3_600_000]),
)
def test_scaling_is_exact(number, factor):
    exact = (Decimal(number) * factor).quantize(Decimal(1), rounding=ROUND_HALF_UP)

    assert scaled(f"{number:f}", factor=factor) == int(exact)
    assert scaled(f"{number:f}", factor=factor) < 2**63


@given(
    st.integers(978_307_200, 4_070_908_800).map(lambda at: datetime.fromtimestamp(at, UTC)),
    st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
def test_every_iso_time_is_read_as_itself(moment, zone):
    local = moment.astimezone(zone)

    assert read_time(local.isoformat(), zone=None) == local


@given(st.binary(max_size=400), st.integers(1, 50))
def test_no_bytes_break_it_and_the_chunks_do_not_matter(content, size):
    whole = HEADER.encode() + b"a,2026-01-01T00:00:00Z,1,,\n" + content
    pieces = [whole[index : index + size] for index in range(0, len(whole), size)]

    results = list(read_rows(pieces))

    assert results == list(read_rows([whole]))
    assert results[0].line == 2
    assert [each.line for each in results] == sorted({each.line for each in results})


@given(st.text(alphabet="a,;\t\"'0123456789.-+eE: T/Z年\r\n", max_size=120))
def test_every_row_that_is_not_blank_is_taken_or_refused(text):
    results = list(read_rows([(HEADER + text).encode()]))

    lines = (HEADER + text).split("\n")
    said = {number for number, line in enumerate(lines, 1) if line.strip(" ,;\t\r") and number > 1}
    assert {each.line for each in results} == said
    assert meter_rows.MAX_LINE_BYTES > 0
