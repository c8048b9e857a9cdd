"""What several meters come to together: a role as a sum or a difference of meters.

That no meter is part of another is for the operator to see to: `facility - office` is right where
the office hangs behind the facility's meter, and `a + b` where neither hangs behind the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.metering.explain import Step
from agent.model.metering import Figure, Quality

# Below this share of the hour a figure is too small to take part in a difference or a ratio.
WHOLE_RATIO = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """Is one meter of a role; `sign` is 1 or -1."""

    sign: int
    meter: str


def parse_terms(text: str) -> tuple[Term, ...]:
    """Return the terms of an expression such as `incomer + generator - office`.

    Signs stand alone or before a name, and names hold no blanks; a name may hold a `-` inside.

    Raises:
        ValueError: no name, two signs or none between names, or a meter that comes twice.
    """
    terms: list[Term] = []
    sign: int | None = 1
    for word in text.split():
        name = word
        if word[0] in "+-":
            if sign is not None and (terms or sign == -1):
                raise ValueError(f"two signs before a meter in {text!r}")
            sign = 1 if word[0] == "+" else -1
            name = word[1:]
            if not name:
                continue
        if sign is None:
            raise ValueError(f"a + or - is needed before {name!r} in {text!r}")
        if any(term.meter == name for term in terms):
            raise ValueError(f"meter {name!r} comes twice in {text!r}")
        terms.append(Term(sign=sign, meter=name))
        sign = None
    if sign is not None:
        raise ValueError(f"a meter is missing at the end of {text!r}")
    return tuple(terms)


def combine(
    terms: Sequence[Term], figures: Mapping[str, Figure]
) -> tuple[Figure, tuple[Step, ...]]:
    """Return the sum of the terms' figures; unknown where one of them is."""
    if not terms:
        raise ValueError("a role needs one meter at least")
    coverage = 1.0
    worst = Quality.MEASURED
    total = 0
    reasons: list[str] = []
    parts: list[dict[str, object]] = []
    words: list[str] = []
    for term in terms:
        figure = figures.get(term.meter)
        value = figure.value if figure is not None else None
        part_coverage = figure.coverage_ratio if figure is not None else 0.0
        coverage = min(coverage, part_coverage)
        if figure is None or value is None:
            cause = figure.reason if figure is not None else None
            reasons.append(f"{term.meter}: {cause or 'no figure'}")
        else:
            total += term.sign * value
            if figure.quality is not Quality.MEASURED:
                worst = Quality.INTERPOLATED
        sign = "+" if term.sign > 0 else "-"
        words.append(f"{sign} {term.meter} ({'not known' if value is None else value})")
        parts.append(
            {"meter": term.meter, "sign": sign, "value": value, "coverage_ratio": part_coverage}
        )
    if not reasons and any(term.sign < 0 for term in terms):
        if coverage < WHOLE_RATIO:
            reasons.append(f"a difference needs whole hours, and a part covers {coverage:.1%}")
        elif total < 0:
            reasons.append(f"the difference is below 0 ({total})")
    method = " ".join(
        f"{'+' if term.sign > 0 else '-'} {term.meter}" for term in terms
    ).removeprefix("+ ")
    reason = "; ".join(reasons) or None
    value = None if reasons else total
    quality = worst
    if reasons:
        quality = Quality.PARTIAL if coverage > 0 else Quality.UNKNOWN
    outcome = f"not known; {reason}" if reasons else str(total)
    step = Step(
        text=f"{' '.join(words).removeprefix('+ ')} = {outcome}.",
        fields={"terms": parts, "value": value, "coverage_ratio": coverage, "reason": reason},
    )
    figure = Figure(
        value=value, coverage_ratio=coverage, quality=quality, method=method, reason=reason
    )
    return figure, (step,)
