"""How a new configuration changes the running parts."""

from __future__ import annotations

import pytest

from agent.app.parts import PartPlan, Parts
from agent.errors import PermanentError


class Recorder:
    """Builds services that write down what happens to them."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.refuse: set[str] = set()

    def plan(self, name: str, key: object = 0) -> PartPlan:
        recorder = self

        class Service:
            def start(self) -> None:
                if f"{name}:{key}" in recorder.refuse:
                    raise PermanentError(f"{name} cannot start")
                recorder.log.append(f"start {name}:{key}")

            def stop(self, *, timeout_seconds: float) -> None:
                assert timeout_seconds > 0
                recorder.log.append(f"stop {name}:{key}")

        return PartPlan(name=name, key=key, build=Service)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_parts_start_in_order_and_stop_in_reverse(recorder):
    parts = Parts()
    parts.start([recorder.plan("a"), recorder.plan("b")])
    parts.stop()
    assert recorder.log == ["start a:0", "start b:0", "stop b:0", "stop a:0"]


def test_a_part_that_cannot_start_stops_those_before_it(recorder):
    recorder.refuse.add("b:0")
    with pytest.raises(PermanentError, match="b cannot start"):
        Parts().start([recorder.plan("a"), recorder.plan("b"), recorder.plan("c")])
    assert recorder.log == ["start a:0", "stop a:0"]


def test_a_reload_touches_only_what_changed(recorder):
    parts = Parts()
    parts.start([recorder.plan("a"), recorder.plan("b"), recorder.plan("c")])
    recorder.log.clear()
    lines = parts.change([recorder.plan("a"), recorder.plan("b", 1), recorder.plan("d")])
    assert recorder.log == ["stop c:0", "stop b:0", "start b:1", "start d:0"]
    assert lines == ("c: stopped", "b: restarted", "d: started")


def test_a_reload_without_a_change_does_nothing(recorder):
    parts = Parts()
    parts.start([recorder.plan("a")])
    recorder.log.clear()
    assert parts.change([recorder.plan("a")]) == ()
    assert recorder.log == []


def test_a_part_that_does_not_start_any_more_is_put_back_as_it_was(recorder):
    parts = Parts()
    parts.start([recorder.plan("a"), recorder.plan("b")])
    recorder.refuse.add("a:1")
    recorder.log.clear()
    lines = parts.change([recorder.plan("a", 1), recorder.plan("b")])
    assert recorder.log == ["stop a:0", "start a:0"]
    assert lines == ("a: not changed: a cannot start",)
    # It is still the old one, so the next reload tries again.
    recorder.refuse.clear()
    assert parts.change([recorder.plan("a", 1), recorder.plan("b")]) == ("a: restarted",)


def test_the_order_of_stop_follows_the_newest_plan(recorder):
    parts = Parts()
    parts.start([recorder.plan("b")])
    parts.change([recorder.plan("a"), recorder.plan("b")])
    recorder.log.clear()
    parts.stop()
    assert recorder.log == ["stop b:0", "stop a:0"]


def test_a_part_that_fails_to_stop_does_not_keep_the_others_running(recorder):
    class Stubborn:
        def start(self) -> None: ...

        def stop(self, *, timeout_seconds: float) -> None:
            raise RuntimeError("no")

    parts = Parts()
    parts.start([recorder.plan("a"), PartPlan(name="s", key=0, build=Stubborn)])
    parts.stop()
    assert recorder.log == ["start a:0", "stop a:0"]


def test_a_part_that_can_change_while_it_runs_is_not_stopped(recorder):
    parts = Parts()
    parts.start([recorder.plan("a")])
    changed = []

    def update(service):
        changed.append(service)
        return True

    plan = PartPlan(name="a", key=1, build=recorder.plan("a", 1).build, update=update)
    recorder.log.clear()
    assert parts.change([plan]) == ("a: changed",)
    assert changed == [parts.service("a")]
    assert recorder.log == []
    assert parts.change([plan]) == ()


def test_a_part_that_cannot_change_that_far_is_restarted(recorder):
    parts = Parts()
    parts.start([recorder.plan("a")])
    recorder.log.clear()
    new = PartPlan(name="a", key=1, build=recorder.plan("a", 1).build, update=lambda _: False)
    assert parts.change([new]) == ("a: restarted",)
    assert recorder.log == ["stop a:0", "start a:1"]
