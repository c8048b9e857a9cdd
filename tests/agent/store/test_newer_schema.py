"""A database that a newer version of the agent wrote: what a downgrade meets."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.errors import PermanentError
from agent.store.database import STATE, Database, Schema
from agent.store.ledger import LEDGER
from agent.store.outbox_file import OUTBOX

SCHEMAS = (STATE, LEDGER, OUTBOX)


def dump(path: Path) -> tuple[int, list[str]]:
    with closing(sqlite3.connect(path)) as file:
        (version,) = file.execute("PRAGMA user_version").fetchone()
        return version, list(file.iterdump())


@pytest.fixture(params=SCHEMAS, ids=lambda schema: schema.file_name)
def schema(request: pytest.FixtureRequest) -> Schema:
    return request.param  # type: ignore[no-any-return]


def write_newer(folder: Path, *, schema: Schema) -> int:
    Database(folder, schema=schema).close()
    newer = len(schema.migrations) + 1
    with closing(sqlite3.connect(folder / schema.file_name)) as file:
        file.executescript(
            "CREATE TABLE of_tomorrow (x); INSERT INTO of_tomorrow VALUES (1);"
            f"PRAGMA user_version = {newer};"
        )
    return newer


def test_a_newer_file_is_refused_with_what_to_do(tmp_path: Path, schema: Schema) -> None:
    newer = write_newer(tmp_path, schema=schema)
    with pytest.raises(PermanentError) as caught:
        Database(tmp_path, schema=schema)
    assert str(tmp_path / schema.file_name) in caught.value.reason
    assert f"newer version of the agent (schema {newer}," in caught.value.reason
    assert "install that version again" in caught.value.reason


def test_a_newer_file_is_left_as_it_is(tmp_path: Path, schema: Schema) -> None:
    write_newer(tmp_path, schema=schema)
    before = dump(tmp_path / schema.file_name)
    with pytest.raises(PermanentError):
        Database(tmp_path, schema=schema)
    assert dump(tmp_path / schema.file_name) == before


def test_the_newer_version_can_use_it_again(tmp_path: Path, schema: Schema) -> None:
    write_newer(tmp_path, schema=schema)
    with pytest.raises(PermanentError):
        Database(tmp_path, schema=schema)
    tomorrow = Schema(
        file_name=schema.file_name,
        migrations=(*schema.migrations, "SELECT 1"),
        remedy=schema.remedy,
    )
    database = Database(tmp_path, schema=tomorrow)
    with database.transaction() as statements:
        assert statements.execute("SELECT x FROM of_tomorrow").fetchone()[0] == 1
    database.close()
