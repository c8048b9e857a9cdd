"""The outbox against a model of it, over its limits, on a full disk, and killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.errors import NoRoomError
from agent.store.database import Database
from agent.store.outbox import OUTBOX, Outbox, OutboxLimits
from tests.conftest import missing

START = datetime(2026, 2, 1, tzinfo=timezone.utc)
LIMITS = OutboxLimits(first_seconds=10, most_seconds=100)


class Clock:
    def __init__(self) -> None:
        self.wall = START

    def monotonic(self) -> float:
        return self.wall.timestamp()

    def now(self) -> datetime:
        return self.wall

    def advance(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def outbox_in(clock):
    opened = []

    def make(folder: Path, **limits) -> Outbox:
        database = Database(folder, schema=OUTBOX)
        opened.append(database)
        return Outbox(database, clock=clock, limits=replace(LIMITS, **limits), jitter=lambda: 0.0)

    yield make
    for database in opened:
        database.close()


@pytest.fixture
def outbox(outbox_in, tmp_path):
    return outbox_in(tmp_path)


def due_key(outbox: Outbox, stream: str = "city") -> str | None:
    message = outbox.due(stream)
    return None if message is None else message.key


def test_streams_keep_their_own_order(outbox):
    for stream, key in (("city", "2026-01"), ("region", "2025-12"), ("city", "2026-02")):
        outbox.enqueue(stream, key=key, body=b"{}")
    assert due_key(outbox) == "2026-01"
    outbox.delivered(outbox.due("city"))
    assert due_key(outbox) == "2026-02"
    assert due_key(outbox, "region") == "2025-12"


def test_a_newer_body_takes_the_place_of_the_one_that_waits(outbox):
    outbox.enqueue("city", key="2026-01", body=b"1")
    outbox.enqueue("city", key="2026-02", body=b"2")
    outbox.enqueue("city", key="2026-01", body=b"3")
    message = outbox.due("city")
    assert (message.key, message.body) == ("2026-01", b"3")
    assert outbox.state("city").waiting == 2


def test_what_was_delivered_is_sent_again_only_when_it_changed(outbox):
    assert outbox.enqueue("city", key="2026-01", body=b"1")
    outbox.delivered(outbox.due("city"))
    assert not outbox.enqueue("city", key="2026-01", body=b"1")
    assert outbox.due("city") is None
    assert outbox.enqueue("city", key="2026-01", body=b"2")
    assert outbox.due("city").body == b"2"


def test_an_answer_to_an_older_body_does_not_settle_the_newer_one(outbox):
    outbox.enqueue("city", key="2026-01", body=b"1")
    underway = outbox.due("city")
    outbox.enqueue("city", key="2026-01", body=b"2")
    outbox.delivered(underway)
    assert outbox.due("city").body == b"2"
    outbox.enqueue("city", key="2026-01", body=b"3")
    outbox.refuse(underway, code=10004, reason="no")
    assert outbox.due("city").body == b"3"
    assert outbox.state("city").refused_total == 0
    assert outbox.refused("city") == ()


def test_the_first_message_holds_the_others_while_it_waits(outbox, clock):
    outbox.enqueue("city", key="2026-01", body=b"1")
    outbox.enqueue("city", key="2026-02", body=b"2")
    outbox.postpone(outbox.due("city"), reason="no network")
    assert outbox.due("city") is None
    assert outbox.wait_seconds("city") == 10
    assert outbox.state("city").last_error == "no network"
    clock.advance(10)
    assert due_key(outbox) == "2026-01"


def test_the_wait_doubles_up_to_the_longest(outbox, clock):
    outbox.enqueue("city", key="2026-01", body=b"1")
    waits = []
    for _ in range(6):
        outbox.postpone(outbox.due("city"), reason="no network")
        waits.append(outbox.wait_seconds("city"))
        clock.advance(waits[-1])
    assert waits == [10, 20, 40, 80, 100, 100]


def test_the_wait_that_a_platform_asks_for_is_kept_within_the_longest(outbox):
    outbox.enqueue("city", key="2026-01", body=b"1")
    outbox.postpone(outbox.due("city"), reason="busy", retry_after_seconds=60)
    assert outbox.wait_seconds("city") == 60
    outbox.hasten("city")
    outbox.postpone(outbox.due("city"), reason="busy", retry_after_seconds=86400)
    assert outbox.wait_seconds("city") == 100


def test_the_jitter_only_shortens_the_wait(tmp_path, clock):
    database = Database(tmp_path, schema=OUTBOX)
    outbox = Outbox(database, clock=clock, limits=LIMITS, jitter=lambda: 1.0)
    outbox.enqueue("city", key="2026-01", body=b"1")
    outbox.postpone(outbox.due("city"), reason="no network")
    assert outbox.wait_seconds("city") == pytest.approx(8)
    database.close()


def test_a_clock_set_back_holds_nothing_for_longer_than_the_longest_wait(outbox, clock):
    outbox.enqueue("city", key="2026-01", body=b"1")
    outbox.postpone(outbox.due("city"), reason="no network")
    clock.advance(-86400 * 365)
    assert due_key(outbox) == "2026-01"


def test_a_clock_set_ahead_expires_nothing_that_can_be_delivered(outbox, clock):
    outbox.enqueue("city", key="2026-01", body=b"1")
    clock.advance(86400 * 20000)
    assert due_key(outbox) == "2026-01"


def test_what_is_too_old_is_given_up_at_a_failure_and_counted(outbox_in, tmp_path, clock, caplog):
    outbox = outbox_in(tmp_path, maximum_age_seconds=1000)
    outbox.enqueue("city", key="2026-01", body=b"1")
    clock.advance(1001)
    outbox.enqueue("city", key="2026-02", body=b"2")
    assert not outbox.postpone(outbox.due("city"), reason="no network")
    assert "event=message_expired stream=city key=2026-01" in caplog.text
    assert due_key(outbox) == "2026-02"
    assert outbox.postpone(outbox.due("city"), reason="no network")
    assert outbox.state("city").expired_total == 1


def test_what_is_refused_stands_aside_with_its_reason(outbox):
    outbox.enqueue("city", key="2026-01", body=b"1")
    outbox.enqueue("city", key="2026-02", body=b"2")
    outbox.refuse(outbox.due("city"), code=10005, reason="rackRate 缺失")
    (refused,) = outbox.refused("city")
    assert (refused.key, refused.code, refused.reason) == ("2026-01", 10005, "rackRate 缺失")
    assert due_key(outbox) == "2026-02"
    # The same again would be refused again; another body may pass.
    assert not outbox.enqueue("city", key="2026-01", body=b"1")
    assert outbox.enqueue("city", key="2026-01", body=b"3")
    assert outbox.refused("city") == ()


def test_a_refused_message_can_be_released(outbox):
    outbox.enqueue("city", key="2026-01", body=b"1")
    outbox.refuse(outbox.due("city"), code=99999, reason="no")
    assert outbox.release("city", key="2026-01")
    assert not outbox.release("city", key="2026-01")
    assert outbox.due("city").body == b"1"


def test_only_so_many_refused_messages_are_kept(outbox_in, tmp_path, clock):
    outbox = outbox_in(tmp_path, maximum_refused=2)
    for number in range(4):
        outbox.enqueue("city", key=str(number), body=b"1")
        outbox.refuse(outbox.due("city"), code=10004, reason="no")
        clock.advance(1)
    assert [one.key for one in outbox.refused("city")] == ["2", "3"]
    assert outbox.state("city").refused_total == 4


def test_the_quota_refuses_the_new_and_keeps_what_waits(outbox_in, tmp_path):
    outbox = outbox_in(tmp_path, maximum_bytes=10)
    outbox.enqueue("city", key="1", body=b"12345")
    outbox.enqueue("region", key="1", body=b"12345")
    with pytest.raises(NoRoomError):
        outbox.enqueue("city", key="2", body=b"1")
    # A body in place of one that waits needs no room beyond what it is longer.
    outbox.enqueue("city", key="1", body=b"54321")
    assert outbox.due("city").body == b"54321"


def test_refused_messages_make_room_first(outbox_in, tmp_path):
    outbox = outbox_in(tmp_path, maximum_bytes=10)
    outbox.enqueue("city", key="1", body=b"12345678")
    outbox.refuse(outbox.due("city"), code=10004, reason="no")
    outbox.enqueue("city", key="2", body=b"12345")
    assert outbox.refused("city") == ()
    assert due_key(outbox) == "2"


class OutboxAgainstModel(RuleBasedStateMachine):
    """Holds the outbox to a list, through restarts."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.waiting: list[tuple[str, bytes]] = []
        self.refused: dict[str, bytes] = {}
        self.last: dict[str, bytes] = {}
        self._open()

    def _open(self) -> None:
        self.database = Database(Path(self.folder.name), schema=OUTBOX)
        self.outbox = Outbox(self.database, clock=self.clock, limits=LIMITS)

    @rule(key=st.sampled_from("abc"), body=st.sampled_from([b"1", b"2", b"3"]))
    def enqueue(self, key: str, body: bytes) -> None:
        keys = [one for one, _ in self.waiting]
        is_new = self.outbox.enqueue("s", key=key, body=body)
        if key in keys:
            assert is_new == (self.waiting[keys.index(key)][1] != body)
            self.waiting[keys.index(key)] = (key, body)
        elif self.refused.get(key, self.last.get(key)) == body:
            assert not is_new
        else:
            assert is_new
            self.refused.pop(key, None)
            self.waiting.append((key, body))

    @rule(outcome=st.sampled_from(["delivered", "refused", "failed"]))
    def attempt(self, outcome: str) -> None:
        self.outbox.hasten("s")
        message = self.outbox.due("s")
        if not self.waiting:
            assert message is None
            return
        assert (message.key, message.body) == self.waiting[0]
        if outcome == "delivered":
            self.outbox.delivered(message)
            self.last[message.key] = message.body
            self.waiting.pop(0)
        elif outcome == "refused":
            self.outbox.refuse(message, code=10004, reason="no")
            self.refused[message.key] = message.body
            self.waiting.pop(0)
        else:
            assert self.outbox.postpone(message, reason="no network")
            assert self.outbox.due("s") is None

    @rule()
    def restart(self) -> None:
        self.database.close()
        self._open()

    @rule(seconds=st.integers(-1000, 1000))
    def set_clock(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @invariant()
    def nothing_is_lost(self) -> None:
        state = self.outbox.state("s")
        assert state.waiting == len(self.waiting)
        assert state.waiting_bytes == len(self.waiting)
        assert {one.key: one.body for one in self.outbox.refused("s")} == self.refused

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
            self.folder.cleanup()


TestOutboxAgainstModel = OutboxAgainstModel.TestCase
TestOutboxAgainstModel.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        missing("a small file system is mounted by root alone")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if mounted.returncode != 0:
        missing(f"no file system can be mounted here: {mounted.stderr}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x" * 512)


def test_a_full_disk_lets_the_outbox_drain_in_order(small_disk, clock):
    database = Database(small_disk, schema=OUTBOX)
    outbox = Outbox(database, clock=clock, limits=LIMITS, jitter=lambda: 0.0)
    keys = [f"2026-{number:02}" for number in range(1, 13)]
    for key in keys:
        outbox.enqueue("city", key=key, body=os.urandom(20_000))
    fill(small_disk / "filler")
    with pytest.raises(NoRoomError):
        outbox.enqueue("city", key="2027-01", body=os.urandom(20_000))
    outbox.postpone(outbox.due("city"), reason="no network")
    assert outbox.due("city") is None
    clock.advance(LIMITS.first_seconds)
    delivered = []
    while (message := outbox.due("city")) is not None:
        outbox.delivered(message)
        delivered.append(message.key)
    assert delivered == keys
    assert outbox.state("city").waiting == 0
    (small_disk / "filler").unlink()
    assert outbox.due("city") is None
    database.close()
    again = Database(small_disk, schema=OUTBOX)
    state = Outbox(again, clock=clock, limits=LIMITS).state("city")
    assert (state.waiting, state.delivered_total) == (0, len(keys))
    again.close()


_KILLED = """
import os, sys
from pathlib import Path
from agent.model.clock import SystemClock
from agent.store.database import Database
from agent.store.outbox import OUTBOX, Outbox
folder, first = Path(sys.argv[1]), int(sys.argv[2])
outbox = Outbox(Database(folder, schema=OUTBOX), clock=SystemClock())
for number in range(first, first + 100000):
    outbox.enqueue("city", key=f"{number:08}", body=b"%d" % number)
    os.write(1, b"+%08d\\n" % number)
    if number % 3 == 0:
        message = outbox.due("city")
        os.write(1, b"?" + message.key.encode() + b"\\n")
        outbox.delivered(message)
        os.write(1, b"-" + message.key.encode() + b"\\n")
"""


def test_no_acknowledged_message_is_lost_or_settled_twice_at_a_kill(tmp_path, clock):
    accepted: list[str] = []
    settled: set[str] = set()
    for round_number in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", _KILLED, tmp_path, str(round_number * 1_000_000)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        lines = [process.stdout.readline() for _ in range(7 + 11 * round_number)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.read().splitlines(keepends=True)
        process.stdout.close()
        process.wait()
        whole = [line.decode().strip() for line in lines if line.endswith(b"\n")]
        accepted += [line[1:] for line in whole if line[0] == "+"]
        settled |= {line[1:] for line in whole if line[0] == "-"}
        # What was asked when the kill came may stand or not.
        open_question = whole[-1][1:] if whole[-1][0] == "?" else None
        database = Database(tmp_path, schema=OUTBOX)
        outbox = Outbox(database, clock=clock, limits=LIMITS)
        with database.transaction() as statements:
            rows = statements.execute("SELECT key, body FROM messages ORDER BY position").fetchall()
        assert all(int(row["key"]) == int(row["body"]) for row in rows)
        kept = [row["key"] for row in rows]
        if open_question is not None and open_question not in kept:
            settled.add(open_question)
        unacknowledged = set(kept) - set(accepted)
        assert len(unacknowledged) <= 1
        # A note that was on the disk before the word of it could be said.
        accepted += sorted(unacknowledged)
        assert kept == [key for key in accepted if key not in settled]
        assert outbox.state("city").delivered_total == len(settled)
        database.close()
