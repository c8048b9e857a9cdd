"""nvidia-smi as the source: which of its forms is read, and what comes of it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import NotPresent, PermanentError, ReadingUnavailable
from agent.model.accelerator import Health
from collectors.accelerators.machine_files import LiveFiles
from collectors.accelerators.nvidia.calls import RecordedLibrary
from collectors.accelerators.nvidia.plugin import NvidiaConfig, NvidiaPlugin

TABLES = Path(__file__).parent / "tables"
A30 = "GPU-a0000000-0000-4000-8000-00000000000a"
A100 = "GPU-b0000000-0000-4000-8000-00000000000b"
L4 = "GPU-c0000000-0000-4000-8000-00000000000c"
SLICE = "MIG-b0000000-0000-4000-8000-000000000003"
MIB = 1024 * 1024
NO_DRIVER = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n"
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\n"


def table(name):
    return (TABLES / f"{name}.txt").read_text(encoding="utf-8")


def pairs(plugin):
    return list(zip(plugin.list_accelerators(), plugin.read(), strict=True))


def asked(plugin):
    return plugin._tool.asked


def test_cards_and_slices_come_from_the_xml_under_the_names_that_nvml_gives(smi_plugin):
    plugin = smi_plugin(table("xml-v12"), listed=table("list"))

    cards = plugin.list_accelerators()

    assert [(card.uuid, card.index, card.product_name, card.parent_uuid) for card in cards] == [
        (A30, 0, "NVIDIA A30", None),
        ("MIG-b0000000-0000-4000-8000-000000000000", 0, "NVIDIA A100 80GB PCIe MIG 3g.40gb", A100),
        (SLICE, 3, "NVIDIA A100 80GB PCIe MIG 1g.20gb", A100),
        (L4, 2, "NVIDIA L4", None),
    ]
    assert [card.pci_address for card in cards] == [
        "0000:17:00.0",
        "0000:ca:00.0",
        "0000:ca:00.0",
        "0001:03:00.0",
    ]
    assert {card.source for card in cards} == {"nvidia-smi"}


def test_values_come_in_base_units_and_health_by_nvmls_rules(smi_plugin):
    plugin = smi_plugin(table("xml-v12"), listed=table("list"))

    a30, divided, _, l4 = plugin.read()

    assert a30.memory_used_bytes == 1111 * MIB
    assert a30.utilization_ratio == 0.42
    assert a30.temperature_celsius == 51.0
    assert a30.power_watts == 101.25
    assert a30.health is Health.WARNING  # two errors that could not be corrected
    assert a30.unknown == {"energy_joules": "nvidia-smi does not show it"}
    assert divided.memory_used_bytes == 3333 * MIB
    assert divided.unknown["power_watts"] == f"measured for the whole card {A100}"
    assert divided.unknown["utilization_ratio"] == "not offered by this card (NVML)"
    assert l4.utilization_ratio == 0.0
    assert l4.power_watts == 16.75
    assert l4.health is Health.CRITICAL  # rows that could not be replaced


def test_an_older_document_is_read(smi_plugin):
    [(card, reading)] = pairs(smi_plugin(table("xml-v10")))

    assert card.product_name == "Tesla P40"
    assert card.memory_total_bytes == 22919 * MIB
    assert reading.power_watts == 50.02
    assert reading.health is Health.OK


def test_a_list_and_the_reading_after_it_are_one_process(smi_plugin):
    plugin = smi_plugin(table("xml-v10"))

    plugin.list_accelerators()
    plugin.read()

    assert asked(plugin) == ["-q"]


def test_names_of_slices_are_asked_for_once(smi_plugin):
    plugin = smi_plugin(table("xml-v12"), listed=table("list"))

    for _ in range(3):
        plugin.list_accelerators()
        plugin.read()

    assert asked(plugin) == ["-q", "-L", "-q", "-q"]


def test_a_slice_without_a_uuid_has_the_older_name_of_nvidia(smi_plugin):
    _, first, second, _ = smi_plugin(table("xml-v12")).list_accelerators()

    assert (first.uuid, second.uuid) == (f"MIG-{A100}/1/0", f"MIG-{A100}/5/0")
    assert first.unknown["product_name"] == "nvidia-smi does not show it"


def test_the_long_text_gives_what_the_document_gives(smi_plugin):
    by_text = pairs(smi_plugin(table("long"), listed=table("list")))
    by_document = pairs(smi_plugin(table("xml-v12"), listed=table("list")))

    # It is never asked for, and its processes are not read.
    reason = {"processes": "nvidia-smi does not show it"}
    assert by_text == [
        (card, replace(reading, processes=None, unknown={**reading.unknown, **reason}))
        for card, reading in by_document[:3]
    ]


def test_where_the_document_fails_columns_are_asked_for(smi_plugin):
    plugin = smi_plugin("<nvidia_smi_log><gpu>", queried=table("csv"))

    (a30, busy), (lost, gone), (l4, idle) = pairs(plugin)

    assert asked(plugin) == ["-q", "--query-gpu"]
    assert (a30.uuid, a30.index, a30.memory_total_bytes) == (A30, 0, 24576 * MIB)
    assert (busy.temperature_celsius, busy.power_watts) == (51.0, 101.25)
    assert (lost.index, lost.pci_address) == (1, "0000:ca:00.0")
    assert gone.health is Health.CRITICAL
    assert (l4.uuid, l4.index) == (L4, 2)
    assert idle.memory_used_bytes == 0
    assert idle.unknown["power_watts"].startswith("the driver failed without saying why")


def test_a_document_that_was_cut_off_gives_way_to_columns_that_show_more(smi_plugin):
    cut = table("xml-v12").partition('<gpu id="00000000:CA')[0]
    plugin = smi_plugin(cut, queried=table("csv"))

    assert len(plugin.list_accelerators()) == 3


def test_columns_are_found_by_name_in_any_order_and_without_units(smi_plugin):
    plugin = smi_plugin(
        "",
        queried="power.draw [W], temperature.gpu, uuid, memory.used [MiB], memory.total [MiB]\n"
        f"70.5, 44, {A30}, 10, 20\n",
    )

    [(card, reading)] = pairs(plugin)

    assert (card.uuid, card.memory_total_bytes) == (A30, 20 * MIB)
    assert (reading.memory_used_bytes, reading.power_watts) == (10 * MIB, 70.5)
    assert reading.unknown["utilization_ratio"] == "nvidia-smi does not show it"


def test_the_last_column_of_a_text_that_was_cut_off_is_not_believed(smi_plugin):
    text = f"uuid, temperature.gpu, power.draw [W]\n{A30}, 44, 70.5\n{L4}, 51, 101.2"

    [whole, cut] = smi_plugin("", queried=text).read()

    assert whole.power_watts == 70.5
    assert cut.temperature_celsius == 51.0
    assert cut.unknown["power_watts"] == "nvidia-smi does not show it"


def test_more_memory_used_than_there_is_is_not_believed(smi_plugin):
    text = table("xml-v10").replace("<used>5 MiB", "<used>22920 MiB")

    [reading] = smi_plugin(text).read()

    assert reading.unknown["memory_used_bytes"] == "what nvidia-smi shows is not understood"


def test_a_divided_card_of_which_the_table_shows_no_slice_is_not_taken_for_whole(smi_plugin):
    head, _, _ = table("table").partition("+\n| MIG devices:")
    none = "| No MIG devices found |\n"

    assert [card.index for card in smi_plugin(head).list_accelerators()] == [0, 2]
    assert [card.index for card in smi_plugin(f"{head}\n{none}").list_accelerators()] == [0, 1, 2]


def test_the_table_names_cards_by_their_slot(smi_plugin):
    cards = pairs(smi_plugin(table("table")))

    assert [(card.uuid, card.product_name) for card, _ in cards] == [
        ("nvidia-0000:17:00.0", "NVIDIA A30"),
        ("nvidia-0000:ca:00.0/1/0", None),
        ("nvidia-0000:ca:00.0/5/0", None),
        ("nvidia-0001:03:00.0", None),
    ]
    assert [reading.memory_used_bytes for _, reading in cards] == [
        1111 * MIB,
        3333 * MIB,
        21 * MIB,
        0,
    ]
    card, reading = cards[3]
    assert "cuts the name" in card.unknown["product_name"]
    assert reading.unknown["temperature_celsius"].startswith("the driver failed")
    assert reading.unknown["power_watts"] == "not offered by this card (NVML)"
    assert reading.health is Health.UNKNOWN


def test_a_card_that_is_lost_later_keeps_its_place_and_its_name(smi_plugin):
    plugin = smi_plugin(table("xml-v12"), listed=table("list"))
    before = plugin.list_accelerators()
    plugin._tool.otherwise = (
        "Unable to determine the device handle for GPU 0000:17:00.0: GPU is lost.\n"
        + table("xml-v12")
        .replace('<gpu id="00000000:17', '<lost id="', 1)
        .replace("</gpu>", "</lost>", 1)
    )

    after, readings = plugin.list_accelerators(), plugin.read()

    assert [card.uuid for card in after] == [card.uuid for card in before]
    assert [card.index for card in after] == [card.index for card in before]
    assert readings[0].health is Health.CRITICAL
    assert readings[3].temperature_celsius == 38.0


@pytest.mark.parametrize("declared", ['"expanded"', 'SYSTEM "file:///etc/hostname"'])
def test_a_document_cannot_declare_entities(smi_plugin, declared):
    before, _, after = table("xml-v10").partition(' SYSTEM "nvsmi_device_v10.dtd"')
    text = f"{before} [<!ENTITY a {declared}>]{after}"

    [card] = smi_plugin(text).list_accelerators()

    assert card.product_name == "Tesla P40"
    with pytest.raises(ReadingUnavailable):
        smi_plugin(text.replace("Tesla P40", "&a;")).list_accelerators()


def test_many_openings_do_not_take_long(smi_plugin):
    plugin = smi_plugin("<nvidia_smi_log>" + "<processes>" * 200_000)

    with pytest.raises(ReadingUnavailable):
        plugin.list_accelerators()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (NO_DRIVER, "not loaded"),
        (MISMATCH, "different versions"),
        ("No devices were found\n", "finds no card"),
        ("Unable to determine the device handle for GPU 0000:05:00.0: GPU is lost.\n", "is lost"),
        ("Segmentation fault\n", "Segmentation fault"),
        ("", "printed nothing"),
    ],
)
def test_why_there_is_no_card_is_said_with_a_hint(smi_plugin, text, words):
    with pytest.raises(ReadingUnavailable, match=words) as caught:
        smi_plugin(text, source="tool").read()

    assert caught.value.hint


def test_a_driver_that_refuses_is_asked_once(smi_plugin):
    plugin = smi_plugin(NO_DRIVER)

    with pytest.raises(ReadingUnavailable):
        plugin.list_accelerators()

    assert asked(plugin) == ["-q"]


def test_the_library_is_preferred_and_then_the_tool_is_not_run(smi_plugin):
    one_card = {"nvmlInit()": {"code": 0, "value": None}}
    one_card["nvmlDeviceGetCount()"] = {"code": 0, "value": 1}
    one_card["nvmlDeviceGetHandleByIndex(0)"] = {"code": 0, "value": "card 0"}
    one_card["nvmlDeviceGetUUID(card 0)"] = {"code": 0, "value": A30}
    plugin = smi_plugin(table("xml-v12"), library=RecordedLibrary(one_card))

    plugin.probe()
    [card] = plugin.list_accelerators()

    assert (card.uuid, card.source) == (A30, "nvml")
    assert asked(plugin) == []


def test_a_library_older_than_the_driver_gives_way_to_the_tool(smi_plugin, caplog):
    plugin = smi_plugin(table("xml-v10"), library=RecordedLibrary({"nvmlInit()": {"code": 18}}))

    plugin.probe()
    for _ in range(3):
        [card] = plugin.list_accelerators()

    assert card.source == "nvidia-smi"
    assert [record.getMessage() for record in caplog.records] == [
        "nvidia source=tool because="
        "the NVIDIA library and the loaded driver are of different versions"
    ]


def test_the_configuration_may_choose_the_library_alone(smi_plugin):
    plugin = smi_plugin(table("xml-v10"), source="library")

    with pytest.raises(NotPresent):
        plugin.probe()
    with pytest.raises(ReadingUnavailable, match="library is not on this machine"):
        plugin.list_accelerators()
    assert asked(plugin) == []


def test_the_configuration_may_choose_the_tool_alone(smi_plugin):
    library = RecordedLibrary({"nvmlInit()": {"code": 0, "value": None}})
    plugin = smi_plugin(table("xml-v10"), source="tool", library=library)

    plugin.probe()
    [card] = plugin.list_accelerators()

    assert card.source == "nvidia-smi"
    assert not library.is_open


@pytest.mark.parametrize("text", [NO_DRIVER, "No devices were found\n", "what?\n"])
def test_without_library_and_without_an_answer_of_the_tool_nothing_is_here(smi_plugin, text):
    with pytest.raises(NotPresent):
        smi_plugin(text).probe()


def test_a_driver_to_be_mended_is_here(smi_plugin):
    smi_plugin(MISMATCH).probe()


def test_a_tool_alone_that_is_missing_is_named(tmp_path):
    plugin = NvidiaPlugin(NvidiaConfig(tool=str(tmp_path / "nvidia-smi"), source="tool"))

    with pytest.raises(NotPresent, match="nvidia-smi is not on this machine"):
        plugin.probe()
    with pytest.raises(ReadingUnavailable, match="nvidia-smi is not on this machine"):
        plugin.read()


def test_a_recording_of_the_tool_plays_back_the_same(smi_plugin):
    plugin = smi_plugin(table("xml-v12"), listed=table("list"), queried=table("csv"))
    live = pairs(plugin)

    files = plugin.record()
    replayed = NvidiaPlugin.replay(NvidiaConfig(), files)

    replayed.probe()
    assert pairs(replayed) == live
    assert asked(plugin)[-3:] == ["-q", "--query-gpu", "-L"]


def test_a_recording_without_tool_and_library_is_refused():
    with pytest.raises(PermanentError):
        NvidiaPlugin.replay(NvidiaConfig(), {"index.json": '{"version": 1, "tools": []}'})


@pytest.mark.parametrize("name", ["xml-v12", "table"])
def test_the_runtime_is_told_what_it_knows_cards_by(smi_plugin, name):
    plugin = smi_plugin(table(name), listed=table("list"), container_access="runtime")
    card, _, each, _ = plugin.list_accelerators()

    grant = plugin.grant([card.uuid, each.uuid])

    visible = grant.environment["NVIDIA_VISIBLE_DEVICES"].split(",")
    assert visible == ([A30, SLICE] if name == "xml-v12" else ["0", "1:3"])


def test_nodes_are_granted_by_the_numbers_in_the_document(smi_plugin, tmp_path):
    capabilities = "proc/driver/nvidia/capabilities/gpu0/mig/gi5"
    for path, text in {
        "dev/nvidia0": "",
        "dev/nvidiactl": "",
        "dev/nvidia-uvm": "",
        "dev/nvidia-caps/nvidia-cap7": "",
        "dev/nvidia-caps/nvidia-cap8": "",
        f"{capabilities}/access": "DeviceFileMinor: 7\n",
        f"{capabilities}/ci0/access": "DeviceFileMinor: 8\n",
        "usr/lib64/libcuda.so.1": "",
        "usr/lib64/libnvidia-gpucomp.so.550.11": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    plugin = smi_plugin(table("xml-v12"), listed=table("list"), files=LiveFiles(tmp_path))

    grant = plugin.grant([SLICE])

    assert grant.devices == (
        "/dev/nvidia0",
        "/dev/nvidiactl",
        "/dev/nvidia-uvm",
        "/dev/nvidia-caps/nvidia-cap7",
        "/dev/nvidia-caps/nvidia-cap8",
    )
    assert [source for source, _ in grant.mounts] == [
        "/usr/lib64/libcuda.so.1",
        "/usr/lib64/libnvidia-gpucomp.so.550.11",
    ]


def test_what_cannot_be_granted_says_why(smi_plugin):
    plugin = smi_plugin("", queried=table("csv"), container_access="runtime")
    _, lost, _ = plugin.list_accelerators()

    with pytest.raises(ReadingUnavailable, match="is lost"):
        plugin.grant([lost.uuid])
    with pytest.raises(ReadingUnavailable, match="GPU-other"):
        plugin.grant(["GPU-other"])


def test_the_program_itself_is_run(tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat {TABLES}/xml-v10.txt\n")
    program.chmod(0o755)
    subprocess.run([program], check=True, capture_output=True)
    config = NvidiaConfig(tool=str(program), source="tool")

    [(card, _)] = pairs(NvidiaPlugin(config, files=LiveFiles(tmp_path)))

    assert card.product_name == "Tesla P40"
