"""The database of an agent, read beside it."""

from __future__ import annotations

import sqlite3

import pytest

from agent.errors import NotFoundError, TransientError
from agent.store import reading
from agent.store.database import Database


def test_what_an_agent_wrote_is_read_while_it_works(tmp_path):
    folder = tmp_path / "with spaces?#%"
    database = Database(folder)
    with reading.opened(folder) as statements:
        assert reading.instance(statements) is None
    name = database.instance
    with database.transaction(), reading.opened(folder) as statements:
        assert reading.instance(statements) == name
    database.close()
    with reading.opened(folder) as statements:
        assert reading.instance(statements) == name


def test_a_reader_can_write_nothing_and_stops_no_writer(tmp_path):
    database = Database(tmp_path)
    with reading.opened(tmp_path) as statements:
        statements.execute("BEGIN")
        statements.execute("SELECT * FROM meta").fetchall()
        name = database.instance
        statements.execute("ROLLBACK")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            statements.execute("DELETE FROM meta")
    assert database.instance == name
    database.close()


def test_where_no_agent_ever_was_nothing_is_made(tmp_path):
    with pytest.raises(NotFoundError), reading.opened(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_database_is_said_to_be_unreadable(tmp_path):
    (tmp_path / "state.db").write_bytes(b"nothing of SQLite" * 100)
    with (
        pytest.raises(TransientError, match="cannot be read"),
        reading.opened(tmp_path) as statements,
    ):
        reading.instance(statements)
