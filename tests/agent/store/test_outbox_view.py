"""What became of single messages."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from agent.store.database import Database
from agent.store.outbox import OUTBOX, Outbox
from agent.store.outbox_view import MessageState, OutboxView


class Clock:
    def __init__(self):
        self.wall = datetime(2026, 2, 1, tzinfo=timezone.utc)

    def now(self):
        return self.wall

    def monotonic(self):
        return 0.0


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def both(tmp_path, clock):
    database = Database(tmp_path, schema=OUTBOX)
    yield Outbox(database, clock=clock, jitter=lambda: 0.0), OutboxView(database)
    database.close()


def test_a_message_waits_is_refused_and_is_delivered(both, clock):
    outbox, view = both
    assert view.fate("city", key="2026-01").state is MessageState.NONE
    outbox.enqueue("city", key="2026-01", body=b"{}")
    waiting = view.fate("city", key="2026-01")
    assert (waiting.state, waiting.at, waiting.next_attempt_at) == (
        MessageState.WAITING,
        clock.wall,
        None,
    )
    outbox.refuse(outbox.due("city"), code=10004, reason="a field")
    refused = view.fate("city", key="2026-01")
    assert (refused.state, refused.code, refused.reason) == (
        MessageState.REFUSED,
        10004,
        "a field",
    )
    assert outbox.release("city", key="2026-01")
    clock.wall += timedelta(hours=2)
    outbox.delivered(outbox.due("city"))
    delivered = view.fate("city", key="2026-01")
    assert (delivered.state, delivered.at) == (MessageState.DELIVERED, clock.wall)


def test_who_waits_behind_another_waits_for_its_time_and_is_told_its_reason(both, clock):
    outbox, view = both
    for key in ("2026-01", "2026-02", "2026-03"):
        outbox.enqueue("city", key=key, body=key.encode())
    outbox.postpone(outbox.due("city"), reason="no answer")
    found = view.fate("city", key="2026-03")
    assert (found.before, found.attempts, found.reason) == (2, 0, "no answer")
    assert found.next_attempt_at == clock.wall + timedelta(seconds=30)


def test_the_last_delivery_and_the_streams_are_told(both, clock):
    outbox, view = both
    assert view.last_delivery("city") is None
    for key in ("2026-01", "2026-02"):
        outbox.enqueue("city", key=key, body=key.encode())
        clock.wall += timedelta(seconds=1)
        outbox.delivered(outbox.due("city"))
    assert (view.last_delivery("city").key, view.last_delivery("city").at) == (
        "2026-02",
        clock.wall,
    )
    assert view.streams() == ()
    outbox.enqueue("region", key="2026-01", body=b"{}")
    assert view.streams() == ("region",)


def test_what_was_taken_or_refused_can_be_sent_again(both):
    outbox, view = both
    outbox.enqueue("city", key="2026-01", body=b"{}")
    outbox.delivered(outbox.due("city"))
    assert not outbox.enqueue("city", key="2026-01", body=b"{}")
    assert outbox.enqueue("city", key="2026-01", body=b"{}", again=True)
    assert not outbox.enqueue("city", key="2026-01", body=b"{}", again=True)
    outbox.refuse(outbox.due("city"), code=None, reason="no")
    assert not outbox.enqueue("city", key="2026-01", body=b"{}")
    assert outbox.enqueue("city", key="2026-01", body=b"{}", again=True)
    assert view.fate("city", key="2026-01").state is MessageState.WAITING
