"""Asks a vendor's tool once for all cards, in the best form that it knows.

A vendor's plugin says which forms there are and how each is read; running, choosing, keeping one
pass for the list and the reading that belong together, and recording are here. What comes out is
`CardFacts`; nothing here knows a vendor.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.errors import NotPresent, PermanentError, ReadingUnavailable
from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading
from collectors.accelerators import cards
from collectors.accelerators.cards import CardFacts
from collectors.accelerators.recording import Recording
from collectors.accelerators.vendor_tool import LiveTool, RecordingTool, Tool, ToolAnswer

# A driver's upgrade, or one bad answer, must not keep a plugin at its second choice for ever.
_PASSES_UNTIL_THE_BEST_FORM_AGAIN = 40
_SHOWN_CHARACTERS = 160

# What tools say when they have no card to show, and what to do about it; the first that is found.
_HINTS = (
    (
        ("permission denied", "operation not permitted"),
        "run the agent as root, or give its user the group of the vendor's device nodes",
    ),
    (
        ("driver", "module", "not loaded", "not initialized"),
        "load the vendor's driver; if that fails, read `dmesg`",
    ),
    (
        ("no device", "no gpu", "no amd gpu", "not found"),
        "see `lspci`; in a container, hand the cards to it",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Is one way to ask a tool: the words behind its name, and how its text is read.

    `read` returns the cards that it is sure of; () where the text is not of this form.
    """

    words: tuple[str, ...]
    read: Callable[[str], Sequence[CardFacts]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPass:
    """Is one pass over all cards, and what gave it."""

    source: str
    cards: tuple[CardFacts, ...]


class ToolForms:
    """Asks one tool; the first of its forms that works is kept."""

    def __init__(self, tool: Tool, forms: Sequence[Form]) -> None:
        self._tool = tool
        self._forms = tuple(forms)
        self._working = 0
        self._passes = 0

    @property
    def program(self) -> str:
        """Return the name of the program."""
        return self._tool.program

    def find(self) -> None:
        """Return if the tool is there; raises NotPresent if not."""
        self._tool.find()

    def ask(self) -> CardPass:
        """Return the cards.

        Raises:
            ReadingUnavailable: no form gave any; says what the first that was asked answered.
        """
        self._passes += 1
        if self._passes % _PASSES_UNTIL_THE_BEST_FORM_AGAIN == 0:
            self._working = 0
        failure: ReadingUnavailable | None = None
        order = range(self._working, self._working + len(self._forms))
        for number in (each % len(self._forms) for each in order):
            form = self._forms[number]
            try:
                found = self._read(form, self._tool.run(*form.words))
            except ReadingUnavailable as error:
                failure = failure or error
                continue
            self._working = number
            return CardPass(source=self._tool.program, cards=cards.by_index(found))
        raise failure or ReadingUnavailable(f"{self._tool.program} has no form to be asked in")

    def record(self) -> Recording:
        """Return what the tool answers to every form.

        Raises:
            ReadingUnavailable: it answered none.
        """
        tool = RecordingTool(self._tool)
        failure: ReadingUnavailable | None = None
        for form in self._forms:
            try:
                tool.run(*form.words)
            except ReadingUnavailable as error:
                failure = error
        if failure is not None and not tool.answers:
            raise failure
        return Recording(tools={self._tool.program: tool.answers})

    def _read(self, form: Form, answer: ToolAnswer) -> Sequence[CardFacts]:
        found = form.read(answer.text)
        if not found:
            raise no_cards((self._tool.program, *form.words), answer)
        return found


class PassKeeper:
    """Lets a reading use the pass of the list before it, and puts both into the model."""

    def __init__(self, *, vendor: str, kind: AcceleratorKind, ask: Callable[[], CardPass]) -> None:
        self._vendor = vendor
        self._kind = kind
        self._ask = ask
        self._kept: CardPass | None = None

    def list_accelerators(self) -> list[Accelerator]:
        """Make a pass and return its cards; raises ReadingUnavailable as the pass does."""
        self._kept = None
        self._kept = self._ask()
        return [
            cards.accelerator(
                card, uuid=uuid, vendor=self._vendor, kind=self._kind, source=self._kept.source
            )
            for uuid, card in self._identified(self._kept)
        ]

    def read(self) -> list[AcceleratorReading]:
        """Return the readings of the pass that the list made, or of a new one."""
        made, self._kept = self._kept or self._ask(), None
        return [cards.reading(card, uuid=uuid) for uuid, card in self._identified(made)]

    def cards_of(self, uuids: Sequence[str]) -> list[CardFacts]:
        """Return these cards, in the order asked for.

        Raises:
            ReadingUnavailable: one of them is not there, or the pass failed.
        """
        if not uuids:
            return []
        found = dict(self._identified(self._kept or self._ask()))
        lost = [uuid for uuid in uuids if uuid not in found]
        if lost:
            raise ReadingUnavailable(f"no such card: {', '.join(lost)}")
        return [found[uuid] for uuid in uuids]

    def _identified(self, made: CardPass) -> list[tuple[str, CardFacts]]:
        return list(zip(cards.identities(made.cards, vendor=self._vendor), made.cards, strict=True))


def live_tool(program: str, *, folders: Sequence[str] = (), deadline_seconds: float) -> LiveTool:
    """Return the program that PATH finds, or else the one in a folder of the vendor's.

    Vendors put their folders on the PATH of a login shell, which a service does not have.
    """
    if "/" not in program and shutil.which(program) is None:
        for folder in folders:
            if os.access(f"{folder}/{program}", os.X_OK):
                return LiveTool(f"{folder}/{program}", deadline_seconds=deadline_seconds)
    return LiveTool(program, deadline_seconds=deadline_seconds)


def only_tool(recording: Recording, *programs: str) -> str:
    """Return which of these programs was recorded.

    Raises:
        PermanentError: none was: the recording is of another plugin.
    """
    for program in programs:
        if recording.tools.get(program):
            return program
    raise PermanentError(f"the recording holds nothing of {' or '.join(programs)}")


def no_cards(command: Sequence[str], answer: ToolAnswer) -> ReadingUnavailable:
    """Return the error for an answer without a card, in the tool's own words."""
    shown = " ".join(command)
    said = next((line.strip() for line in answer.text.split("\n") if _says(line)), "")
    text = answer.text.casefold()
    for words, hint in _HINTS:
        if any(word in text for word in words) and said:
            return ReadingUnavailable(
                f"{shown} shows no card: {said[:_SHOWN_CHARACTERS]}", hint=hint
            )
    status = f" (exit status {answer.exit_status})" if answer.exit_status else ""
    return ReadingUnavailable(
        f"{shown} shows no card{status}: {said[:_SHOWN_CHARACTERS] or 'it printed nothing'}",
        hint=f"run it by hand; if it shows cards there, send what `computility-agent record` "
        f"makes of {command[0]}",
    )


def absent_without(tool: Tool, *, maker: str) -> NotPresent:
    """Return the error for a tool that is not there."""
    return NotPresent(
        f"{tool.program} is not on this machine",
        hint=f"if {maker} cards are in it, install their driver and put {tool.program} on PATH",
    )


def _says(line: str) -> bool:
    return any(character.isalpha() for character in line)
