"""Retry-After, as platforms write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.transport.answer import HttpAnswer

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("120", "", 120.0),
        ("0", "", 0.0),
        (" 7 ", "", 7.0),
        ("9" * 5000, "", 86400.0),
        ("Wed, 21 Oct 2026 07:29:30 GMT", DATE, 90.0),
        ("Wed, 21 Oct 2026 07:27:00 GMT", DATE, 0.0),
        ("Wed, 21 Oct 2027 07:27:00 GMT", DATE, 86400.0),
        ("Wed, 21 Oct 2026 07:29:30 GMT", "", None),
        ("-1", DATE, None),
        ("1.5", DATE, None),
        ("\u0663", DATE, None),
        ("soon", DATE, None),
        ("", DATE, None),
    ],
)
def test_retry_after_is_read_in_both_forms(value, date, seconds):
    answer = HttpAnswer(status=503, headers={"retry-after": value, "date": date}, body=b"")
    assert answer.retry_after_seconds == seconds


@given(value=st.text(), date=st.text() | st.just(DATE))
def test_no_text_breaks_it(value, date):
    for one, other in ((value, date), (value + "GMT", date + "GMT")):
        answer = HttpAnswer(status=503, headers={"retry-after": one, "date": other}, body=b"")
        seconds = answer.retry_after_seconds
        assert seconds is None or 0.0 <= seconds <= 86400.0
