"""Answers of the API: exactly one finite number, or words that say why not."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ReadingUnavailable
from collectors.meters.prometheus import parse


def answer(result, *, kind="vector", **more):
    return json.dumps(
        {"status": "success", "data": {"resultType": kind, "result": result}, **more}
    ).encode()


def series(value="1", **labels):
    return {"metric": labels, "value": [1700000000.5, value]}


def test_one_series_is_one_exact_value():
    found = parse.sample(answer([series("12345678901234.567")]), status=200)

    assert found.value == Decimal("12345678901234.567")
    assert found.evaluated_at.timestamp() == 1700000000.5
    assert parse.sample(answer([1700000000, "2"], kind="scalar"), status=200).value == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (answer([]), "gives nothing"),
        (answer([series(node="a"), series(node="b")]), 'gives 2 series: {node="a"}; {node="b"}'),
        (answer([series()] * 9), "gives 9 series: .*, …"),
        (answer([series("NaN")]), "value is NaN"),
        (answer([series("+Inf")]), "value is Infinity"),
        (answer([series("many")]), '"?many"? is no number'),
        (answer([{"metric": {}, "histogram": [1, {}]}]), "no number"),
        (answer([], kind="matrix"), "gives a matrix"),
        (answer([series()], warnings=["store x is down"]), "incomplete: .*store x"),
        (answer([series()], isPartial=True), "incomplete"),
        (b'{"status":"error","errorType":"bad_data","error":"parse error"}', "refused .*parse"),
        (b"<html>", "no JSON"),
        (b"[]", "refused"),
        (b"[" * 100_000, "no JSON"),
    ],
)
def test_everything_else_is_an_error(content, words):
    with pytest.raises(ReadingUnavailable, match=words):
        parse.sample(content, status=400)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["metric", "value", "result", "resultType"]), inner)
    ),
    max_leaves=12,
)


@given(ANY, st.sampled_from(["vector", "scalar", "matrix"]))
def test_no_answer_breaks_it(result, kind):
    try:
        found = parse.sample(answer(result, kind=kind), status=200)
    except ReadingUnavailable:
        return
    assert found.value.is_finite()


@given(st.binary(max_size=60))
def test_no_bytes_break_it(content):
    with pytest.raises(ReadingUnavailable):
        parse.sample(content, status=200)
