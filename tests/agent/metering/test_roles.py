"""Roles as sums and differences of meters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.metering.roles import Term, combine, parse_terms
from agent.model.metering import Figure, Quality


def known(value: int, *, coverage: float = 1.0, quality: Quality = Quality.MEASURED) -> Figure:
    return Figure(value=value, coverage_ratio=coverage, quality=quality)


def unknown(reason: str, *, coverage: float = 0.0) -> Figure:
    return Figure(value=None, coverage_ratio=coverage, quality=Quality.UNKNOWN, reason=reason)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("incomer", [(1, "incomer")]),
        ("it-pdu-1 + it-pdu-2", [(1, "it-pdu-1"), (1, "it-pdu-2")]),
        ("+a +b -c", [(1, "a"), (1, "b"), (-1, "c")]),
        ("-c + a", [(-1, "c"), (1, "a")]),
        ("- c + a", [(-1, "c"), (1, "a")]),
    ],
)
def test_an_expression_names_meters_and_signs(text: str, terms: list[tuple[int, str]]) -> None:
    assert [(term.sign, term.meter) for term in parse_terms(text)] == terms


@pytest.mark.parametrize("text", ["", " ", "+", "a +", "a b", "a + + b", "a - -b", "a + a", "a -a"])
def test_an_expression_that_says_nothing_clear_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_terms(text)


@given(text=st.text(alphabet="ab+- ", max_size=12))
def test_any_text_gives_terms_or_a_refusal(text: str) -> None:
    try:
        terms = parse_terms(text)
    except ValueError:
        return
    assert terms
    assert {term.sign for term in terms} <= {1, -1}


def test_figures_are_added_and_taken_away() -> None:
    figures = {"a": known(100), "b": known(30), "c": known(25)}
    figure, (step,) = combine(parse_terms("a + b - c"), figures)

    assert (figure.value, figure.quality, figure.method) == (105, Quality.MEASURED, "a + b - c")
    assert step.text == "a (100) + b (30) - c (25) = 105."


def test_one_unknown_part_makes_the_whole_unknown() -> None:
    figures = {"a": known(100), "b": unknown("no reading", coverage=0.4)}
    figure, (step,) = combine(parse_terms("a + b"), figures)

    assert (figure.value, figure.coverage_ratio, figure.reason) == (None, 0.4, "b: no reading")
    assert figure.quality is Quality.PARTIAL
    assert "b (not known)" in step.text


def test_a_meter_without_a_figure_is_named() -> None:
    figure, _ = combine(parse_terms("a + b"), {"a": known(1)})

    assert (figure.value, figure.reason, figure.quality) == (None, "b: no figure", Quality.UNKNOWN)


def test_a_sum_covers_what_its_least_part_covers() -> None:
    figures = {"a": known(1), "b": known(2, coverage=0.95, quality=Quality.INTERPOLATED)}
    figure, _ = combine(parse_terms("a + b"), figures)

    assert (figure.value, figure.coverage_ratio) == (3, 0.95)
    assert figure.quality is Quality.INTERPOLATED


def test_a_difference_needs_whole_parts_and_is_never_negative() -> None:
    part, _ = combine(parse_terms("a - b"), {"a": known(5), "b": known(2, coverage=0.95)})
    below, _ = combine(parse_terms("a - b"), {"a": known(1), "b": known(2)})

    assert (part.value, below.value) == (None, None)
    assert "95.0%" in (part.reason or "")
    assert "below 0 (-1)" in (below.reason or "")


def test_a_role_without_meters_is_a_mistake() -> None:
    with pytest.raises(ValueError):
        combine((), {})


@given(
    parts=st.dictionaries(
        st.text("abc", min_size=1), st.one_of(st.none(), st.integers(0, 10**15)), min_size=1
    )
)
def test_a_sum_is_right_or_unknown(parts: dict[str, int | None]) -> None:
    figures = {
        name: unknown("?") if value is None else known(value) for name, value in parts.items()
    }
    figure, _ = combine([Term(sign=1, meter=name) for name in parts], figures)
    values = [value for value in parts.values() if value is not None]

    assert figure.value == (sum(values) if len(values) == len(parts) else None)
