"""The package to copy, and the tests to copy with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import NotPresent, PermanentError, ReadingUnavailable
from agent.model.accelerator import ContainerGrant, Health
from collectors.accelerators.blueprint import parse
from collectors.accelerators.blueprint.plugin import AcmeConfig, AcmePlugin
from collectors.accelerators.machine_files import RecordedFiles
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.recording import Recording
from collectors.accelerators.vendor_tool import LiveTool, RecordedTool, ToolAnswer

TABLE = (Path(__file__).parent / "tables/two-cards.txt").read_text()
MEASURED = (
    "memory_total_bytes",
    "memory_used_bytes",
    "utilization_ratio",
    "temperature_celsius",
    "power_watts",
)
MIB = 2**20
FIRST, SECOND = "acme-0000:3b:00.0", "acme-0000:af:00.0"


class CountingTool(RecordedTool):
    """Counts how often it is run."""

    runs = 0

    def run(self, *words):
        self.runs += 1
        return super().run(*words)


def tool_with(text, exit_status=0):
    return CountingTool("acme-smi", {(): ToolAnswer(text=text, exit_status=exit_status)})


def plugin_with(text=TABLE, exit_status=0, nodes=()):
    answers = {f"exists({node})": {"code": 0, "value": True} for node in nodes}
    tool = tool_with(text, exit_status)
    return AcmePlugin(AcmeConfig(), tool=tool, files=RecordedFiles(answers))


def test_every_value_of_the_table_is_read(assert_expected):
    plugin = plugin_with()
    cards = list(zip(plugin.list_accelerators(), plugin.read(), strict=True))
    assert_expected("blueprint", "two-cards", cards)
    assert [card.uuid for card, _ in cards] == [FIRST, SECOND]
    assert cards[1][1].unknown["power_watts"] == "the tool reports an error: ERR!"


def test_a_list_and_its_reading_cost_one_run():
    tool = tool_with(TABLE)
    plugin = AcmePlugin(AcmeConfig(), tool=tool)
    for runs in (1, 2):
        plugin.list_accelerators()
        plugin.read()
        assert tool.runs == runs


@pytest.mark.parametrize(
    ("text", "health"),
    [("OK", Health.OK), ("WARNING", Health.WARNING), ("ALARM", Health.CRITICAL)],
)
def test_health_is_what_the_vendor_says(text, health):
    (card, _) = parse.table_cards(TABLE.replace("OK     ", f"{text:<7}"))
    assert card.health is health


def test_a_word_for_health_that_nobody_knows_is_unknown():
    (card, _) = parse.table_cards(TABLE.replace("OK     ", "FINE   "))
    assert card.health == Unknown(reason="acme-smi says of health: FINE")


def test_the_words_of_a_tool_without_cards_become_the_reason():
    plugin = plugin_with("acme-smi: driver not loaded\n", exit_status=3)
    with pytest.raises(ReadingUnavailable) as refused:
        plugin.list_accelerators()
    assert "driver not loaded" in refused.value.reason
    assert "load the vendor's driver" in (refused.value.hint or "")


def test_without_the_tool_the_cards_are_not_present():
    tool = LiveTool("acme-smi", environment={"PATH": "/nonexistent"})
    with pytest.raises(NotPresent) as absent:
        AcmePlugin(AcmeConfig(), tool=tool).probe()
    assert absent.value.reason == "acme-smi is not on this machine"
    assert "ACME" in (absent.value.hint or "")


def test_a_container_gets_the_nodes_of_its_cards_and_no_other():
    plugin = plugin_with(nodes=("/dev/acme_ctl", "/dev/acme0", "/dev/acme1"))
    assert plugin.grant([SECOND]) == ContainerGrant(devices=("/dev/acme_ctl", "/dev/acme1"))
    assert plugin.grant([]) == ContainerGrant()
    with pytest.raises(ReadingUnavailable, match="no such card: acme-9"):
        plugin.grant(["acme-9"])


def test_a_node_that_is_not_there_is_not_granted():
    with pytest.raises(ReadingUnavailable, match="/dev/acme0 is not on this machine"):
        plugin_with(nodes=("/dev/acme_ctl", "/dev/acme1")).grant([FIRST, SECOND])


def test_a_recording_is_read_as_the_machine_was():
    plugin = plugin_with()
    again = AcmePlugin.replay(AcmeConfig(), plugin.record())
    again.probe()
    assert again.list_accelerators() == plugin.list_accelerators()
    assert again.read() == plugin.read()


def test_the_recording_of_another_vendor_is_refused():
    other = Recording(tools={"npu-smi": {("info",): ToolAnswer(text="", exit_status=0)}})
    with pytest.raises(PermanentError, match="nothing of acme-smi"):
        AcmePlugin.replay(AcmeConfig(), other.to_files())


def assert_nothing_wrong(text):
    """Each value is the right one or unknown with a reason, for the right card or for none."""
    whole = {card.index: card for card in parse.table_cards(TABLE)}
    for card in parse.table_cards(text):
        right = whole[card.index]
        assert card.pci_address in (right.pci_address, None)
        for name in MEASURED:
            value = getattr(card, name)
            assert value == getattr(right, name) or (isinstance(value, Unknown) and value.reason)


@given(st.integers(0, len(TABLE)))
def test_a_table_that_is_cut_off_gives_nothing_wrong(length):
    assert_nothing_wrong(TABLE[:length])


@given(
    st.integers(0, TABLE.count("\n")),
    st.sampled_from(["", "| note: |", "|     |  new value 7 |", "+--+", "loading ...", "| 7 |"]),
)
def test_a_line_that_nobody_knows_is_passed_over(place, line):
    lines = TABLE.split("\n")
    assert_nothing_wrong("\n".join([*lines[:place], line, *lines[place:]]))


@given(st.lists(st.integers(0, 9), min_size=9, max_size=9), st.sampled_from(["", "  ", "\t"]))
def test_columns_of_any_width_are_read(widths, trailing):
    def widen(line):
        filler = "-" if line.startswith("+-") else "=" if line.startswith("+=") else " "
        sign = line[:1]
        cells = line.strip(sign).split(sign)
        return (
            sign
            + sign.join(cell + filler * width for cell, width in zip(cells, widths, strict=False))
            + sign
            + trailing
        )

    text = "\n".join(widen(line) if line else line for line in TABLE.split("\n"))
    assert parse.table_cards(text) == parse.table_cards(TABLE)


@given(st.integers(0, 8), st.sampled_from(["Fan", "Util2", "Memory-Clock"]))
def test_a_column_that_nobody_knows_is_passed_over(place, title):
    def insert(line, cell):
        cells = line.split("|")
        return "|".join([*cells[: place + 1], cell, *cells[place + 1 :]])

    lines = TABLE.split("\n")
    lines[3] = insert(lines[3], f" {title} ")
    lines[5], lines[6] = insert(lines[5], " 77 % "), insert(lines[6], " 88 % ")
    assert parse.table_cards("\n".join(lines)) == parse.table_cards(TABLE)
