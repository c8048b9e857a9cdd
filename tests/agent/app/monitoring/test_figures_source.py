"""The file of figures is read anew when it changes, and a broken one says why."""

from __future__ import annotations

import logging
import os

import pytest

from agent.app.monitoring import figures_source
from agent.app.monitoring.figures_source import FiguresSource
from agent.errors import PermanentError
from agent.protocols.tc609.report_map import DEFAULT_MAP


@pytest.fixture
def path(tmp_path):
    return tmp_path / "figures.yaml"


@pytest.fixture
def source(path):
    return FiguresSource(str(path), platform="city", report_map=DEFAULT_MAP)


def test_a_file_is_read_anew_only_when_it_has_changed(path, source, monkeypatch):
    reads = []
    load = figures_source.load
    monkeypatch.setattr(
        figures_source, "load", lambda *given, **more: reads.append(1) or load(*given, **more)
    )
    path.write_text("always: {racks: 1}\n")
    assert source.read().always == {"racks": 1}
    assert source.read().always == {"racks": 1}
    assert len(reads) == 1
    path.write_text("always: {racks: 2}\n")
    os.utime(path, ns=(1, 1))
    assert source.read().always == {"racks": 2}
    assert len(reads) == 2


def test_a_broken_file_gives_its_first_problem_and_how_many_there_are(path, source, caplog):
    caplog.set_level(logging.INFO)
    path.write_text("always: {racks: many, users: few}\n")
    for _ in range(3):
        with pytest.raises(PermanentError, match=r"figures.yaml:1:.*\(and 1 more\)"):
            source.read()
    assert caplog.text.count("event=figures_unusable") == 1
    path.write_text("always: {racks: 12}\n")
    assert source.trouble is None
    assert source.read().always == {"racks": 12}


def test_a_file_that_is_not_there_is_found_once_it_is(path, source):
    with pytest.raises(PermanentError, match="no such file"):
        source.read()
    path.write_text("always: {racks: 12}\n")
    assert source.read().always == {"racks": 12}
    path.unlink()
    with pytest.raises(PermanentError):
        source.read()


def test_a_named_pipe_blocks_nobody(path, source):
    os.mkfifo(path)
    assert "not a regular file" in (source.trouble or "")


def test_without_a_file_nothing_is_filled_in():
    source = FiguresSource(None, platform="city", report_map=DEFAULT_MAP)
    assert source.read().always == {}
    assert source.trouble is None
