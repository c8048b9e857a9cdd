"""The words of the command `demo`."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("seconds", ["nan", "-1", "inf", "soon", "86401"])
def test_a_time_that_is_none_is_bad_input(operator, seconds):
    asked = operator("demo", f"--seconds={seconds}")
    assert (asked.status, asked.out) == (2, "")
    assert f"'{seconds}' is not a number of seconds from 0 to 86400" in asked.err


@pytest.mark.parametrize(("words", "seconds"), [([], None), (["--seconds", "0.5"], 0.5)])
def test_no_time_means_until_ctrl_c(operator, monkeypatch, words, seconds):
    asked_for = []

    def run(*, seconds):
        asked_for.append(seconds)
        return 1

    monkeypatch.setattr("agent.app.demo.node.run", run)
    assert operator("demo", *words).status == 1
    assert asked_for == [seconds]


def test_ctrl_c_ends_with_130(operator, monkeypatch):
    def run(*, seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr("agent.app.demo.node.run", run)
    asked = operator("demo")
    assert (asked.status, asked.err) == (130, "")
