"""Asks npu-smi finer questions one by one, in turn, and keeps what they gave for a while."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent.errors import ReadingUnavailable
from collectors.accelerators.ascend import explain, refine
from collectors.accelerators.ascend.facts import Chip, Memory, Missing
from collectors.accelerators.ascend.refine import Gap, Question, Value
from collectors.accelerators.vendor_tool import Tool

_log = logging.getLogger(__name__)

# A value is shown while it is younger than this, or until its turn should have come twice again.
_FRESH_SECONDS = 60.0
_MOST_SECONDS = 180.0
# After a failure, or an answer that did not have the value.
_REST_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """Is a value, the moment before it was asked for, and how many questions came before it."""

    value: Value
    moment: float
    number: int
    question: Question


class Rounds:
    """Goes round the finer questions of one set of chips; for one thread.

    A question that the tool refuses is not asked again; one that failed, or did not give the value,
    rests for ten minutes.
    """

    def __init__(self, tool: Tool, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._tool = tool
        self._monotonic = monotonic
        self._kept: dict[Gap, _Kept] = {}
        self._rests_until: dict[tuple[Question, Gap], float] = {}
        self._asked_at: dict[Question, int] = {}
        self._asked = 0
        self._open = 0

    def ask_one(self, chips: Sequence[Chip]) -> None:
        """Ask the one open question that waited longest, if there is any."""
        open_questions = self._open_questions(chips)
        if open_questions:
            self._ask(min(open_questions, key=lambda each: self._asked_at.get(each, -1)), chips)

    def ask_all(self, chips: Sequence[Chip], *, within_seconds: float = math.inf) -> None:
        """Ask every open question, and those that take the place of what was refused."""
        end = self._monotonic() + within_seconds
        asked: set[Question] = set()
        while waiting := [each for each in self._open_questions(chips) if each not in asked]:
            if self._monotonic() >= end:
                return
            asked.add(waiting[0])
            self._ask(waiting[0], chips)

    def refined(self, chips: Sequence[Chip]) -> list[Chip]:
        """Return the chips with the finer values that are not too old."""
        now = self._monotonic()
        open_gaps = refine.gaps(chips)
        result = []
        for chip in chips:
            refined = chip
            for gap in open_gaps:
                kept = self._kept.get(gap)
                if kept is not None and (gap.card, gap.chip) == (chip.card, chip.chip):
                    value = kept.value if self._is_fresh(kept, now) else _stale(kept, now)
                    refined = refine.with_value(refined, name=gap.field, value=value)
            result.append(refined)
        return result

    def _is_fresh(self, kept: _Kept, now: float) -> bool:
        age_seconds = now - kept.moment
        if age_seconds <= _FRESH_SECONDS:
            return True
        return age_seconds <= _MOST_SECONDS and self._asked - kept.number <= 2 * self._open

    def _open_questions(self, chips: Sequence[Chip]) -> list[Question]:
        now = self._monotonic()
        found: dict[Question, None] = {}
        for gap, questions in refine.gaps(chips).items():
            for question in questions:
                if self._rests_until.get((question, gap), -math.inf) <= now:
                    found[question] = None
                    break
        self._open = len(found)
        return list(found)

    def _ask(self, question: Question, chips: Sequence[Chip]) -> None:
        moment = self._monotonic()
        self._asked += 1
        self._asked_at[question] = self._asked
        wanted = {gap for gap, questions in refine.gaps(chips).items() if question in questions}
        try:
            text = self._tool.run(*question.words).text
        except ReadingUnavailable as error:
            _log.debug("npu_smi=%s failed=%s", " ".join(question.words), error)
            self._rest(question, wanted, until=moment + _REST_SECONDS)
            return
        found = refine.answers(text, question=question, chips=chips)
        if found is None:
            # A driver that fails now may answer later; what it does not know it never will.
            code = explain.code_in(text)
            is_failure = code is not None and code not in explain.LACKING
            _log.debug("npu_smi=%s refused code=%s", " ".join(question.words), code)
            self._rest(question, wanted, until=moment + _REST_SECONDS if is_failure else math.inf)
            return
        for gap, value in found.items():
            self._kept[gap] = _Kept(
                value=value, moment=moment, number=self._asked, question=question
            )
        # The power of a card stands at one of its chips.
        has_power = any(gap.field == refine.POWER for gap in found)
        without = {
            gap for gap in wanted - found.keys() if gap.field != refine.POWER or not has_power
        }
        self._rest(question, without, until=moment + _REST_SECONDS)

    def _rest(self, question: Question, gaps: set[Gap], *, until: float) -> None:
        for gap in gaps:
            self._rests_until[question, gap] = until


def _stale(kept: _Kept, now: float) -> Value:
    command = " ".join(kept.question.words)
    missing = Missing(f"too old: npu-smi {command} gave it {now - kept.moment:.0f} s ago")
    if not isinstance(kept.value, Memory):
        return missing
    # How much memory there is does not change.
    return replace(kept.value, used_mib=missing)
