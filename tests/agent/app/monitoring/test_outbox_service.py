"""The outbox belongs to one process, and is taken up once it can be used."""

from __future__ import annotations

import pytest

from agent.app.monitoring.outbox_service import LOCK_NAME, OutboxService, open_outbox
from agent.config.monitoring_settings import OutboxSettings
from agent.errors import PermanentError, TransientError
from agent.model.clock import SystemClock
from agent.store.file_lock import FileLock
from tests.agent.centre.conftest import wait_until

SETTINGS = OutboxSettings(maximum_mib=1, keep_days=1)


def is_open(service):
    try:
        return service.opened is not None
    except TransientError:
        return False


def test_an_outbox_that_another_process_has_is_taken_up_later(tmp_path):
    lock = FileLock(tmp_path, LOCK_NAME)
    service = OutboxService(tmp_path, settings=SETTINGS, clock=SystemClock(), retry_seconds=0.01)
    service.start()
    with pytest.raises(TransientError, match=LOCK_NAME):
        _ = service.opened
    lock.release()
    wait_until(lambda: is_open(service))
    service.stop(timeout_seconds=5)
    service.stop(timeout_seconds=5)
    assert not is_open(service)
    open_outbox(tmp_path, settings=SETTINGS, clock=SystemClock()).close()


def test_the_limits_are_those_of_the_settings(tmp_path):
    opened = open_outbox(tmp_path, settings=SETTINGS, clock=SystemClock())
    opened.outbox.enqueue("city", key="a", body=b"x" * (1 << 20))
    with pytest.raises(Exception, match="1048576 bytes wait"):
        opened.outbox.enqueue("city", key="b", body=b"x")
    opened.close()


def test_a_damaged_file_leaves_no_lock_behind(tmp_path):
    (tmp_path / "outbox.db").write_bytes(b"no database" * 1000)
    with pytest.raises(PermanentError, match=r"outbox\.db"):
        open_outbox(tmp_path, settings=SETTINGS, clock=SystemClock())
    FileLock(tmp_path, LOCK_NAME).release()


def test_a_lock_is_held_once_and_let_go(tmp_path):
    first = FileLock(tmp_path, "one.lock")
    with pytest.raises(TransientError, match=r"one\.lock is held by another process"):
        FileLock(tmp_path, "one.lock")
    first.release()
    first.release()
    FileLock(tmp_path, "one.lock").release()


def test_a_folder_that_cannot_be_made_says_what_to_check(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PermanentError, match=r"node\.state_dir"):
        FileLock(tmp_path / "file", "one.lock")
