"""Whatever happens to the tool's text on its way, a number is the right one or none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import ReadingUnavailable
from collectors.accelerators import vendor_tool

TABLES = Path(__file__).parent / "tables"
NAMES = ("xml-v12", "xml-v10", "long", "csv", "table")
LINES = ("long", "csv", "table")
MEASURED = (
    "memory_total_bytes",
    "memory_used_bytes",
    "utilization_ratio",
    "temperature_celsius",
    "power_watts",
    "product_name",
)
JUNK = st.sampled_from(
    [
        "",
        "WARNING: infoROM is corrupted at gpu 0000:17:00.0",
        "| a new line | of a later | version |",
        "| GPU  Name | Bus-Id |",
        "    A New Section",
        "        Something New : 77 MiB",
        "9, 9, 9, 9",
        "| 88%   88C    P0   88W /  88W |",
        "+------+",
        "|===|",
    ]
)
CHARACTERS = st.sampled_from("0123456789 |,:<>/%CWMiBNA-&\t\n")

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def table(name):
    return (TABLES / f"{name}.txt").read_text(encoding="utf-8")


@pytest.fixture
def values_of(smi_plugin):
    """Return a function that reads a text: fields by PCI address and index."""

    def read(text):
        plugin = smi_plugin(vendor_tool.decode(text.encode()))
        try:
            pairs = list(zip(plugin.list_accelerators(), plugin.read(), strict=True))
        except ReadingUnavailable as error:
            assert error.reason  # noqa: PT017 - whether it is raised is not the point
            return {}
        uuids = [card.uuid for card, _ in pairs]
        assert len(set(uuids)) == len(uuids)
        found = {}
        for card, reading in pairs:
            assert reading.uuid == card.uuid
            unknown = {**card.unknown, **reading.unknown}
            fields = {
                name: getattr(card if hasattr(card, name) else reading, name) for name in MEASURED
            }
            for name, value in fields.items():
                assert (value is None) == (name in unknown), (name, value, unknown)
            found[card.pci_address, card.parent_uuid is not None, card.index] = (card.uuid, fields)
        return found

    return read


def assert_right_or_unknown(found, *, whole):
    for key, (uuid, fields) in found.items():
        assert key in whole, f"{key} is no card of this machine"
        assert uuid == whole[key][0]
        for name, value in fields.items():
            assert value in (None, whole[key][1][name]), (key, name, value)


@pytest.mark.parametrize("name", NAMES)
@quick
@given(data=st.data())
def test_a_text_that_is_cut_off_gives_less_and_nothing_wrong(values_of, name, data):
    text = table(name)
    end = data.draw(st.integers(0, len(text)))

    assert_right_or_unknown(values_of(text[:end]), whole=values_of(text))


@pytest.mark.parametrize("name", NAMES)
def test_no_cut_at_all_gives_anything_wrong(values_of, name):
    text = table(name)
    whole = values_of(text)
    for end in range(0, len(text), 7):
        assert_right_or_unknown(values_of(text[:end]), whole=whole)


@pytest.mark.parametrize("name", LINES)
@quick
@given(data=st.data())
def test_lines_that_are_not_known_are_passed_over(values_of, name, data):
    lines = table(name).split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        lines.insert(data.draw(st.integers(0, len(lines))), data.draw(JUNK))

    assert_right_or_unknown(values_of("\n".join(lines)), whole=values_of(table(name)))


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("junk", ["    A New Section", "| a new | line |", "+------+"])
def test_one_line_that_is_not_known_is_passed_over_anywhere(values_of, name, junk):
    lines = table(name).split("\n")
    whole = values_of(table(name))

    for place in range(len(lines)):
        text = "\n".join((*lines[:place], junk, *lines[place:]))
        assert_right_or_unknown(values_of(text), whole=whole)


@pytest.mark.parametrize("name", NAMES)
@quick
@given(
    ending=st.sampled_from(["\n", "\r\n", "   \n", " \r\n"]),
    colour=st.sampled_from(["", "\x1b[0m", "\x1b[1;32m"]),
)
def test_line_ends_and_colours_change_nothing(values_of, name, ending, colour):
    text = table(name)

    changed = "".join(f"{line}{colour}{ending}" for line in text.split("\n"))

    assert values_of(changed) == values_of(text)


@quick
@given(blanks=st.integers(1, 12))
def test_a_wider_table_is_read_the_same(values_of, blanks):
    text = table("table")

    wider = re.sub(r" \|", " " * blanks + " |", text).replace("| ", "| " + " " * blanks)

    assert values_of(wider) == values_of(text)


@quick
@given(blanks=st.integers(1, 40))
def test_a_longer_or_shorter_key_column_is_read_the_same(values_of, blanks):
    text = table("long")

    assert values_of(re.sub(r" +: ", " " * blanks + ": ", text)) == values_of(text)


@quick
@given(place=st.integers(0, 11))
def test_a_column_more_changes_nothing(values_of, place):
    def more(line):
        cells = line.split(", ")
        if len(cells) < 5:
            return line
        new = "new.column [%]" if cells[0] == "index" else "55 %"
        return ", ".join((*cells[:place], new, *cells[place:]))

    lines = table("csv").split("\n")

    assert values_of("\n".join(map(more, lines))) == values_of("\n".join(lines))


@quick
@given(place=st.integers(0, 10))
def test_a_column_less_costs_only_its_value(values_of, place):
    def fewer(line):
        cells = line.split(", ")
        return line if len(cells) < 5 else ", ".join((*cells[:place], *cells[place + 1 :]))

    text = "\n".join(map(fewer, table("csv").split("\n")))
    whole = dict(values_of(table("csv")).values())

    for uuid, fields in values_of(text).values():
        if uuid in whole:
            for name, value in fields.items():
                assert value in (None, whole[uuid][name])


@pytest.mark.parametrize("name", NAMES)
@quick
@given(data=st.data())
def test_a_garbled_text_breaks_nothing(values_of, name, data):
    text = table(name)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(text) - 1))
        text = text[:place] + data.draw(CHARACTERS) + text[place + 1 :]

    values_of(text)
