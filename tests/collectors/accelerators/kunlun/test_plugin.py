"""Which source is asked, what is said where there is none, grants and recordings."""

from __future__ import annotations

import json

import pytest

from agent.errors import NotPresent, PermanentError, ReadingUnavailable
from agent.model.accelerator import ContainerGrant, Health
from collectors.accelerators.kunlun.driver import Driver, RecordedDriver
from collectors.accelerators.kunlun.plugin import KunlunConfig, KunlunPlugin
from collectors.accelerators.kunlun.xpuml import RecordedXpuml, RecordingXpuml
from collectors.accelerators.recording import Recording
from collectors.accelerators.vendor_tool import ToolAnswer

NO_LIBRARY = RecordedXpuml({})


class CountingTool:
    """Prints a text for each command and counts the runs."""

    def __init__(self, answers, *, program="xpu_smi", is_here=True):
        self.program = program
        self.answers = answers
        self.is_here = is_here
        self.runs = []

    def find(self):
        if not self.is_here:
            raise NotPresent(f"{self.program} is not on this machine")

    def run(self, *words):
        self.runs.append(words)
        text = self.answers.get(words, "unknown option\n")
        if isinstance(text, Exception):
            raise text
        return ToolAnswer(text=text, exit_status=0)


def answer(value, code=0):
    return {"code": code, "value": value}


def one_card(version="4.33.0", **calls):
    """Return a library with one card of R200."""
    return RecordedXpuml(
        {
            "xpumlInit()": answer(None),
            "xpumlSystemGetDriverVersion()": answer(version),
            "xpumlDeviceGetCount()": answer(1),
            "xpumlDeviceGetHandleByIndex(0)": answer(None),
            "xpumlDeviceGetPciInfo(0)": answer({"bus_id": "00000000:02:00.0"}),
            "xpumlDeviceGetAttributes(0)": answer({"architecture": 2, "model": 2}),
            "xpumlDeviceGetSerial(0)": answer("03K01Z9911A00042"),
            **calls,
        }
    )


def bus(root, *vendors):
    for number, vendor in enumerate(vendors):
        device = root / f"sys/bus/pci/devices/0000:0{number}:00.0"
        device.mkdir(parents=True)
        (device / "vendor").write_text(f"{vendor}\n")
    (root / "sys/bus/pci/devices").mkdir(parents=True, exist_ok=True)
    return Driver(root)


def build(tools=(), *, library=NO_LIBRARY, driver=None, **config):
    return KunlunPlugin(
        KunlunConfig(**config),
        tools=list(tools),
        library=library,
        driver=driver or RecordedDriver({}),
    )


def test_a_round_of_list_and_read_runs_the_tool_once(table):
    tool = CountingTool({(): table("devices-mix")})
    plugin = build([tool])
    for _ in range(2):
        plugin.list_accelerators()
        plugin.read()

    assert tool.runs == [(), ()]


def test_a_reading_without_a_list_is_a_pass_of_its_own(table):
    tool = CountingTool({(): table("devices-mix")})
    plugin = build([tool])
    plugin.list_accelerators()
    plugin.read()
    plugin.read()

    assert tool.runs == [(), ()]


def test_uuids_of_xre_5_are_asked_for_once(table):
    tool = CountingTool({(): table("grid-p800-x3"), ("-q",): table("long-p800-x2")})
    plugin = build([tool])
    for _ in range(3):
        uuids = [card.uuid for card in plugin.list_accelerators()]

    assert tool.runs == [(), ("-q",), (), ()]
    assert uuids[0] == "GPU-11111111-aaaa-5aaa-8aaa-0123456789ab"


def test_a_card_keeps_its_name_when_the_long_form_fails_at_first(table):
    hangs = ReadingUnavailable("xpu_smi -q did not answer within 10 s")
    tool = CountingTool({(): table("grid-p800-x3"), ("-q",): hangs})
    plugin = build([tool])
    before = [card.uuid for card in plugin.list_accelerators()]
    tool.answers[("-q",)] = table("long-p800-x2")

    assert [card.uuid for card in plugin.list_accelerators()] == before


def test_the_library_is_preferred(table):
    tool = CountingTool({(): table("devices-mix")})
    cards = build([tool], library=one_card()).list_accelerators()

    assert [(card.source, card.product_name) for card in cards] == [("xpuml", "R200")]
    assert tool.runs == []


def test_a_library_that_fails_gives_way_to_the_tool_in_the_same_pass(table, caplog):
    tool = CountingTool({(): table("devices-mix")})
    plugin = build([tool], library=RecordedXpuml({"xpumlInit()": answer(None, code=9)}))
    for _ in range(3):
        assert len(plugin.list_accelerators()) == 3
        plugin.read()

    assert plugin.list_accelerators()[0].source == "xpu_smi"
    assert [record.getMessage() for record in caplog.records] == [
        "kunlun source=tool because=Kunlunxin's driver is not loaded"
    ]


def test_no_device_is_asked_of_a_newer_library_where_there_is_a_tool(table):
    library = RecordingXpuml(one_card(version="5.11.0.2"))
    tool = CountingTool({(): table("grid-p800-x3")}, program="xpu-smi")
    plugin = build([tool], library=library)

    assert plugin.list_accelerators()[0].source == "xpu-smi"
    assert list(library.answers) == [
        "xpumlInit()",
        "xpumlSystemGetDriverVersion()",
        "xpumlShutdown()",
    ]
    library.answers.clear()
    plugin.list_accelerators()
    assert library.answers == {}


def test_a_newer_library_is_asked_where_there_is_no_tool():
    library = one_card(version="5.11.0.2")

    assert build([], library=library).list_accelerators()[0].source == "xpuml"


def test_a_library_without_a_card_says_so():
    library = one_card(**{"xpumlDeviceGetCount()": answer(0)})

    with pytest.raises(ReadingUnavailable, match="libxpuml lists no card"):
        build([], library=library).list_accelerators()


@pytest.mark.parametrize(("source", "expected"), [("library", "xpuml"), ("tool", "xpu_smi")])
def test_a_source_can_be_chosen(source, expected, table):
    tool = CountingTool({(): table("devices-mix")})
    plugin = build([tool], library=one_card(), source=source)

    assert plugin.list_accelerators()[0].source == expected


def test_when_both_fail_both_reasons_are_said():
    library = RecordedXpuml({"xpumlInit()": answer(None, code=9)})
    tool = CountingTool({(): "open /dev/xpuctrl: Permission denied\n"})

    with pytest.raises(ReadingUnavailable) as caught:
        build([tool], library=library).list_accelerators()
    assert "driver is not loaded" in caught.value.reason
    assert "does not allow" in caught.value.reason


def test_the_other_spelling_is_tried(table):
    tools = [
        CountingTool({}, program="xpu-smi", is_here=False),
        CountingTool({(): table("devices-mix")}, program="xpu_smi"),
    ]

    assert build(tools).list_accelerators()[0].source == "xpu_smi"


def test_a_tool_that_hangs_is_not_asked_in_other_ways():
    hangs = ReadingUnavailable("xpu-smi did not answer within 10 s", hint="look at dmesg")
    tools = [CountingTool({(): hangs}, program=name) for name in ("xpu-smi", "xpu_smi")]

    with pytest.raises(ReadingUnavailable, match="did not answer") as caught:
        build(tools).list_accelerators()
    assert caught.value.hint == "look at dmesg"
    assert [tool.runs for tool in tools] == [[()], []]


def test_cards_that_come_and_go_are_noticed(table):
    text = table("devices-mix")
    tool = CountingTool({(): text})
    plugin = build([tool])
    assert len(plugin.list_accelerators()) == 3

    tool.answers[()] = "".join(line for line in text.splitlines(True) if "K100" not in line)
    assert [card.product_name for card in plugin.list_accelerators()] == ["R200", "RG800"]
    tool.answers[()] = text
    assert len(plugin.list_accelerators()) == 3


def test_intels_tool_is_recognised_by_its_text(table, tmp_path):
    plugin = build(
        [CountingTool({(): table("intel")}, program="xpu-smi")], driver=bus(tmp_path, "0x8086")
    )

    with pytest.raises(NotPresent, match="Intel's tool") as caught:
        plugin.probe()
    assert "no Kunlunxin card is on the PCI bus" in caught.value.reason
    assert "accelerators.kunlun.tool" in caught.value.hint


def test_kunlunxins_tool_is_found_beside_intels(table):
    tools = [
        CountingTool({(): table("intel")}, program="xpu-smi"),
        CountingTool({(): table("devices-mix")}, program="xpu_smi"),
    ]

    assert build(tools).list_accelerators()[0].source == "xpu_smi"


def test_what_kunlunxins_tool_says_counts_more_than_intels(table):
    tools = [
        CountingTool({(): table("intel")}, program="xpu-smi"),
        CountingTool({(): "kunlun driver is not loaded\n"}, program="xpu_smi"),
    ]

    with pytest.raises(ReadingUnavailable, match="driver is not loaded"):
        build(tools).list_accelerators()


@pytest.mark.parametrize("vendor", ["0x1d22", "0x2057"])
def test_a_card_on_the_bus_is_enough_for_the_probe(vendor, tmp_path, table):
    tool = CountingTool({(): table("devices-mix")})
    build([tool], driver=bus(tmp_path, "0x10de", vendor)).probe()

    assert tool.runs == []


def test_without_a_card_on_the_bus_the_probe_asks_the_tool(tmp_path, table):
    tool = CountingTool({(): table("devices-mix")})
    build([tool], driver=bus(tmp_path, "0x10de")).probe()

    assert tool.runs == [()]


def test_a_machine_without_library_and_tool_has_no_such_cards(tmp_path):
    tool = CountingTool({}, is_here=False)
    with pytest.raises(NotPresent) as caught:
        build([tool], driver=bus(tmp_path / "a", "0x8086")).probe()
    assert caught.value.hint.startswith("if Kunlunxin cards are in it, install")
    with pytest.raises(NotPresent) as caught:
        build([tool], driver=bus(tmp_path / "b", "0x1d22")).probe()
    assert caught.value.hint.startswith("install Kunlunxin's XRE")


def test_the_drivers_state_stands_in_where_the_source_has_none(tmp_path, table):
    for number, word in enumerate(["NORMAL\n", "ERROR\n"]):
        state = tmp_path / f"proc/xpu/dev{number}/state"
        state.parent.mkdir(parents=True)
        state.write_text(word)
    tool = CountingTool({(): table("devices-k200-short")})
    plugin = build([tool], driver=Driver(tmp_path))

    assert [reading.health for reading in plugin.read()] == [
        Health.OK,
        Health.CRITICAL,
        Health.UNKNOWN,
    ]


@pytest.mark.parametrize(("code", "health"), [(3, Health.OK), (13, Health.OK), (999, "unknown")])
def test_the_drivers_state_does_not_excuse_a_call_that_failed(code, health, tmp_path):
    state = tmp_path / "proc/xpu/dev0/state"
    state.parent.mkdir(parents=True)
    state.write_text("RUNNING\n")
    library = one_card(**{"xpumlDeviceGetState(0)": answer(None, code=code)})

    assert build(library=library, driver=Driver(tmp_path)).read()[0].health == health


def test_recording_a_tool_that_hangs_runs_it_once():
    hangs = ReadingUnavailable("xpu_smi did not answer within 7 s")
    tool = CountingTool({(): hangs})
    with pytest.raises(ReadingUnavailable):
        build([tool]).record()

    assert tool.runs == [()]


@pytest.fixture
def machine(tmp_path):
    """Return the root of a machine with nodes and files."""
    for path in ("dev/xpu0", "dev/xpu2", "dev/xpuctrl", "usr/local/bin/xpu-smi"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    return tmp_path


def test_a_grant_holds_the_nodes_of_its_chips_and_the_driver(machine, table):
    plugin = build([CountingTool({(): table("devices-mix")})], driver=Driver(machine))

    assert plugin.grant(["03K07A1124B00003-0", "03K01Z9911A00042-0"]) == ContainerGrant(
        devices=("/dev/xpu2", "/dev/xpu0", "/dev/xpuctrl"),
        mounts=(("/usr/local/bin/xpu-smi", "/usr/local/bin/xpu-smi"),),
        environment={"XPU_VISIBLE_DEVICES": "2,0", "CXPU_VISIBLE_DEVICES": "2,0"},
    )


def test_nothing_is_granted_for_nothing():
    assert build().grant([]) == ContainerGrant()


def test_a_grant_names_what_is_missing(machine, table):
    plugin = build([CountingTool({(): table("devices-mix")})], driver=Driver(machine))

    with pytest.raises(ReadingUnavailable, match="no Kunlunxin chip has the uuid nobody"):
        plugin.grant(["nobody"])
    with pytest.raises(ReadingUnavailable, match="/dev/xpu1"):
        plugin.grant(["0300000000000c1d-0"])


def test_a_recording_of_the_tool_is_read_as_the_tool_was(tmp_path, table):
    state = tmp_path / "proc/xpu/dev5/state"
    state.parent.mkdir(parents=True)
    state.write_text("RUNNING\n")
    tool = CountingTool(
        {(): table("grid-p800-x3"), ("-q",): table("long-p800-x2")}, program="xpu-smi"
    )
    plugin = build([tool], driver=Driver(tmp_path))
    files = plugin.record()
    replayed = KunlunPlugin.replay(KunlunConfig(), files)

    assert set(tool.runs) == {(), ("-m",), ("-q",)}
    assert replayed.list_accelerators() == plugin.list_accelerators()
    assert replayed.read() == plugin.read()
    assert replayed.read()[2].health is Health.OK
    replayed.probe()
    replayed.close()


def test_a_recording_of_the_library_is_read_as_the_library_was():
    plugin = build(library=one_card(**{"xpumlDeviceGetPowerUsage(0)": answer(133000)}))
    files = plugin.record()
    replayed = KunlunPlugin.replay(KunlunConfig(), json.loads(json.dumps(dict(files))))

    assert replayed.list_accelerators() == plugin.list_accelerators()
    assert replayed.read()[0].power_watts == 133.0


def test_a_recording_of_another_plugin_is_refused():
    files = Recording(tools={"npu-smi": {("info",): ToolAnswer(text="", exit_status=0)}}).to_files()

    with pytest.raises(PermanentError):
        KunlunPlugin.replay(KunlunConfig(), files)


def test_there_is_nothing_to_record_without_a_source():
    with pytest.raises(ReadingUnavailable):
        build([CountingTool({}, is_here=False)]).record()


def test_a_model_number_in_an_empty_structure_is_no_k200():
    library = one_card(**{"xpumlDeviceGetAttributes(0)": answer({"architecture": 0, "model": 0})})

    assert build(library=library).list_accelerators()[0].product_name is None
