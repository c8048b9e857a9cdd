"""The plugin: which source it reads, what it says when one fails, and grants."""

from __future__ import annotations

import logging

import pytest

from agent.errors import NotPresent, ReadingUnavailable
from agent.model.accelerator import AcceleratorKind, ContainerGrant, Health
from collectors.accelerators.cambricon.library import RecordedCalls
from collectors.accelerators.cambricon.plugin import CambriconConfig, CambriconPlugin
from collectors.accelerators.vendor_tool import RecordedTool, ToolAnswer

NO_TOOL = RecordedTool("cnmon", {})
NO_LIBRARY = RecordedCalls({})
X8 = ("MLU-01012001-1913-0000-0000-00000000a001", "MLU-01012001-1913-0000-0000-00000000a002")


class CountingTool:
    """Prints a text and counts how often it was asked."""

    def __init__(self, text: str) -> None:
        self.program = "cnmon"
        self.text = text
        self.runs = 0

    def find(self) -> None:
        pass

    def run(self, *words: str) -> ToolAnswer:
        self.runs += 1
        return ToolAnswer(text=self.text, exit_status=0)


def library_plugin(library: str, **injected: object) -> CambriconPlugin:
    return CambriconPlugin(CambriconConfig(library=library), **{"tool": NO_TOOL, **injected})


def tool_plugin(tool: object, **injected: object) -> CambriconPlugin:
    return CambriconPlugin(CambriconConfig(), calls=NO_LIBRARY, tool=tool, **injected)


@pytest.mark.peer
def test_the_library_is_read_first(stub, printed, own_table):
    plugin = library_plugin(stub("two-chips"), tool=printed(own_table("release-6-modules")))

    plugin.probe()
    cards = plugin.list_accelerators()
    readings = plugin.read()

    assert [card.uuid for card in cards] == list(X8)
    assert [card.index for card in cards] == [0, 1]
    assert {card.source for card in cards} == {"cndev"}
    assert {card.kind for card in cards} == {AcceleratorKind.MLU}
    assert [reading.uuid for reading in readings] == list(X8)
    assert [reading.power_watts for reading in readings] == [112, None]
    plugin.close()
    plugin.close()


def test_without_the_library_the_table_alone_is_enough(printed, own_table):
    plugin = tool_plugin(printed(own_table("release-6-modules")))

    plugin.probe()
    cards = plugin.list_accelerators()
    readings = plugin.read()

    assert {card.source for card in cards} == {"cnmon"}
    assert cards[0].uuid == "cambricon-0000:2f:00.0"
    assert [card.product_name for card in cards] == ["MLU590-M9"] * 4
    assert [reading.power_watts for reading in readings] == [100, 101, 102, 103]
    assert [reading.utilization_ratio for reading in readings] == [0.0, 0.07, 0.14, 0.21]
    assert {reading.health for reading in readings} == {Health.UNKNOWN}


def test_a_list_and_the_read_behind_it_cost_one_process(own_table):
    tool = CountingTool(own_table("release-5-x8"))
    plugin = tool_plugin(tool)

    plugin.list_accelerators()
    plugin.read()
    assert tool.runs == 1

    plugin.read()
    assert tool.runs == 2


@pytest.mark.peer
@pytest.mark.parametrize("code", [2, 4, 7, 13])
def test_a_library_that_fails_as_a_whole_gives_way_to_the_tool(stub, printed, own_table, code):
    plugin = library_plugin(stub(f"cndevInit = {code}\n"), tool=printed(own_table("release-5-x8")))

    plugin.probe()
    cards = plugin.list_accelerators()

    assert {card.source for card in cards} == {"cnmon"}


@pytest.mark.peer
def test_a_chip_keeps_its_name_when_the_tool_stands_in(stub, own_table, tmp_path):
    tool = CountingTool(own_table("release-5-x8"))
    plugin = library_plugin(stub("two-chips"), tool=tool)
    before = [card.uuid for card in plugin.list_accelerators()]
    (tmp_path / "scenario.txt").write_text("cndevGetDeviceCount = 7\n")

    after = plugin.list_accelerators()

    # The table shows four chips, two of them at the addresses that the library named before.
    assert [card.uuid for card in after][:2] == before
    assert after[2].uuid == "cambricon-0000:8a:00.0"


@pytest.mark.peer
def test_the_library_is_taken_again_when_it_answers_again(stub, own_table, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    plugin = library_plugin(stub("two-chips"), tool=CountingTool(own_table("release-5-x8")))
    scenario = tmp_path / "scenario.txt"
    good = scenario.read_text()
    sources = []
    for text in ("cndevGetDeviceCount = 7\n", "cndevGetDeviceCount = 7\n", good):
        scenario.write_text(text)
        sources.append(plugin.list_accelerators()[0].source)

    assert sources == ["cnmon", "cnmon", "cndev"]
    # Each change of the source is a line, and no pass besides.
    assert [record.message.split()[1] for record in caplog.records] == [
        "source=cnmon",
        "source=cndev",
    ]


def test_source_library_never_runs_the_tool(own_table):
    tool = CountingTool(own_table("release-5-x8"))
    plugin = CambriconPlugin(CambriconConfig(source="library"), calls=NO_LIBRARY, tool=tool)

    with pytest.raises(NotPresent):
        plugin.probe()
    with pytest.raises(ReadingUnavailable):
        plugin.read()
    assert tool.runs == 0


@pytest.mark.peer
def test_source_tool_never_loads_the_library(stub, printed, own_table):
    library = stub("crash = cndevInit\n")
    plugin = CambriconPlugin(
        CambriconConfig(source="tool", library=library), tool=printed(own_table("release-5-x8"))
    )

    plugin.probe()

    assert len(plugin.list_accelerators()) == 4


def test_neither_library_nor_tool_is_absence_with_a_hint():
    with pytest.raises(NotPresent) as refused:
        tool_plugin(NO_TOOL).probe()

    assert refused.value.hint


@pytest.mark.peer
@pytest.mark.parametrize(
    ("scenario", "word"),
    [("cndevInit = 1\n", "modprobe"), ("cndevInit = 12\n", "lspci"), ("cards = 0\n", "lspci")],
)
def test_no_driver_and_no_card_are_absence_with_a_hint(stub, scenario, word):
    plugin = library_plugin(stub(scenario))

    with pytest.raises(NotPresent) as refused:
        plugin.probe()

    assert word in refused.value.hint


@pytest.mark.peer
def test_a_permission_that_lacks_is_a_fault_with_a_hint(stub):
    plugin = library_plugin(stub("cndevInit = 13\n"))
    plugin.probe()

    with pytest.raises(ReadingUnavailable) as refused:
        plugin.read()

    assert "does not allow" in refused.value.reason
    assert "/dev/cambricon_ctl" in refused.value.hint


@pytest.mark.parametrize(
    ("text", "word", "hint"),
    [
        ("Error: MLU driver is not loaded", "not loaded", "modprobe"),
        ("open /dev/cambricon_ctl: Permission denied", "not allow", "cambricon_ctl"),
        ("No MLU device found", "finds no card", "lspci"),
        ("driver version 4 does not match", "too old", "reboot"),
        ("Segmentation fault", "Segmentation fault", "by hand"),
        ("", "nothing", "by hand"),
    ],
)
def test_what_the_tool_says_in_place_of_a_table_becomes_a_reason(printed, text, word, hint):
    plugin = tool_plugin(printed(text, exit_status=1))

    with pytest.raises(ReadingUnavailable) as refused:
        plugin.list_accelerators()

    assert word in refused.value.reason
    assert hint in refused.value.hint


@pytest.mark.peer
def test_a_lost_card_keeps_its_identity_and_costs_only_itself(stub, tmp_path):
    plugin = library_plugin(stub("two-chips"))
    before = plugin.list_accelerators()
    scenario = tmp_path / "scenario.txt"
    scenario.write_text(
        scenario.read_text().replace("[card]", "[card]\ncndevGetDeviceHandleByIndex = 18", 1)
    )

    after = plugin.list_accelerators()
    lost, other = plugin.read()

    assert list(after) == list(before)
    assert lost.health is Health.CRITICAL
    assert lost.memory_used_bytes is None
    assert "in problem" in lost.unknown["temperature_celsius"]
    assert other.temperature_celsius == 41
    # The card's power is still told once, now by the chip that answers.
    assert other.power_watts == 112


@pytest.mark.peer
def test_a_sick_card_is_not_taken_for_one_that_moved_up(stub, tmp_path):
    plugin = library_plugin(stub("two-chips"))
    plugin.list_accelerators()
    scenario = tmp_path / "scenario.txt"
    text = scenario.read_text()
    second = text[text.rindex("[card]") :]
    scenario.write_text(f"{second}\n[card]\ncndevGetDeviceHandleByIndex = 18\n")

    moved, sick = plugin.list_accelerators()

    assert moved.uuid == X8[1]
    assert sick.uuid == "cambricon-card1"
    assert sick.unknown["product_name"]


@pytest.mark.peer
def test_cards_that_come_and_go_are_noticed(stub, tmp_path):
    plugin = library_plugin(stub("two-chips"))
    scenario = tmp_path / "scenario.txt"
    both = scenario.read_text()
    counts = []
    for text in (both, both[both.rindex("[card]") :], both):
        scenario.write_text(text)
        counts.append([card.uuid for card in plugin.list_accelerators()])

    assert counts == [list(X8), [X8[1]], list(X8)]


@pytest.mark.peer
def test_sentinels_of_the_library_are_unknown(stub):
    plugin = library_plugin(stub("sentinels", kind="current"))
    (card,) = plugin.list_accelerators()
    (reading,) = plugin.read()

    assert card.uuid == "cambricon-0000:11:00.0"
    assert card.memory_total_bytes is None
    assert reading.power_watts is None
    assert reading.temperature_celsius is None
    assert reading.utilization_ratio is None
    assert reading.memory_used_bytes is None
    assert reading.health is Health.UNKNOWN


@pytest.mark.peer
def test_eight_modules_are_eight_cards(stub):
    plugin = library_plugin(stub("eight-modules"))

    cards = plugin.list_accelerators()
    readings = plugin.read()

    assert len({card.card for card in cards}) == 8
    assert {card.chips_on_card for card in cards} == {1}
    assert [reading.power_watts for reading in readings] == [120 + index for index in range(8)]


@pytest.mark.peer
def test_a_change_of_health_is_one_line(stub, caplog):
    plugin = library_plugin(stub("sick"))

    plugin.read()
    plugin.read()

    lines = [record.message for record in caplog.records if "health=" in record.message]
    assert len(lines) == 2
    assert "temperature too high" in lines[1]


NODES = {
    "/dev/cambricon_ctl",
    "/dev/cambricon_dev0",
    "/dev/cambricon_dev1",
    "/dev/cambricon_ipcm0",
    "/dev/cambricon_ipcm1",
    "/dev/cambricon-caps/cap_dev0_mi1",
    "/usr/bin/cnmon",
}


@pytest.mark.peer
def test_a_grant_names_the_nodes_that_exist(stub):
    plugin = library_plugin(stub("two-chips"), exists=NODES.__contains__)

    assert plugin.grant([X8[1]]) == ContainerGrant(
        devices=("/dev/cambricon_ctl", "/dev/cambricon_dev1", "/dev/cambricon_ipcm1"),
        mounts=(("/usr/bin/cnmon", "/usr/bin/cnmon"),),
        environment={"CAMBRICON_VISIBLE_DEVICES": "1"},
    )
    assert plugin.grant(X8).environment == {"CAMBRICON_VISIBLE_DEVICES": "0,1"}
    assert plugin.grant([]) == ContainerGrant()


@pytest.mark.peer
def test_a_grant_of_an_instance_gives_its_node_and_not_the_whole_card(stub):
    plugin = library_plugin(stub("mim"), exists=NODES.__contains__)

    grant = plugin.grant(["MLU-01012001-1915-0000-0000-00000000b101"])

    assert grant.devices == (
        "/dev/cambricon_ctl",
        "/dev/cambricon_dev0",
        "/dev/cambricon_ipcm0",
        "/dev/cambricon-caps/cap_dev0_mi1",
    )
    assert grant.environment == {
        "VIRTUAL_DEVICES": (
            "/dev/cambricon_dev0,/dev/cambricon_ipcm0,/dev/cambricon-caps/cap_dev0_mi1"
        )
    }


@pytest.mark.peer
def test_a_grant_without_the_chips_own_node_is_refused(stub):
    plugin = library_plugin(stub("two-chips"), exists={"/dev/cambricon_ctl"}.__contains__)

    with pytest.raises(ReadingUnavailable, match="cambricon_dev0"):
        plugin.grant([X8[0]])
    with pytest.raises(ReadingUnavailable, match="no Cambricon chip"):
        plugin.grant(["MLU-nobody"])
