"""One pass over all cards is one process, whatever forms a tool knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from agent.errors import NotPresent, PermanentError, ReadingUnavailable
from agent.model.accelerator import AcceleratorKind
from collectors.accelerators import cards, tool_passes
from collectors.accelerators.cards import CardFacts
from collectors.accelerators.recording import Recording
from collectors.accelerators.tool_passes import CardPass, Form, PassKeeper, ToolForms
from collectors.accelerators.vendor_tool import RecordedTool, ToolAnswer


class CountingTool:
    """Answers by words, and keeps what it was asked; a text may be an error."""

    program = "fake-smi"

    def __init__(self, answers: Mapping[tuple[str, ...], str | Exception]) -> None:
        self.answers = dict(answers)
        self.asked: list[tuple[str, ...]] = []

    def find(self) -> None:
        if not self.answers:
            raise NotPresent("fake-smi is not here")

    def run(self, *words: str) -> ToolAnswer:
        self.asked.append(words)
        answer = self.answers.get(words, "usage: fake-smi")
        if isinstance(answer, Exception):
            raise answer
        return ToolAnswer(text=answer, exit_status=0)


def numbers(text: str) -> Sequence[CardFacts]:
    """Read a text of numbers as cards; another text is not understood."""
    words = text.split()
    return [CardFacts(index=int(word)) for word in words] if text[:1].isdigit() else []


def forms(tool: CountingTool) -> ToolForms:
    return ToolForms(tool, (Form(words=("-q",), read=numbers), Form(words=(), read=numbers)))


def test_the_first_form_that_gives_cards_is_kept() -> None:
    tool = CountingTool({(): "0 1"})
    asking = forms(tool)
    assert [card.index for card in asking.ask().cards] == [0, 1]
    asking.ask()
    assert tool.asked == [("-q",), (), ()]


def test_a_form_that_stops_to_work_gives_way_in_the_same_pass() -> None:
    tool = CountingTool({("-q",): "0", (): "0 1"})
    asking = forms(tool)
    assert len(asking.ask().cards) == 1
    tool.answers[("-q",)] = ReadingUnavailable("gone")
    assert len(asking.ask().cards) == 2


def test_the_best_form_is_tried_again_after_a_while() -> None:
    tool = CountingTool({(): "0 1"})
    asking = forms(tool)
    asking.ask()
    tool.answers[("-q",)] = "0 1"
    for _ in range(50):
        asking.ask()
    assert tool.asked[-1] == ("-q",)


def test_no_form_says_what_the_best_one_answered() -> None:
    tool = CountingTool({("-q",): "dmesg says: driver not loaded\n", (): ""})
    with pytest.raises(ReadingUnavailable, match="driver not loaded") as caught:
        forms(tool).ask()
    assert caught.value.hint is not None
    assert "dmesg" in caught.value.hint


def test_a_tool_that_prints_nothing_is_said_to() -> None:
    with pytest.raises(ReadingUnavailable, match="it printed nothing"):
        forms(CountingTool({("-q",): "\n", (): ""})).ask()


def test_a_card_that_is_listed_twice_counts_once() -> None:
    assert len(forms(CountingTool({("-q",): "0 1 0 1"})).ask().cards) == 2


def keeper(tool: CountingTool) -> PassKeeper:
    return PassKeeper(vendor="test", kind=AcceleratorKind.GPU, ask=forms(tool).ask)


def test_a_list_and_the_reading_after_it_share_a_pass() -> None:
    tool = CountingTool({("-q",): "0 1"})
    passes = keeper(tool)
    listed = passes.list_accelerators()
    assert [each.uuid for each in passes.read()] == [each.uuid for each in listed]
    assert len(tool.asked) == 1
    passes.read()
    assert len(tool.asked) == 2
    passes.list_accelerators()
    passes.list_accelerators()
    assert len(tool.asked) == 4


def test_a_failed_list_leaves_no_old_values_behind() -> None:
    tool = CountingTool({("-q",): "0 1"})
    passes = keeper(tool)
    passes.list_accelerators()
    tool.answers = {}
    for call in (passes.list_accelerators, passes.read):
        with pytest.raises(ReadingUnavailable):
            call()


def test_cards_are_given_by_their_identities() -> None:
    passes = keeper(CountingTool({("-q",): "0 1"}))
    assert [card.index for card in passes.cards_of(["test-1", "test-0"])] == [1, 0]
    assert passes.cards_of([]) == []
    with pytest.raises(ReadingUnavailable, match="test-7"):
        passes.cards_of(["test-7"])


def test_an_identity_is_the_best_there_is_and_unique() -> None:
    listed = [
        CardFacts(index=0, uuid="GPU-1", pci_address="0000:01:00.0"),
        CardFacts(index=1, pci_address="0000:02:00.0"),
        CardFacts(index=2),
        CardFacts(index=3, uuid="same"),
        CardFacts(index=4, uuid="same"),
    ]
    assert cards.identities(listed, vendor="v") == [
        "GPU-1",
        "v-0000:02:00.0",
        "v-2",
        "same-3",
        "same-4",
    ]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("00000000:3B:00.0", "0000:3b:00.0"),
        ("01:5e:00.1", "0001:5e:00.1"),
        ("3b:00.0", "0000:3b:00.0"),
        ("000:3b:00.0", "0000:3b:00.0"),
        ("10000:e1:00.0", "10000:e1:00.0"),
        ("N/A", None),
        ("3b:00", None),
        ("3b:00.0 x", None),
    ],
)
def test_a_bus_id_is_written_as_the_kernel_does(text: str, address: str | None) -> None:
    assert cards.pci_address(text) == address


def test_every_form_is_recorded_even_if_one_fails() -> None:
    tool = CountingTool({("-q",): ReadingUnavailable("hangs"), (): "0"})
    recording = forms(tool).record()
    assert recording.tools == {"fake-smi": {(): ToolAnswer(text="0", exit_status=0)}}
    tool.answers[()] = ReadingUnavailable("hangs too")
    with pytest.raises(ReadingUnavailable):
        forms(tool).record()


def test_a_recording_of_another_tool_is_refused() -> None:
    recording = Recording(tools={"x-smi": {(): ToolAnswer(text="", exit_status=0)}})
    assert tool_passes.only_tool(recording, "y-smi", "x-smi") == "x-smi"
    with pytest.raises(PermanentError, match="y-smi"):
        tool_passes.only_tool(recording, "y-smi")


def test_a_tool_is_found_in_its_vendor_s_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("on-path", "vendor"):
        tool = tmp_path / folder / "fake-smi"
        tool.parent.mkdir()
        tool.write_text(f"#!/bin/sh\necho {folder}\n")
        tool.chmod(0o755)

    def answer() -> str:
        made = tool_passes.live_tool(
            "fake-smi", folders=["/nowhere", str(tmp_path / "vendor")], deadline_seconds=5.0
        )
        assert made.program == "fake-smi"
        return made.run().text.strip()

    monkeypatch.setenv("PATH", "/bin:/usr/bin")
    assert answer() == "vendor"
    monkeypatch.setenv("PATH", f"{tmp_path}/on-path:/bin:/usr/bin")
    assert answer() == "on-path", "PATH comes first"


def test_a_recorded_tool_passes_like_a_live_one() -> None:
    answers = {("-q",): ToolAnswer(text="5", exit_status=0)}
    made = ToolForms(RecordedTool("x", answers), (Form(words=("-q",), read=numbers),)).ask()
    assert made == CardPass(source="x", cards=(CardFacts(index=5),))
