"""A runtime that is built when it is first wanted."""

from __future__ import annotations

import pytest

from agent.app.workloads.lazy_runtime import LazyRuntime
from agent.errors import PermanentError, TransientError
from runtimes.fake.runtime import FakeRuntime


def test_it_is_built_once_and_only_when_it_is_wanted():
    built = []
    lazy = LazyRuntime(lambda: built.append(FakeRuntime()) or built[-1])
    assert built == []
    assert lazy() is lazy()
    assert len(built) == 1


def test_one_that_could_not_be_built_is_tried_again():
    answers = iter([PermanentError("no such library"), FakeRuntime()])

    def build():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    lazy = LazyRuntime(build)
    with pytest.raises(PermanentError):
        lazy()
    assert lazy().name == "fake"


def test_after_its_end_it_builds_nothing():
    lazy = LazyRuntime(FakeRuntime)
    runtime = lazy()
    lazy.close()
    lazy.close()
    with pytest.raises(TransientError, match="stops"):
        lazy()
    with pytest.raises(TransientError):
        runtime.list_owned()
    never = LazyRuntime(lambda: pytest.fail("built"))
    never.close()
