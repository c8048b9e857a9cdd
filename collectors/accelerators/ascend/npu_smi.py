"""Asks npu-smi: one process a pass; finer questions when the set of chips has changed, and one
a pass for what the table leaves open.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from agent.errors import ReadingUnavailable
from collectors.accelerators.ascend import explain, facts, listings, table
from collectors.accelerators.ascend.facts import Chip
from collectors.accelerators.ascend.listings import Place
from collectors.accelerators.ascend.rounds import Rounds
from collectors.accelerators.vendor_tool import Tool

_log = logging.getLogger(__name__)

INFO = ("info",)
MAPPING = ("info", "-m")
LIST = ("info", "-l")

# The tool takes from 0.3 s to several seconds a call. The first finer question of a pass is begun
# only while the tool's deadline for it ends before that of the pass, more of them only within the
# shorter time; what is left over is asked in the passes that follow.
_ONE_MORE_SECONDS = 4.0
_FINER_QUESTIONS_SECONDS = 1.5
# What a recording may take for the values that the table leaves open.
_RECORD_SECONDS = 25.0


def product(card: int) -> tuple[str, ...]:
    """Return the words of the command that tells the product of a card."""
    return ("info", "-t", "product", "-i", str(card))


@dataclass(slots=True)
class _Details:
    """Holds what finer questions told of one set of chips, and which are still to be asked."""

    chips: frozenset[tuple[int, int, str]]
    cards: tuple[int, ...]
    rounds: Rounds
    questions: list[tuple[str, ...]] = field(default_factory=lambda: [MAPPING, LIST])
    places: dict[tuple[int, int], Place] = field(default_factory=dict)
    products: dict[int, str] = field(default_factory=dict)


class NpuSmi:
    """Is the tool; for one thread, as its maker demands.

    A recorded tool costs nothing to ask, so that it is asked everything in each pass.
    """

    def __init__(
        self,
        tool: Tool,
        *,
        is_recorded: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tool = tool
        self._is_recorded = is_recorded
        self._monotonic = monotonic
        self._details: _Details | None = None

    def find(self) -> None:
        """Return if the tool is on this machine; raises NotPresent if not."""
        self._tool.find()

    def chips(self) -> list[Chip]:
        """Return every chip that the tool lists, in its order.

        Raises:
            ReadingUnavailable: it did not answer, or printed no chip.
        """
        began = self._monotonic()
        answer = self._tool.run(*INFO)
        chips = table.parse(answer.text)
        if not chips:
            problem = explain.explain_text(answer.text, exit_status=answer.exit_status)
            reason = problem.reason if chips is None else "npu-smi lists no chip"
            raise ReadingUnavailable(reason, hint=problem.hint)
        details = self._details_of(chips)
        if self._is_recorded:
            return self._everything(chips, details=details)
        limit_seconds = _ONE_MORE_SECONDS
        while details.questions and self._monotonic() - began < limit_seconds:
            self._ask(details, words=details.questions.pop(0))
            limit_seconds = _FINER_QUESTIONS_SECONDS
        detailed = _detailed(chips, details)
        has_asked = limit_seconds != _ONE_MORE_SECONDS
        if not has_asked and self._monotonic() - began < limit_seconds:
            details.rounds.ask_one(detailed)
        return details.rounds.refined(detailed)

    def ask_everything(self) -> None:
        """Ask every question there is, for a recording.

        Raises:
            ReadingUnavailable: the first of them was not answered.
        """
        chips = table.parse(self._tool.run(*INFO).text) or ()
        self._everything(chips, details=self._details_of(chips))

    def _everything(self, chips: Sequence[Chip], *, details: _Details) -> list[Chip]:
        while details.questions:
            self._ask(details, words=details.questions.pop(0))
        detailed = _detailed(chips, details)
        details.rounds.ask_all(detailed, within_seconds=_RECORD_SECONDS)
        return details.rounds.refined(detailed)

    def _details_of(self, chips: Sequence[Chip]) -> _Details:
        listed = frozenset((chip.card, chip.chip, str(chip.bus_id)) for chip in chips)
        if self._details is None or self._details.chips != listed:
            cards = tuple(dict.fromkeys(chip.card for chip in chips))
            rounds = Rounds(self._tool, monotonic=self._monotonic)
            self._details = _Details(chips=listed, cards=cards, rounds=rounds)
        return self._details

    def _ask(self, details: _Details, *, words: tuple[str, ...]) -> None:
        try:
            text = self._tool.run(*words).text
        except ReadingUnavailable as error:
            _log.debug("npu_smi=%s failed=%s", " ".join(words), error)
            return
        if words == MAPPING:
            details.places = {(each.card, each.chip): each for each in listings.places(text)}
        elif words == LIST:
            details.products.update(listings.products(text))
            unnamed = [card for card in details.cards if card not in details.products]
            details.questions += [product(card) for card in unnamed]
        else:
            details.products.update(listings.products(text, card=int(words[-1])))


def _detailed(chips: Sequence[Chip], details: _Details) -> list[Chip]:
    """Return the chips with what finer questions told, and those that the table left out."""
    cards: dict[int, dict[int, Chip]] = {}
    for chip in chips:
        cards.setdefault(chip.card, {})[chip.chip] = chip
    for card, chip_number in details.places:
        # The table leaves out a chip whose health cannot be read.
        cards.setdefault(card, {}).setdefault(
            chip_number,
            facts.unread(card=card, chip=chip_number, reason="npu-smi info leaves this chip out"),
        )
    result = []
    for on_card in cards.values():
        for chip in on_card.values():
            place = details.places.get((chip.card, chip.chip))
            detailed = replace(chip, board_name=details.products.get(chip.card))
            if place is not None:
                detailed = replace(
                    detailed,
                    index=place.index if chip.index is None else chip.index,
                    node_number=place.node_number,
                    chips_on_card=len(on_card),
                )
            result.append(detailed)
    return result
