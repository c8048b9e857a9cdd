"""Finer questions: one a pass, in turn, and no old value for a new one."""

from __future__ import annotations

import pytest

from agent.errors import ReadingUnavailable
from collectors.accelerators.ascend import npu_smi
from collectors.accelerators.ascend.facts import Missing
from collectors.accelerators.ascend.npu_smi import NpuSmi
from collectors.accelerators.ascend.plugin import AscendConfig, AscendPlugin

INTERVAL_SECONDS = 15.0
FIRST = ("info", "-t", "common", "-i", "0")
SECOND = ("info", "-t", "common", "-i", "32768")


class Passes:
    """Makes passes over a tool, by a clock that is moved by hand."""

    def __init__(self, tool):
        self.now = 1000.0
        self.tool = tool
        self.smi = NpuSmi(tool, monotonic=lambda: self.now)
        self.smi.chips()  # what chips these are is asked here

    def one(self, *, after=INTERVAL_SECONDS):
        """Return the chips of a pass, and what was asked besides the table."""
        self.now += after
        before = len(self.tool.runs)
        chips = self.smi.chips()
        assert self.tool.runs[before] == npu_smi.INFO
        return chips, self.tool.runs[before + 1 :]

    def asked(self, count):
        return [run for _ in range(count) for run in self.one()[1]]


@pytest.fixture
def duo(table, fake_tool):
    """Return a tool of two cards with two chips, which knows all."""
    return fake_tool(
        {
            npu_smi.INFO: table("duo"),
            FIRST: table("common-duo"),
            SECOND: table("common-duo-second"),
        }
    )


def powers(chips):
    return [None if isinstance(c.power_watts, Missing) else c.power_watts for c in chips]


def test_a_pass_asks_one_finer_question_and_the_cards_take_turns(duo):
    passes = Passes(duo)

    first, asked = passes.one()
    assert (powers(first), asked) == ([51.7, None, None, None], [FIRST])
    second, asked = passes.one()
    assert (powers(second), asked) == ([51.7, None, 52.8, None], [SECOND])
    assert passes.asked(4) == [FIRST, SECOND] * 2


def test_what_the_table_gives_is_not_taken_from_elsewhere(duo):
    chips, _ = Passes(duo).one()

    assert [chip.temperature_celsius for chip in chips] == [41.0, 42.0, 43.0, 44.0]


def test_a_new_value_takes_the_place_of_the_old_one(duo, table):
    passes = Passes(duo)
    passes.one()
    duo.answers = {**duo.answers, FIRST: table("common-duo").replace("51.7", "60.0")}

    passes.one()
    chips, _ = passes.one()

    assert powers(chips)[0] == 60.0


def test_an_old_value_is_no_value(duo):
    passes = Passes(duo)
    passes.one()
    duo.answers = {npu_smi.INFO: duo.answers[npu_smi.INFO]}

    assert powers(passes.one(after=59.0)[0])[0] == 51.7
    chips, _ = passes.one(after=122.0)

    assert powers(chips) == [None] * 4
    assert chips[0].power_watts == Missing("too old: npu-smi info -t common -i 0 gave it 181 s ago")


def test_a_young_value_is_shown_while_nothing_else_answers(duo):
    passes = Passes(duo)
    passes.one()
    duo.answers = {npu_smi.INFO: duo.answers[npu_smi.INFO]}

    for _ in range(12):
        chips, _ = passes.one(after=5.0)
        assert powers(chips)[0] == 51.7
    chips, _ = passes.one(after=1.0)

    assert powers(chips)[0] is None


def test_many_cards_keep_their_values_until_their_turn_comes_again(table, fake_tool):
    cards = 8
    rows = table("duo").splitlines()
    lines = rows[:6]
    answers = {}
    for card in range(cards):
        lines += [
            rows[6].replace("| 0  ", f"| {card}  "),
            rows[7].replace("05:00", f"{card + 16}:00"),
            rows[11],
        ]
        answers["info", "-t", "common", "-i", str(card)] = table("common-910").replace(
            "ID                         : 0\n\tChip Count", f"ID : {card}\n\tChip Count"
        )
    tool = fake_tool({npu_smi.INFO: "\n".join(lines) + "\n", **answers})
    passes = Passes(tool)

    assert len(passes.asked(cards)) == cards
    for _ in range(2 * cards):
        chips, asked = passes.one(after=20.0)
        assert len(asked) == 1
        assert powers(chips) == [71.5] * cards


def test_what_the_tool_refuses_is_asked_once_for_a_set_of_chips(duo, table):
    refusal = "Error parameter of -t\nUsage: npu-smi info <watch|proc|-h>\n"
    duo.answers = {
        npu_smi.INFO: table("duo"),
        FIRST: refusal,
        SECOND: table("duo"),
        ("info", "-t", "power", "-i", "0"): "This device does not support querying power.\n",
        ("info", "-t", "power", "-i", "32768"): "",
    }
    passes = Passes(duo)

    asked = passes.asked(8)
    assert sorted(asked) == sorted(set(duo.answers) - {npu_smi.INFO})
    assert passes.one(after=3600.0)[1] == []
    assert powers(passes.one()[0]) == [None] * 4
    # Other chips, other answers.
    duo.answers = {**duo.answers, npu_smi.INFO: table("duo").replace("05:00", "06:00")}
    passes.one()
    assert len(passes.asked(2)) == 2


@pytest.mark.parametrize(
    "answer",
    [
        ReadingUnavailable("npu-smi did not answer within 10 s"),
        "dcmi get info failed. ret is -8012\n",
    ],
)
def test_a_question_that_fails_rests(answer, duo):
    duo.answers = {**duo.answers, FIRST: answer}
    passes = Passes(duo)

    assert passes.one()[1] == [FIRST]
    for _ in range(10):
        assert FIRST not in passes.one()[1]
    passes.now += 600.0
    assert FIRST in passes.asked(3)


def test_an_answer_without_the_value_rests(duo, table):
    without = table("common-duo").replace("51.7", "NA")
    duo.answers = {**duo.answers, FIRST: without, SECOND: without}
    passes = Passes(duo)

    assert passes.asked(10).count(FIRST) == 1


def test_a_slow_table_leaves_no_time_for_more(duo):
    passes = Passes(duo)
    answer = duo.run

    def slow(*words):
        if words == npu_smi.INFO:
            passes.now += 4.5
        return answer(*words)

    duo.run = slow
    assert passes.asked(3) == []


def test_the_power_of_one_die_is_never_sought_elsewhere(table, fake_tool):
    passes = Passes(fake_tool({npu_smi.INFO: table("two-dies")}))

    assert passes.asked(3) == []


def test_gaps_of_all_kinds_are_filled(table, fake_tool):
    text = table("910b-26").replace("| 90.5 ", "| NA   ")
    head, rest = text.split("| OK", 1)
    health = ("info", "-t", "health", "-i", "0", "-c", "0")
    tool = fake_tool({npu_smi.INFO: head + "| NA" + rest, health: table("health-alarm")})
    passes = Passes(tool)

    chips = [passes.one()[0] for _ in range(4)][-1]

    assert chips[0].health == "Alarm"
    assert chips[1].health == "OK"


def test_a_chip_that_is_not_numbered_is_asked_for_without_a_number(table, fake_tool):
    text = table("950").replace(
        "| OK            | 200.4       50 ", "| -             | NA          NA "
    )
    text = text.replace("4439  / 86016", "NA    / NA   ")
    tool = fake_tool(
        {
            npu_smi.INFO: text,
            ("info", "-t", "health", "-i", "0", "-c", "0"): "Error parameter of -c\n",
            ("info", "-t", "health", "-i", "0"): "NPU ID : 0\nHealth : Warning\nError Code : NA\n",
            ("info", "-t", "power", "-i", "0"): table("power-950"),
            ("info", "-t", "temp", "-i", "0"): table("temp-950"),
            ("info", "-t", "usages", "-i", "0"): table("usages-950"),
        }
    )
    passes = Passes(tool)

    first, second = [passes.one(after=5.0)[0] for _ in range(8)][-1]

    assert (first.health, first.power_watts, first.temperature_celsius) == ("Warning", 201.5, 54.0)
    assert (first.memory.used_mib, first.memory.total_mib) == (43008.0, 86016.0)
    # The table gives it.
    assert first.utilization_percent == 8.0
    assert second.power_watts == 201.4


def test_a_plugin_shows_the_power_of_a_card_at_its_first_chip(duo, tool_plugin):
    plugin = tool_plugin(duo)

    plugin.read()
    plugin.read()
    readings = plugin.read()

    assert [reading.power_watts for reading in readings] == [51.7, None, 52.8, None]
    assert "whole card" in readings[1].unknown["power_watts"]


def test_a_recording_has_the_finer_answers_and_shows_them_at_once(duo, tool_plugin):
    files = tool_plugin(duo).record()

    replayed = AscendPlugin.replay(AscendConfig(), files)

    assert [reading.power_watts for reading in replayed.read()] == [51.7, None, 52.8, None]
