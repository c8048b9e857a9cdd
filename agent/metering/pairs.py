"""What a register counted between two of its values: the rule for one pair of neighbours.

Why each rule is as it is stands in `agent/metering/deltas.py`.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from datetime import datetime

from agent.model.metering import RegisterTraits

# A rating is passed for a while by what is real: an overload, a meter's own error.
RATE_TOLERANCE_RATIO = 1.2
# Meters renew their registers up to a minute late, so a short gap may hold more than its own share.
RENEWAL_SECONDS = 60
# Without a rating, a step over the modulus of more than this part of it is not believed.
WRAP_PARTS = 10

_MICROSECONDS = 1_000_000


class IntervalKind(enum.Enum):
    """Says what happened between two readings of a register."""

    INCREASE = "increase"
    WRAP = "wrap"
    RESET = "reset"
    SWAP = "swap"
    SPIKE = "spike"
    UNKNOWN = "unknown"


@dataclass(slots=True, kw_only=True)
class Pair:
    """Holds what is made of two neighbours; `amount` is None where it is not known.

    `doubtful` marks a pair that makes no sense, for which one of the two readings may be to blame;
    `weak` a wrap that only its size speaks for.
    """

    amount: int | None
    kind: IntervalKind
    reason: str | None = None
    doubtful: bool = False
    weak: bool = False


@dataclass(slots=True, kw_only=True)
class Point:
    """Holds the one value of one moment; None where two readings of it differ.

    `torn` says that their markers differ; `marker` is None then. `segment` grows with each change
    of the marker. `left_out` names a reading between this one and the one before that is not
    believed.
    """

    taken_at: datetime
    microseconds: int
    value: int | None
    marker: str | None
    torn: bool = False
    segment: int = 0
    left_out: str | None = None


class PairRule:
    """Judges pairs of one register by its traits."""

    def __init__(self, traits: RegisterTraits) -> None:
        rate = traits.rate_maximum
        self.modulus = traits.modulus
        self.rate = rate if rate is not None and math.isfinite(rate) and rate > 0 else None
        self.starts_at_zero = traits.starts_at_zero
        self.resolution = traits.resolution or 1
        self._fixed = 0.0
        if self.rate is not None:
            self._fixed = self.rate * RATE_TOLERANCE_RATIO * RENEWAL_SECONDS + self.resolution

    def shows(self, value: int) -> bool:
        """Tell whether the register can show a value at all."""
        return value >= 0 and (self.modulus is None or value < self.modulus)

    def limit(self, gap_microseconds: int) -> int | None:
        """Return the most that the register can move in a gap; None without a greatest rate."""
        if self.rate is None:
            return None
        moved = self.rate * RATE_TOLERANCE_RATIO * gap_microseconds / _MICROSECONDS
        return math.ceil(moved + self._fixed)

    def is_plain(self, step: int, gap_microseconds: int) -> bool:
        """Tell whether `judge` makes an increase of a step, and nothing can cast doubt on it."""
        if step < 0:
            return False
        limit = self.limit(gap_microseconds)
        if limit is None:
            return True
        return step <= limit and (self.modulus is None or step + self.modulus > limit)

    def fits(self, first: Point, second: Point) -> bool:
        """Tell whether two points of one segment could be neighbours in plain growth."""
        if first.value is None or second.value is None or first.segment != second.segment:
            return False
        step = second.value - first.value
        limit = self.limit(second.microseconds - first.microseconds)
        if limit is None:
            return step >= 0
        if step < 0 and self.modulus is not None:
            step += self.modulus
        return 0 <= step <= limit

    def judge(self, first: Point, second: Point) -> Pair:
        """Return what is made of two neighbours whose marker did not change."""
        if first.value is None or second.value is None:
            return Pair(
                amount=None,
                kind=IntervalKind.UNKNOWN,
                reason="two readings of one moment differ",
            )
        step = second.value - first.value
        limit = self.limit(second.microseconds - first.microseconds)
        modulus = self.modulus
        if step >= 0:
            if limit is not None:
                if step > limit:
                    reason = f"rises by {step}, and no more than {limit} is possible"
                    return Pair(amount=None, kind=IntervalKind.SPIKE, reason=reason, doubtful=True)
                if modulus is not None and step + modulus <= limit:
                    return _ambiguous(modulus)
            return Pair(amount=step, kind=IntervalKind.INCREASE)
        if modulus is not None:
            wrapped = step + modulus
            if limit is None:
                if wrapped * WRAP_PARTS <= modulus:
                    return Pair(amount=wrapped, kind=IntervalKind.WRAP, weak=True)
            elif wrapped + modulus <= limit:
                return _ambiguous(modulus)
            elif wrapped <= limit:
                return Pair(amount=wrapped, kind=IntervalKind.WRAP)
        reason = f"falls by {-step}, which is no wrap, and no reset was told"
        return Pair(amount=None, kind=IntervalKind.UNKNOWN, reason=reason, doubtful=True)

    def judge_changed(self, first: Point, second: Point, *, adjacent: bool) -> Pair:
        """Return what is made of two neighbours between which the marker changed.

        `adjacent` is false where it changed somewhere among several, which told no marker.
        """
        if first.value is None or second.value is None or not adjacent:
            return Pair(
                amount=None,
                kind=IntervalKind.SWAP,
                reason="the marker changed, and the readings do not tell when",
            )
        if self.starts_at_zero:
            limit = self.limit(second.microseconds - first.microseconds)
            if limit is None or second.value <= limit:
                reason = "the register began anew at 0, and what was used before it is lost"
                return Pair(amount=second.value, kind=IntervalKind.RESET, reason=reason)
            reason = f"began anew and shows {second.value}, and no more than {limit} is possible"
            return Pair(amount=None, kind=IntervalKind.SWAP, reason=reason)
        if second.value < first.value:
            reason = "the register began anew, and it is not known at what value"
            return Pair(amount=None, kind=IntervalKind.RESET, reason=reason)
        reason = "another register took its place"
        return Pair(amount=None, kind=IntervalKind.SWAP, reason=reason)


def _ambiguous(modulus: int) -> Pair:
    reason = f"so long a gap may hold one more wrap of {modulus}"
    return Pair(amount=None, kind=IntervalKind.UNKNOWN, reason=reason)
