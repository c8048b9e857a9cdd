"""One finite number of a Prometheus-compatible server, or words that say why not."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import PermanentError, ReadingUnavailable, TransientError
from agent.protocols.prometheus import instant_query


def answer(result, *, kind="vector", **more):
    return json.dumps(
        {"status": "success", "data": {"resultType": kind, "result": result}, **more}
    ).encode()


def series(value="1"):
    return {"metric": {}, "value": [1700000000.5, value]}


def test_a_query_travels_in_the_url():
    assert instant_query.path('sum(up{job="a b"}) + 1') == (
        "/api/v1/query?query=sum%28up%7Bjob%3D%22a+b%22%7D%29+%2B+1"
    )


def test_a_scalar_and_a_single_series_are_one_number():
    assert instant_query.decode(answer([series("0.25")]), status=200) == 0.25
    assert instant_query.decode(answer([1, "7"], kind="scalar"), status=200) == 7


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (answer([]), "gives nothing"),
        (answer([series()] * 2), "gives 2 series; .*sum"),
        (answer([series("NaN")]), "is NaN"),
        (answer([series("+Inf")]), "is .Inf"),
        (answer([series("many")]), "many is no number"),
        (answer([{"metric": {}, "histogram": [1, {}]}]), "no number"),
        (answer([], kind="matrix"), "gives a matrix"),
        (answer([series()], warnings=["store x is down"]), "incomplete: .*store x"),
        (answer([series()], isPartial=True), "incomplete"),
        (b'{"status":"error","errorType":"bad_data","error":"parse error"}', "refused: parse"),
    ],
)
def test_what_the_server_cannot_tell_is_unknown(body, words):
    with pytest.raises(ReadingUnavailable, match=words):
        instant_query.decode(body, status=400)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"who are you", 401, PermanentError),
        (b"", 403, PermanentError),
        (b"<html>", 200, TransientError),
        (b"[]", 200, TransientError),
        (b"[" * 100_000, 200, TransientError),
        (b'{"status":"error","error":"query timed out"}', 503, TransientError),
    ],
)
def test_who_does_not_answer_the_question_is_no_source_now(body, status, error):
    with pytest.raises(error):
        instant_query.decode(body, status=status)


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
        found = instant_query.decode(answer(result, kind=kind), status=200)
    except (ReadingUnavailable, TransientError):
        return
    assert math.isfinite(found)
