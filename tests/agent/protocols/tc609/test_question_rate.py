"""A user that asks without end is held back, and nobody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.protocols.tc609.question_rate import QuestionRate, TooManyQuestions
from tests.agent.protocols.tc609.conftest import FakeClock


def test_a_minutes_questions_may_come_at_once_and_more_have_to_wait(clock):
    rate = QuestionRate(clock=clock, per_minute=60)
    for _ in range(60):
        rate.take("city")
    with pytest.raises(TooManyQuestions) as refused:
        rate.take("city")
    assert refused.value.retry_after_seconds == pytest.approx(1)
    rate.take("region")
    clock.advance(refused.value.retry_after_seconds)
    rate.take("city")
    with pytest.raises(TooManyQuestions):
        rate.take("city")


@given(st.lists(st.floats(0, 30), min_size=1, max_size=200))
def test_no_pattern_gets_more_than_its_share(pauses):
    clock = FakeClock()
    rate = QuestionRate(clock=clock, per_minute=10)
    taken = 0
    for pause in pauses:
        clock.advance(pause)
        try:
            rate.take("city")
        except TooManyQuestions:
            continue
        taken += 1
    assert taken <= 10 + sum(pauses) / 6 + 1e-6
