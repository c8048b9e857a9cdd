"""The reconciler with its real threads: what wakes it, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from agent.model.workloads import ServiceState
from agent.workloads.jobs import PARALLEL, Jobs, Lane, spawn_daemon
from tests.agent.workloads.reconciler_bench import Bench, HandClock

PATIENCE_SECONDS = 30.0


class MovingClock(HandClock):
    """Goes by itself, and a test can put it forward."""

    def monotonic(self) -> float:
        return self.seconds + time.monotonic()


def wait_until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE_SECONDS / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    pytest.fail("waited in vain")


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(spawn=spawn_daemon, clock=MovingClock())
    bench.reconciler.start()
    yield bench
    bench.runtime.close()
    bench.reconciler.stop(timeout_seconds=PATIENCE_SECONDS)
    assert not bench.reconciler.is_alive(1.0)


def test_it_acts_when_it_is_woken_and_when_the_runtime_tells_of_a_change(bench: Bench):
    service_id = bench.load()
    bench.reconciler.wake()
    wait_until(lambda: set(bench.running()) == bench.wanted())
    first = bench.running()[service_id, 0]
    wait_until(lambda: bench.runtime.calls.get("changes", 0) >= 1)
    wait_until(lambda: bench.service(service_id).state is ServiceState.RUNNING)
    bench.clock.seconds += 100.0  # no backoff is left

    bench.runtime.remove_by_hand(first)  # nobody wakes it but the stream

    wait_until(lambda: bench.running().get((service_id, 0)) not in (None, first))


def test_a_stop_that_hangs_holds_up_neither_starts_nor_the_thread(bench: Bench):
    service_id = bench.load()
    bench.reconciler.wake()
    wait_until(lambda: set(bench.running()) == bench.wanted())
    bench.runtime.stuck.add("stop")
    bench.unload(service_id)
    bench.reconciler.wake()
    wait_until(lambda: bench.runtime.calls.get("stop", 0) == 1)

    other = bench.load("q")
    bench.reconciler.wake()

    wait_until(lambda: (other, 0) in bench.running())
    assert bench.reconciler.is_alive(PATIENCE_SECONDS)
    bench.runtime.release()
    wait_until(lambda: set(bench.running()) == bench.wanted())


def test_with_nothing_desired_nothing_is_asked(bench: Bench):
    bench.reconciler.wake()
    wait_until(lambda: not bench.reconciler.services())

    assert bench.runtime_calls == 0
    assert bench.reconciler.is_alive(PATIENCE_SECONDS)


def test_a_pass_that_hangs_is_seen():
    bench = Bench(spawn=spawn_daemon, clock=MovingClock())
    bench.load()
    bench.runtime.stuck.add("list_owned")
    bench.reconciler.start()
    wait_until(lambda: bench.runtime.calls.get("list_owned", 0) == 1)
    assert bench.reconciler.is_alive(60.0)

    bench.clock.seconds += 61.0

    assert not bench.reconciler.is_alive(60.0)
    bench.runtime.close()
    bench.reconciler.stop(timeout_seconds=PATIENCE_SECONDS)


def test_an_engine_that_hangs_is_not_shown_as_it_was(bench: Bench):
    service_id = bench.load()
    bench.reconciler.wake()
    wait_until(lambda: bench.service(service_id).state is ServiceState.RUNNING)
    bench.runtime.stuck.add("list_owned")
    calls = bench.runtime.calls["list_owned"]
    bench.reconciler.wake()
    wait_until(lambda: bench.runtime.calls["list_owned"] > calls)
    assert bench.service(service_id).state is ServiceState.RUNNING

    bench.clock.seconds += 21.0

    service = bench.service(service_id)
    assert service.state is ServiceState.UNSPECIFIED
    assert "no answer for 21 s" in (service.reason or "")
    bench.runtime.release()
    wait_until(lambda: bench.service(service_id).state is ServiceState.RUNNING)


def test_jobs_of_one_key_never_run_twice_and_lanes_are_bounded():
    done = threading.Event()
    jobs = Jobs(on_done=done.set)
    gate, running, most = threading.Event(), [0], [0]
    lock = threading.Lock()
    finished: list[str] = []

    def work() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        gate.wait(PATIENCE_SECONDS)
        with lock:
            running[0] -= 1

    for number in range(20):
        for _ in range(2):
            jobs.submit(
                str(number),
                work,
                lane=Lane.STOP,
                then=lambda error, number=number: finished.append(str(number)),
            )
    wait_until(lambda: running[0] == PARALLEL[Lane.STOP])
    gate.set()

    def collected() -> bool:
        jobs.collect()
        return jobs.is_idle

    wait_until(collected)
    assert most[0] == PARALLEL[Lane.STOP]
    assert sorted(finished, key=int) == [str(number) for number in range(20)]


def test_a_job_that_fails_unexpectedly_is_an_error_and_not_the_end():
    jobs = Jobs(on_done=lambda: None, spawn=lambda _, target: target())
    errors: list[object] = []

    jobs.submit("a", lambda: 1 / 0, lane=Lane.IMAGE, then=errors.append)  # type: ignore[arg-type,return-value]
    jobs.collect()

    assert "ZeroDivisionError" in str(errors[0])
    assert jobs.is_idle


def test_where_no_thread_can_be_had_the_job_fails_and_is_tried_again():
    def refuse(name: str, target: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    jobs = Jobs(on_done=lambda: None, spawn=refuse)
    errors: list[object] = []

    jobs.submit("a", lambda: None, lane=Lane.IMAGE, then=errors.append)
    jobs.collect()

    assert "can't start new thread" in str(errors[0])
    assert jobs.is_idle
