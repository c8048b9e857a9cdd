"""The tool's four layouts, on tables of our own."""

from __future__ import annotations

import pytest

from agent.errors import ReadingUnavailable
from agent.model.accelerator import Health
from collectors.accelerators.kunlun import output

MIB = 1 << 20


def values(plugin, *names):
    accelerators, readings = plugin.list_accelerators(), plugin.read()
    return [
        tuple(getattr(a if hasattr(a, name) else r, name) for name in names)
        for a, r in zip(accelerators, readings, strict=True)
    ]


def test_the_table_of_xre_4_is_enough_alone(plugin_of, table):
    found = values(
        plugin_of(table("devices-k200-x4")),
        "index",
        "uuid",
        "product_name",
        "memory_total_bytes",
        "memory_used_bytes",
        "utilization_ratio",
        "temperature_celsius",
        "health",
    )

    assert found == [
        (0, "0300220107000451-0", "K200", 8064 * MIB, 576 * MIB, 0.37, 58.0, Health.OK),
        (1, "0300220107000451-1", "K200", 8064 * MIB, 12 * MIB, 0.04, 55.0, Health.OK),
        (2, "0300220107000777-0", "K200", 8064 * MIB, 0, 0.0, 41.0, Health.OK),
        (3, "0300220107000777-1", "K200", None, None, None, None, Health.UNKNOWN),
    ]


def test_a_cards_power_is_given_once(plugin_of, table):
    plugin = plugin_of(table("devices-k200-x4"))

    assert [power for (power,) in values(plugin, "power_watts")] == [61.0, None, 44.0, None]
    assert plugin.read()[1].unknown["power_watts"] == (
        "measured for the whole card: see 0300220107000451-0"
    )


def test_two_chips_of_k200_are_one_card(plugin_of, table):
    found = values(plugin_of(table("devices-k200-x4")), "card", "chips_on_card")

    assert found == [("0000:1a:00.0", 2)] * 2 + [("0000:b1:00.0", 2)] * 2


def test_a_short_table_leaves_unknown_what_it_does_not_show(plugin_of, table):
    plugin = plugin_of(table("devices-k200-short"))
    plugin.list_accelerators()
    reading = plugin.read()[0]

    assert (reading.memory_used_bytes, reading.utilization_ratio) == (576 * MIB, 0.37)
    assert set(reading.unknown) == {
        "power_watts",
        "temperature_celsius",
        "energy_joules",
        "health",
        "processes",
    }


def test_a_short_table_is_completed_by_the_machine_readable_form(plugin_of, table):
    plugin = plugin_of({(): table("devices-k200-short"), ("-m",): table("rows-k200-x4")})

    assert values(plugin, "power_watts", "temperature_celsius")[0] == (61.234, 58.0)


def test_models_of_one_host_may_differ(plugin_of, table):
    found = values(
        plugin_of(table("devices-mix")),
        "product_name",
        "memory_total_bytes",
        "power_watts",
        "chips_on_card",
    )

    assert found == [
        ("R200", 16384 * MIB, 133.0, 1),
        ("K100", 8064 * MIB, 19.0, 1),
        ("RG800", 32768 * MIB, 77.0, None),
    ]


def test_a_divided_card_is_listed_as_its_functions(plugin_of, table):
    found = values(
        plugin_of(table("devices-sriov")),
        "index",
        "product_name",
        "parent_uuid",
        "memory_used_bytes",
        "utilization_ratio",
        "temperature_celsius",
        "power_watts",
    )

    parent = "03K01Z9911A00042-0"
    assert found == [
        (1, "R200-VF-5G", parent, 1500 * MIB, 0.7, None, None),
        (2, "R200-VF-5G", parent, 0, 0.0, None, None),
        (3, "R200", None, 0, 0.0, 39.0, 31.0),
    ]


def test_functions_have_names_of_their_own(plugin_of, table):
    cards = plugin_of(table("devices-sriov")).list_accelerators()

    assert [card.uuid for card in cards] == [
        "kunlun-0000:02:01.0-0",
        "kunlun-0000:02:01.1-0",
        "03K01Z9911A00077-0",
    ]


def test_the_machine_readable_form_of_xre_4_has_power_in_milliwatts(plugin_of, table):
    plugin = plugin_of({("-m",): table("rows-k200-x4")})

    assert values(plugin, "uuid", "power_watts", "utilization_ratio", "memory_used_bytes") == [
        ("0300220107000451-0", 61.234, 0.37, 576 * MIB),
        ("0300220107000451-1", None, 0.04, 12 * MIB),
        ("0300220107000777-0", 44.01, 0.0, 0),
        ("0300220107000777-1", None, 0.0, 0),
    ]


def test_the_machine_readable_form_of_xre_5_has_power_in_watts(plugin_of, table):
    plugin = plugin_of({("-m",): table("rows-p800-x2")}, program="xpu-smi")

    assert values(
        plugin, "uuid", "product_name", "power_watts", "memory_used_bytes", "memory_total_bytes"
    ) == [
        ("03K22B7731C00011-0", "P800 OAM", 91.0, 71234 * MIB, 98304 * MIB),
        ("03K22B7731C00012-0", "P800 OAM", 84.0, 0, 98304 * MIB),
    ]


def test_the_table_of_xre_5_is_enough_alone(plugin_of, table):
    found = values(
        plugin_of(table("grid-p800-x3")),
        "index",
        "uuid",
        "product_name",
        "memory_total_bytes",
        "memory_used_bytes",
        "utilization_ratio",
        "temperature_celsius",
        "power_watts",
    )

    assert found == [
        (0, "kunlun-0000:1c:00.0-0", "P800 OAM", 98304 * MIB, 71234 * MIB, 0.63, 44.0, 191.0),
        (2, "kunlun-0000:2d:00.0-0", "P800 OAM", 98304 * MIB, 300 * MIB, 0.05, 38.0, 84.0),
        (5, "kunlun-0000:c3:00.0-0", "P800 OAM", 98304 * MIB, 0, None, None, None),
    ]


def test_memory_errors_that_could_not_be_corrected_are_a_warning(plugin_of, table):
    found = values(plugin_of(table("grid-p800-x3")), "health")

    assert found == [(Health.UNKNOWN,), (Health.WARNING,), (Health.UNKNOWN,)]


def test_the_long_form_gives_the_table_of_xre_5_its_uuids(plugin_of, table):
    plugin = plugin_of({(): table("grid-p800-x3"), ("-q",): table("long-p800-x2")})

    assert values(plugin, "index", "uuid", "power_watts") == [
        (0, "GPU-11111111-aaaa-5aaa-8aaa-0123456789ab", 191.0),
        (2, "GPU-22222222-bbbb-5bbb-8bbb-0123456789ab", 84.0),
        (5, "kunlun-0000:c3:00.0-0", None),
    ]


def test_the_long_form_is_enough_alone(plugin_of, table):
    plugin = plugin_of({("-q",): table("long-p800-x2")})

    assert values(
        plugin,
        "index",
        "memory_used_bytes",
        "utilization_ratio",
        "temperature_celsius",
        "power_watts",
    ) == [(0, 71234 * MIB, 0.63, 44.0, 191.25), (2, 300 * MIB, 0.05, 38.0, 84.0)]


def test_a_block_with_a_line_too_many_is_listed_without_values(plugin_of, table):
    text = table("grid-p800-x3")
    l3 = "|                               |     2MiB /    96MiB |             Disabled |\n"
    plugin = plugin_of(text.replace(l3, l3 + l3))

    assert values(plugin, "uuid", "memory_total_bytes", "temperature_celsius")[0] == (
        "kunlun-0000:1c:00.0-0",
        None,
        None,
    )


def test_a_row_of_another_layout_gives_no_value(plugin_of, table):
    shifted = table("rows-k200-x4").replace(" 0300", " NEW 0300")
    plugin = plugin_of({("-m",): shifted})

    accelerators, readings = plugin.list_accelerators(), plugin.read()
    assert len(accelerators) == 4
    assert {each.memory_total_bytes for each in accelerators} == {None}
    assert {each.power_watts for each in readings} == {None}


@pytest.mark.parametrize("mark", ["N/A", "-", "--", "[N/A]", "ERR!", "xxxxx", ""])
def test_a_mark_for_no_value_is_no_value(mark, plugin_of, table):
    text = table("devices-mix")
    for value in ("133", "71 ", "91 %", "9011 / 16384 MB"):
        text = text.replace(value, mark)
    reading = plugin_of(text).read()[0]

    assert (
        reading.power_watts,
        reading.utilization_ratio,
        reading.memory_used_bytes,
    ) == (None, None, None)
    assert {"power_watts", "utilization_ratio", "memory_used_bytes"} <= set(reading.unknown)


@pytest.mark.parametrize(
    ("value", "other"),
    [
        ("9011 / 16384 MB", "9011 / 16384 GB"),
        ("9011 / 16384 MB", "9011 / 16384"),
        ("9011 / 16384 MB", "99011 / 16384 MB"),
        ("Power(W)", "Power(mA)"),
        (" 133 |", " 4133 |"),
        (" 133 |", " 0 |"),
        (" 133 |", " 133 W |"),
        (" 91 % |", " 91 |"),
        (" 91 % |", " 191 % |"),
        (" 71 |", " 710 |"),
    ],
)
def test_an_unknown_unit_or_an_implausible_value_is_unknown(value, other, plugin_of, table):
    before = plugin_of(table("devices-mix")).read()[0]
    text = table("devices-mix").replace(value, other)
    plugin = plugin_of(text)
    (card, *_), (after, *_) = plugin.list_accelerators(), plugin.read()

    assert text != table("devices-mix")
    assert len(after.unknown) + len(card.unknown) > len(before.unknown)


def test_a_temperature_may_have_its_unit(plugin_of, table):
    text = table("devices-mix").replace(" 71 |", " 71C |").replace(" 40 |", " 40 C |")

    assert [each.temperature_celsius for each in plugin_of(text).read()] == [71.0, 40.0, 52.0]


def test_serial_numbers_that_two_cards_share_name_neither(plugin_of, table):
    text = table("devices-mix").replace("0300000000000c1d", "03K01Z9911A00042")

    assert [card.uuid for card in plugin_of(text).list_accelerators()] == [
        "kunlun-0000:02:00.0-0",
        "kunlun-0000:07:00.0-0",
        "03K07A1124B00003-0",
    ]


def test_a_serial_number_of_zeros_names_no_card(plugin_of, table):
    text = table("devices-mix").replace("03K07A1124B00003", "0000000000000000")

    assert plugin_of(text).list_accelerators()[2].uuid == "kunlun-0000:0a:00.0-0"


def test_a_table_without_a_device_is_an_error_with_what_was_printed(plugin_of):
    plugin = plugin_of("Segmentation fault\n")

    with pytest.raises(ReadingUnavailable, match="Segmentation fault") as caught:
        plugin.list_accelerators()
    assert caught.value.hint == "run `xpu_smi` by hand"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("open /dev/xpuctrl: Permission denied", "does not allow"),
        ("ERROR: kunlun driver is not loaded", "driver is not loaded"),
        ("Initialize default context for dev -1 fail", "finds no card"),
        ("error while loading shared libraries: libxpuml.so.1: cannot open", "a library of XRE"),
    ],
)
def test_error_texts_become_a_reason_and_a_hint(text, reason, plugin_of):
    with pytest.raises(ReadingUnavailable, match=reason) as caught:
        plugin_of(text).read()
    assert caught.value.hint


def test_a_line_of_another_program_costs_the_long_form_nothing(plugin_of, table):
    text = table("long-p800-x2")
    warned = text.replace("    Memory Usage\n", "WARNING: old firmware\n    Memory Usage\n")

    names = ("uuid", "memory_used_bytes", "power_watts")
    assert values(plugin_of({("-q",): warned}), *names) == values(
        plugin_of({("-q",): text}), *names
    )


def test_a_process_named_after_intel_makes_no_tool_of_intels(table):
    text = table("devices-mix")
    empty = "".join(line for line in text.splitlines(keepends=True) if "/dev/xpu" not in line)

    assert output.parse(empty) == []
    assert not output.is_of_intel(empty.replace("face-service", "intel-openvino"))


def test_forms_are_told_apart(table):
    forms = {
        name: output.form_of(table(name))
        for name in ("devices-mix", "grid-p800-x3", "long-p800-x2", "rows-p800-x2", "intel")
    }

    assert [form.name if form else None for form in forms.values()] == [
        "DEVICES",
        "GRID",
        "QUERY",
        "ROWS",
        None,
    ]
    assert output.is_of_intel(table("intel"))
