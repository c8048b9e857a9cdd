"""A database whose file is damaged while it is in use."""

from __future__ import annotations

import sqlite3

import pytest

from agent.errors import PermanentError
from agent.store.database import FILE_NAME, Database


@pytest.fixture
def database(tmp_path):
    one = Database(tmp_path)
    yield one
    one.close()


def test_damage_is_told_with_what_to_do(tmp_path):
    database = Database(tmp_path)
    with database.transaction() as statements:
        statements.executemany(
            "INSERT INTO images VALUES (?)", [(f"{number:0400d}",) for number in range(500)]
        )
    database.close()
    path = tmp_path / FILE_NAME
    content = path.read_bytes()
    # The rows alone: what is read at the opening is whole.
    path.write_bytes(content[: len(content) // 2] + b"\xa5" * (len(content) - len(content) // 2))
    database = Database(tmp_path)
    try:
        with (
            pytest.raises(PermanentError, match="move the file away"),
            database.transaction() as statements,
        ):
            statements.execute("SELECT * FROM images").fetchall()
    finally:
        database.close()


def test_a_fault_of_a_statement_is_no_damage(database):
    with pytest.raises(sqlite3.IntegrityError), database.transaction() as statements:
        statements.executemany("INSERT INTO images VALUES (?)", [("a",), ("a",)])
    with database.transaction() as statements:
        assert statements.execute("SELECT * FROM images").fetchall() == []
