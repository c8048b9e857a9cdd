"""The log's lines, as people, programs and the journal read them."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone

import pytest

from agent.app import logs
from agent.config.settings import LogSettings

TOP_SECRET = "hunter-2"


@pytest.fixture
def written(monkeypatch, capsys):
    """Return a function that gives what was written; the log is put back at the end."""
    root = logging.getLogger()
    others = [logging.getLogger(name) for name in ("urllib3", "waitress")]
    before = root.handlers[:], root.level, [each.level for each in others]
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    yield lambda: capsys.readouterr().err
    root.handlers[:], level, levels = before
    root.setLevel(level)
    for logger, former in zip(others, levels, strict=True):
        logger.setLevel(former)


@pytest.fixture
def log():
    return logging.getLogger("agent.test")


def fail(log):
    try:
        raise ValueError("first line\nsecond line")
    except ValueError:
        log.exception("event=failed\nlook")


def test_a_person_reads_time_level_and_place(written, log):
    logs.configure(LogSettings())
    log.warning("event=tested count=%d", 3)
    line = written()
    assert line.endswith(" WARNING agent.test event=tested count=3\n")
    moment = datetime.strptime(line[:19], "%Y-%m-%d %H:%M:%S").astimezone()
    assert abs((datetime.now(timezone.utc) - moment).total_seconds()) < 5


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("debug", "<7>"), ("info", "<6>"), ("warning", "<4>"), ("error", "<3>"), ("critical", "<2>")],
)
def test_the_journal_reads_the_level_and_stamps_the_time_itself(
    written, log, monkeypatch, name, prefix
):
    monkeypatch.setenv("JOURNAL_STREAM", "8:1234")
    logs.configure(LogSettings(level="debug"))
    getattr(log, name)("event=tested")
    assert written() == f"{prefix}{name.upper()} agent.test event=tested\n"


def test_every_line_of_a_traceback_has_the_level(written, log, monkeypatch):
    monkeypatch.setenv("JOURNAL_STREAM", "8:1234")
    logs.configure(LogSettings())
    fail(log)
    lines = written().splitlines()
    assert len(lines) > 5
    assert all(line.startswith("<3>") for line in lines)
    assert "<3>second line" in lines


def test_a_program_reads_one_document_a_line(written, log):
    logs.configure(LogSettings(format="json"))
    log.info('event=tested text="%s"', '密码\n"\x00\ud800'.encode("utf-8", "replace").decode())
    fail(log)
    first, second = (json.loads(line) for line in written().splitlines())
    assert list(first) == ["time", "level", "logger", "message"]
    assert (first["level"], first["logger"]) == ("info", "agent.test")
    assert first["message"] == 'event=tested text="密码\n"\x00?"'
    assert datetime.fromisoformat(first["time"]).utcoffset().total_seconds() == 0
    assert second["message"] == "event=failed\nlook"
    assert second["traceback"].splitlines()[-2:] == ["ValueError: first line", "second line"]


def test_json_goes_to_the_journal_as_it_is(written, log, monkeypatch):
    monkeypatch.setenv("JOURNAL_STREAM", "8:1234")
    logs.configure(LogSettings(format="json"))
    log.info("event=tested")
    assert json.loads(written())["message"] == "event=tested"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_what_is_below_the_level_is_not_written(written, log, level):
    logs.configure(LogSettings(level=level))
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("event=%s", name)
    shown = [line.rpartition("event=")[2] for line in written().splitlines()]
    names = ["debug", "info", "warning", "error"]
    assert shown == names[names.index(level) :]


def test_a_reload_does_not_write_every_line_twice(written, log):
    logs.configure(LogSettings())
    logs.configure(LogSettings(format="json"))
    log.info("event=tested")
    assert json.loads(written())["message"] == "event=tested"


def test_libraries_do_not_tell_what_they_send(written):
    logs.configure(LogSettings(level="debug"))
    logging.getLogger("urllib3.connectionpool").debug("Authorization: Bearer %s", TOP_SECRET)
    logging.getLogger("waitress.queue").info(TOP_SECRET)
    assert written() == ""
