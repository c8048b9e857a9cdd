"""The plugin: which source it takes, what it asks, what it remembers, what it hands on."""

from __future__ import annotations

import json
import logging

import pytest

from agent.errors import NotPresent, PermanentError, ReadingUnavailable
from agent.model.accelerator import ContainerGrant, Health
from collectors.accelerators.ascend import npu_smi
from collectors.accelerators.ascend.npu_smi import NpuSmi
from collectors.accelerators.ascend.plugin import AscendConfig, AscendPlugin
from collectors.accelerators.vendor_tool import ToolAnswer

MIB = 1024 * 1024


@pytest.fixture
def on_bus(tmp_path):
    """Return a function that puts Ascend functions on the PCI bus of the machine."""

    def put(*addresses):
        for address in addresses:
            device = tmp_path / "sys/bus/pci/devices" / address
            device.mkdir(parents=True)
            (device / "vendor").write_text("0x19e5\n")
            (device / "class").write_text("0x120000\n")

    return put


@pytest.fixture
def node(tmp_path):
    """Return a function that makes files of the machine."""

    def make(*paths):
        for path in paths:
            file = tmp_path / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()

    return make


def info(text, **more):
    return {("info",): text, **{tuple(key.split()): value for key, value in more.items()}}


def test_list_and_read_share_one_run_of_the_tool(table, fake_tool, tool_plugin):
    tool = fake_tool(info(table("duo")))
    plugin = tool_plugin(tool)

    cards, readings = plugin.list_accelerators(), plugin.read()

    assert tool.runs.count(npu_smi.INFO) == 1
    assert [card.uuid for card in cards] == [reading.uuid for reading in readings]
    assert {card.source for card in cards} == {"npu-smi"}
    plugin.read()
    assert tool.runs.count(npu_smi.INFO) == 2


def test_finer_questions_are_asked_once_for_a_set_of_chips(table, fake_tool, tool_plugin):
    answers = {
        npu_smi.INFO: table("duo"),
        npu_smi.MAPPING: "",
        npu_smi.LIST: table("list-duo"),
        npu_smi.product(0): table("product-0"),
    }
    tool = fake_tool(answers)
    plugin = tool_plugin(tool)

    cards = plugin.list_accelerators()

    assert [card.board_name for card in cards] == ["Atlas 300I Duo"] * 4
    assert tool.runs == [npu_smi.INFO, npu_smi.MAPPING, npu_smi.LIST, npu_smi.product(0)]
    tool.answers = {**answers, npu_smi.INFO: table("910b-26")}
    plugin.read()
    plugin.read()
    assert tool.runs[4:7] == [npu_smi.INFO, npu_smi.MAPPING, npu_smi.LIST]
    before = len(tool.runs)
    plugin.read()
    # What the table gives is not asked for.
    assert tool.runs[before:] == [npu_smi.INFO]


def test_a_slow_tool_is_not_asked_more_than_the_table(table, fake_tool):
    now = [0.0]
    tool = fake_tool({npu_smi.INFO: table("duo"), npu_smi.LIST: table("list-duo")})

    def monotonic():
        now[0] += 1.0
        return now[0]

    smi = NpuSmi(tool, monotonic=monotonic)
    smi.chips()
    assert tool.runs == [npu_smi.INFO, npu_smi.MAPPING]
    # What was left over follows later.
    chips = smi.chips()
    assert tool.runs[2:] == [npu_smi.INFO, npu_smi.LIST]
    assert chips[2].board_name == "Atlas 300I Duo"


def test_a_chip_that_the_table_leaves_out_is_listed_without_values(table, fake_tool, tool_plugin):
    lines = table("two-dies").splitlines()
    del lines[8:11]  # the second die of the first card
    mapping = table("mapping-phy")
    plugin = tool_plugin(fake_tool({npu_smi.INFO: "\n".join(lines), npu_smi.MAPPING: mapping}))

    cards, readings = plugin.list_accelerators(), plugin.read()

    assert [(card.card, card.chips_on_card) for card in cards] == [("0", 2)] * 2 + [("1", 2)] * 2
    assert readings[1].health is Health.UNKNOWN
    assert readings[1].unknown["temperature_celsius"] == "npu-smi info leaves this chip out"
    assert readings[0].power_watts == 170.5


def test_the_power_of_two_dies_stands_at_the_first(table, fake_tool, tool_plugin):
    readings = tool_plugin(fake_tool(info(table("two-dies")))).read()

    assert [reading.power_watts for reading in readings] == [170.5, None, 165.0, None]
    assert "whole card" in readings[1].unknown["power_watts"]


def test_unknown_values_have_reasons_and_no_numbers(table, fake_tool, tool_plugin):
    plugin = tool_plugin(fake_tool(info(table("gaps"))))

    cards, readings = plugin.list_accelerators(), plugin.read()

    odd = readings[1]
    assert (odd.power_watts, odd.temperature_celsius, odd.utilization_ratio) == (None,) * 3
    assert odd.memory_used_bytes is None
    assert odd.unknown["health"] == "no known grade: Sleeping"
    assert cards[1].memory_total_bytes == 65536 * MIB
    assert cards[1].product_name is None
    for reading in readings:
        assert reading.unknown["energy_joules"]


def test_a_library_that_fails_as_a_whole_gives_way_to_the_tool(
    play, table, fake_tool, caplog, tmp_path
):
    caplog.set_level(logging.INFO)
    tool = fake_tool(info(table("910b-26")))
    plugin = play("no-driver", tool=tool)

    assert {card.source for card in plugin.list_accelerators()} == {"npu-smi"}
    plugin.read()
    plugin.read()
    assert sum("ascend_source=npu-smi" in record.message for record in caplog.records) == 1

    # Once the library answers again, it is taken again.
    (tmp_path / "scenario.txt").write_text("[card 0]\n[chip]\nname = 910B3\npci = 0 193 0 0\n")
    assert {card.source for card in plugin.list_accelerators()} == {"dcmi"}
    assert any("ascend_source=dcmi" in record.message for record in caplog.records)


def test_library_and_tool_give_the_same_identities(play, table, fake_tool, tool_plugin):
    text = table("duo").replace("0000:05:", "0000:01:").replace("0000:C5:", "0000:81:")
    from_tool = tool_plugin(fake_tool(info(text))).list_accelerators()
    from_library = play("duo").list_accelerators()

    for one, other in zip(from_tool, from_library, strict=True):
        assert one.uuid == other.uuid
        assert (one.card, one.index, one.chips_on_card) == (
            other.card,
            other.index,
            other.chips_on_card,
        )


def test_both_failing_tells_both_reasons(play, fake_tool):
    tool = fake_tool({npu_smi.INFO: "dcmi module initialize failed. ret is -8005\n"})
    plugin = play("no-driver", tool=tool)

    with pytest.raises(ReadingUnavailable) as caught:
        plugin.list_accelerators()

    assert caught.value.reason.startswith("DCMI:")
    assert "npu-smi:" in caught.value.reason
    assert "HwHiAiUser" in caught.value.hint


def test_source_library_never_runs_the_tool(play, table, fake_tool):
    tool = fake_tool(info(table("duo")))

    with pytest.raises(ReadingUnavailable):
        play("no-driver", tool=tool, source="library").read()
    assert tool.runs == []


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("dcmi module initialize failed. ret is -8005", 187, "-8005"),
        ("DrvMng failed. (ret=4)\nthe device is used. ret is -8020", 172, "another container"),
        ("open failed. ret is -8009\nthe device is used. ret is -8020", 172, "another container"),
        ("Invalid card id.\nUsage: npu-smi info", 0, "Invalid card id"),
        ("", 187, "-8005"),
        ("", 3, "printed nothing"),
        ("bash: permission denied", 126, "no permission"),
        ("npu-smi: error while loading shared libraries: libc_sec.so", 127, "does not start"),
        ("Segmentation fault", 139, "no table of chips (status 139)"),
    ],
)
def test_complaints_become_reasons(text, status, words, fake_tool, tool_plugin):
    plugin = tool_plugin(fake_tool({npu_smi.INFO: text}, exit_status=status))

    with pytest.raises(ReadingUnavailable) as caught:
        plugin.read()
    assert words in caught.value.reason


def test_probe_runs_nothing_where_the_driver_has_nodes(table, fake_tool, tool_plugin, node):
    tool = fake_tool(info(table("duo")))
    node("/dev/davinci0")
    tool_plugin(tool).probe()
    assert tool.runs == []


def test_probe_asks_the_tool_where_the_driver_has_none(table, fake_tool, tool_plugin):
    tool_plugin(fake_tool(info(table("duo")))).probe()
    with pytest.raises(NotPresent) as caught:
        tool_plugin(
            fake_tool({npu_smi.INFO: "dcmi module initialize failed. ret is -8005"})
        ).probe()
    assert caught.value.hint
    with pytest.raises(NotPresent, match="not on this machine"):
        tool_plugin(fake_tool(is_installed=False)).probe()


def test_a_chip_that_is_lost_but_on_the_bus_keeps_its_place(
    table, fake_tool, tool_plugin, on_bus, caplog
):
    tool = fake_tool(info(table("910b-26")))
    plugin = tool_plugin(tool)
    before = plugin.list_accelerators()
    on_bus("0000:c2:00.0", "0000:c1:00.0")
    lines = table("910b-26").splitlines()
    tool.answers = info("\n".join(lines[:9]) + "\n")

    after, readings = plugin.list_accelerators(), plugin.read()

    # The third is not on the bus any more: it is gone.
    assert [card.uuid for card in after] == [card.uuid for card in before[:2]]
    assert after[1].product_name == "910B3"
    assert "still on the PCI bus" in readings[1].unknown["power_watts"]
    assert readings[0].health is Health.OK


def test_what_is_on_the_bus_and_not_listed_is_told_once(
    table, fake_tool, tool_plugin, on_bus, caplog
):
    caplog.set_level(logging.INFO)
    on_bus("0000:c1:00.0", "0000:99:00.0")
    plugin = tool_plugin(fake_tool(info(table("910b-26"))))

    plugin.read()
    plugin.read()

    told = [
        (record.levelname, record.message)
        for record in caplog.records
        if "on_bus" in record.message
    ]
    assert told == [
        ("WARNING", "ascend_chips=3 before=0 on_bus=2 on_bus_but_not_listed=0000:99:00.0")
    ]


# Containers


@pytest.fixture
def granting(table, fake_tool, tool_plugin):
    """Return a plugin with two cards of two dies, whose nodes are 8 to 11."""
    answers = {npu_smi.INFO: table("two-dies"), npu_smi.MAPPING: table("mapping-phy")}
    return tool_plugin(fake_tool(answers))


def test_a_grant_names_what_exists_and_nothing_else(granting, node):
    node("/dev/davinci9", "/dev/davinci10", "/dev/davinci_manager", "/dev/devmm_svm")
    node("/dev/hisi_hdc", "/dev/dvpp_cmdlist", "/usr/local/dcmi/libdcmi.so")
    node("/usr/local/Ascend/driver/lib64/driver/libascend_hal.so", "/etc/ascend_install.info")
    uuids = [card.uuid for card in granting.list_accelerators()]

    grant = granting.grant([uuids[2], uuids[1]])

    assert grant == ContainerGrant(
        devices=(
            "/dev/davinci9",
            "/dev/davinci10",
            "/dev/davinci_manager",
            "/dev/devmm_svm",
            "/dev/hisi_hdc",
        ),
        mounts=(
            ("/usr/local/dcmi", "/usr/local/dcmi"),
            ("/usr/local/Ascend/driver/lib64", "/usr/local/Ascend/driver/lib64"),
            ("/etc/ascend_install.info", "/etc/ascend_install.info"),
        ),
        environment={"ASCEND_VISIBLE_DEVICES": "9,10"},
    )


def test_media_nodes_go_with_inference_chips(table, fake_tool, tool_plugin, node):
    node("/dev/davinci0", "/dev/davinci_manager", "/dev/dvpp_cmdlist", "/dev/svm0")
    plugin = tool_plugin(fake_tool(info(table("duo"))))

    grant = plugin.grant(["ascend-0000:05:00.0-0"])

    assert grant.devices == ("/dev/davinci0", "/dev/davinci_manager", "/dev/dvpp_cmdlist")


def test_a_chip_of_the_system_has_nodes_of_its_own(table, fake_tool, tool_plugin, node):
    node("/dev/davinci0", "/dev/davinci_manager", "/dev/svm0", "/dev/sys")
    plugin = tool_plugin(fake_tool(info(table("soc"))))

    grant = plugin.grant(["ascend-npu0-0"])

    assert grant.devices[2:] == ("/dev/svm0", "/dev/sys")


def test_the_makers_runtime_does_the_rest(granting, node, tmp_path):
    node("/dev/davinci8", "/dev/davinci_manager", "/etc/docker/daemon.json")
    (tmp_path / "etc/docker/daemon.json").write_text(
        json.dumps({"runtimes": {"ascend": {"path": "/usr/local/Ascend/ascend-docker-runtime"}}})
    )
    uuid = granting.list_accelerators()[0].uuid

    assert granting.grant([uuid]) == ContainerGrant(
        environment={"ASCEND_VISIBLE_DEVICES": "8"}, runtime="ascend"
    )


def test_nothing_is_granted_for_nothing_and_for_strangers(granting, node):
    assert granting.grant([]) == ContainerGrant()
    with pytest.raises(ReadingUnavailable, match="no Ascend chip is called"):
        granting.grant(["ascend-0000:99:00.0-0"])
    uuid = granting.list_accelerators()[0].uuid
    with pytest.raises(ReadingUnavailable, match="/dev/davinci8 is not on this machine"):
        granting.grant([uuid])


# Recordings


def test_a_recording_of_the_tool_reads_back_the_same(table, fake_tool, tool_plugin):
    answers = {
        npu_smi.INFO: table("duo"),
        npu_smi.MAPPING: table("mapping-910b"),
        npu_smi.LIST: table("list-duo"),
        npu_smi.product(0): table("product-0"),
    }
    plugin = tool_plugin(fake_tool(answers))
    files = plugin.record()

    replayed = AscendPlugin.replay(AscendConfig(), files)
    replayed.probe()

    assert replayed.list_accelerators() == plugin.list_accelerators()
    assert replayed.read() == plugin.read()


def test_a_recording_of_the_library_reads_back_the_same(play):
    for scenario in ("duo", "950", "one-card-fails"):
        plugin = play(scenario)
        files = plugin.record()

        replayed = AscendPlugin.replay(AscendConfig(), files)
        replayed.probe()

        assert replayed.list_accelerators() == plugin.list_accelerators()
        assert replayed.read() == plugin.read()


def test_a_library_recording_with_odd_values_gives_reasons(play):
    files = dict(play("duo").record())
    library = json.loads(files["library.json"])
    for number, key in enumerate(library):
        if "list" not in key and "id_in_card" not in key:
            library[key]["value"] = [None, "x", [1], {"memory_size": "1"}, -5][number % 5]
    files["library.json"] = json.dumps(library)

    replayed = AscendPlugin.replay(AscendConfig(), files)

    assert len(replayed.list_accelerators()) == 4
    for reading in replayed.read():
        assert reading.memory_used_bytes is None
        assert reading.power_watts is None


def test_nothing_to_record_is_said(tool_plugin, fake_tool, tmp_path):
    plugin = AscendPlugin(
        AscendConfig(library=str(tmp_path / "none.so")),
        tool=fake_tool(is_installed=False),
        root=tmp_path,
    )
    with pytest.raises(ReadingUnavailable, match="neither DCMI nor npu-smi"):
        plugin.record()


def test_files_of_somebody_else_are_refused():
    with pytest.raises(PermanentError):
        AscendPlugin.replay(AscendConfig(), {})
    with pytest.raises(PermanentError, match="no answer of npu-smi"):
        AscendPlugin.replay(AscendConfig(), {"index.json": '{"version": 1, "tools": []}'})


def test_the_fake_tool_answers_like_a_tool(fake_tool):
    assert fake_tool({("info",): "x"}).run("info") == ToolAnswer(text="x", exit_status=0)
