"""Asks npu-smi: one process a pass, and finer questions when the set of chips has changed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from agent.errors import ReadingUnavailable
from collectors.accelerators.ascend import explain, facts, listings, table
from collectors.accelerators.ascend.facts import Chip
from collectors.accelerators.ascend.listings import Place
from collectors.accelerators.vendor_tool import Tool

_log = logging.getLogger(__name__)

INFO = ("info",)
MAPPING = ("info", "-m")
LIST = ("info", "-l")

# The tool takes from 0.3 s to several seconds a call. Finer questions are begun only within this
# time from the beginning of a pass; what is left over is asked in the passes that follow.
_FINER_QUESTIONS_SECONDS = 1.5


def product(card: int) -> tuple[str, ...]:
    """Return the words of the command that tells the product of a card."""
    return ("info", "-t", "product", "-i", str(card))


@dataclass(slots=True)
class _Details:
    """Holds what finer questions told of one set of chips, and which are still to be asked."""

    chips: frozenset[tuple[int, int, str]]
    cards: tuple[int, ...]
    questions: list[tuple[str, ...]] = field(default_factory=lambda: [MAPPING, LIST])
    places: dict[tuple[int, int], Place] = field(default_factory=dict)
    products: dict[int, str] = field(default_factory=dict)


class NpuSmi:
    """Is the tool; for one thread, as its maker demands."""

    def __init__(self, tool: Tool, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._tool = tool
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
        while details.questions and self._monotonic() - began < _FINER_QUESTIONS_SECONDS:
            self._ask(details, words=details.questions.pop(0))
        return _detailed(chips, details)

    def ask_everything(self) -> None:
        """Ask every question there is, for a recording.

        Raises:
            ReadingUnavailable: the first of them was not answered.
        """
        answer = self._tool.run(*INFO)
        details = self._details_of(table.parse(answer.text) or ())
        while details.questions:
            self._ask(details, words=details.questions.pop(0))

    def _details_of(self, chips: Sequence[Chip]) -> _Details:
        listed = frozenset((chip.card, chip.chip, str(chip.bus_id)) for chip in chips)
        if self._details is None or self._details.chips != listed:
            cards = tuple(dict.fromkeys(chip.card for chip in chips))
            self._details = _Details(chips=listed, cards=cards)
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
