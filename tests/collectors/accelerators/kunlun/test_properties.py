"""Whatever happens to a table on its way, a number is the right one or none."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import ReadingUnavailable
from collectors.accelerators import vendor_tool

TABLES = (
    "devices-k200-x4",
    "devices-k200-short",
    "devices-mix",
    "devices-sriov",
    "rows-k200-x4",
    "rows-p800-x2",
    "grid-p800-x3",
    "long-p800-x2",
)
MEASURED = (
    "memory_total_bytes",
    "memory_used_bytes",
    "utilization_ratio",
    "temperature_celsius",
    "power_watts",
    "product_name",
)

quick = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
every_table = pytest.mark.parametrize("name", TABLES)


@pytest.fixture
def values_of(plugin_of):
    """Return a function that reads a text: values by index, or by address in the long form."""

    def read(text, *, program="xpu_smi"):
        plugin = plugin_of(vendor_tool.decode(text.encode()), program=program)
        try:
            pairs = list(zip(plugin.list_accelerators(), plugin.read(), strict=True))
        except ReadingUnavailable as error:
            assert error.reason  # noqa: PT017 - whether it is raised is not the point
            return {}
        uuids = [accelerator.uuid for accelerator, _ in pairs]
        assert len(set(uuids)) == len(uuids)
        found = {}
        for accelerator, reading in pairs:
            assert reading.uuid == accelerator.uuid
            unknown = {**accelerator.unknown, **reading.unknown}
            fields = {
                name: getattr(accelerator if hasattr(accelerator, name) else reading, name)
                for name in MEASURED
            }
            for field, value in fields.items():
                assert (value is None) == (field in unknown), (field, value, unknown)
            key = accelerator.pci_address if "Attached XPUs" in text else accelerator.index
            found[key] = fields
        return found

    return read


def assert_nothing_wrong(found, *, right):
    for key, fields in found.items():
        assert key in right, f"{key} is no chip of the table"
        for name, value in fields.items():
            # Of a card the first chip that is seen has the power, so that losing it moves it.
            if value is not None and name != "power_watts":
                assert value == right[key][name], (key, name)
            if value is not None and name == "power_watts":
                assert value in {each["power_watts"] for each in right.values()}


@every_table
def test_every_prefix_gives_fewer_values_and_no_wrong_one(name, values_of, table):
    text = table(name)
    right = values_of(text)
    for end in range(0, len(text), 1 if len(text) < 2500 else 3):
        found = values_of(text[:end])
        # A card whose functions are not printed yet is a whole card for now.
        assert_nothing_wrong(
            {
                key: fields
                for key, fields in found.items()
                if key in right or name != "devices-sriov"
            },
            right=right,
        )
        if name != "devices-sriov":
            assert len(found) <= len(right)


@every_table
@quick
@given(data=st.data())
def test_line_ends_blanks_and_colours_change_nothing(name, values_of, table, data):
    text = table(name)
    end = data.draw(st.sampled_from(["\n", "\r\n", "  \n", "\t\r\n", "\x1b[0m\n"]))
    start = data.draw(st.sampled_from(["", "\x1b[1m", "    ", "\t"]))
    changed = "".join(f"{start}{line}{end}" for line in text.splitlines())

    assert values_of(changed) == values_of(text)


@pytest.mark.parametrize("name", [name for name in TABLES if name.startswith("devices")])
@quick
@given(data=st.data())
def test_wider_and_narrower_columns_change_nothing(name, values_of, table, data):
    text = table(name)
    widths = data.draw(st.lists(st.integers(0, 9), min_size=15, max_size=15))
    left = data.draw(st.booleans())

    def restyle(line):
        if not line.startswith("|"):
            return line
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        padded = [
            cell + " " * width if left else " " * width + cell
            for cell, width in zip(cells, widths, strict=False)
        ]
        return "|" + "|".join(padded) + "|"

    changed = "\n".join(restyle(line) for line in text.splitlines()) + "\n"
    assert values_of(changed) == values_of(text)


@quick
@given(gap=st.integers(1, 9), ends=st.integers(0, 4))
def test_other_gaps_in_the_blocks_of_xre_5_change_nothing(values_of, table, gap, ends):
    text = table("grid-p800-x3")

    def restyle(line):
        if not line.startswith("|") or set(line) <= set("|-=+"):
            return line
        cells = [" ".join(cell.split()).replace(" ", " " * gap) for cell in line.split("|")[1:-1]]
        return "|" + "|".join(" " * ends + cell + " " * ends for cell in cells) + "|"

    changed = "\n".join(restyle(line) for line in text.splitlines()) + "\n"
    assert values_of(changed) == values_of(text)


@pytest.mark.parametrize("name", [name for name in TABLES if name.startswith("devices")])
@quick
@given(data=st.data())
def test_columns_in_another_order_and_unknown_ones_change_nothing(name, values_of, table, data):
    lines = table(name).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    count = lines[first].count("|") - 1
    order = data.draw(st.permutations(range(count)))
    at = data.draw(st.integers(0, count))
    changed = []
    in_table = True
    for line in lines[first - 1 :]:
        in_table = in_table and (line.startswith("|") or set(line) <= set("-"))
        if in_table and line.startswith("|"):
            cells = line.split("|")[1:-1]
            cells = [cells[i] for i in order]
            cells.insert(at, " Voltage(V) " if "DevID" in line else " 12 / 99 MB ")
            changed.append("|" + "|".join(cells) + "|")
        else:
            changed.append(line)

    assert values_of("\n".join(changed) + "\n") == values_of(table(name))


UNKNOWN_LINES = (
    "",
    "WARNING: something is old",
    "| a | b | c |",
    "|                               |     7MiB /    99MiB |             Disabled |",
    "| Fan                           |      1MiB /     2MiB |      9%      Default |",
    "    Something                         : 12 MiB",
    "0000:ff:00.0 something",
    "|     9 | text |",
)


@every_table
@quick
@given(data=st.data())
def test_an_unknown_line_anywhere_makes_no_number_wrong(name, values_of, table, data):
    lines = table(name).splitlines()
    at = data.draw(st.integers(0, len(lines)))
    unknown = data.draw(st.sampled_from(UNKNOWN_LINES))
    found = values_of("\n".join([*lines[:at], unknown, *lines[at:]]) + "\n")
    found = {
        key: fields
        for key, fields in found.items()
        if any(value is not None for value in fields.values())
    }

    right = values_of(table(name))
    if name == "devices-sriov":
        found = {key: fields for key, fields in found.items() if key in right}
    assert_nothing_wrong(found, right=right)


@every_table
@quick
@given(data=st.data())
def test_a_damaged_text_is_read_or_refused(name, values_of, table, data):
    text = table(name)
    at = data.draw(st.integers(0, len(text)))
    values_of(text[:at] + data.draw(st.text(max_size=12)) + text[at:])


@quick
@given(text=st.text(alphabet=st.sampled_from('|+-= 0123456789:.XPUDevIDNAMiBW%C\n"'), max_size=300))
def test_any_text_is_read_or_refused(values_of, text):
    values_of(re.sub(r"\r", "", text))
