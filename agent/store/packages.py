"""The statements for packages, and their rows; every function works inside a transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from agent.model.workloads import Digests


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledRow:
    """Is the file in force of a package.

    `manifest` is JSON; `source` is the address it came from without secrets, None for an upload.
    """

    generation: str
    manifest: str
    size_bytes: int
    digests: Digests
    source: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRow:
    """Is a file that is on its way, or failed on it.

    `generation` None says that there is nothing of it: the file in force went missing. `url` may
    hold a password. `synced_bytes` of its file are safe on the disk.
    """

    generation: str | None
    state: Literal["downloading", "failed"]
    url: str | None = field(repr=False)
    digests: Digests
    size_bytes: int | None
    synced_bytes: int
    validator: str | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRow:
    """Is a package: the file in force, None before the first; and the push that is not done."""

    package_id: str
    created_at: datetime
    progress_at: datetime
    installed: InstalledRow | None
    push: PushRow | None


def find(statements: sqlite3.Connection, package_id: str) -> PackageRow | None:
    """Return a package, None where there is none."""
    row = statements.execute(
        "SELECT * FROM packages WHERE package_id = ?", (package_id,)
    ).fetchone()
    return None if row is None else _row(row)


def find_all(statements: sqlite3.Connection) -> tuple[PackageRow, ...]:
    """Return all packages, oldest first."""
    rows = statements.execute("SELECT * FROM packages ORDER BY created_at, rowid")
    return tuple(_row(row) for row in rows)


def count(statements: sqlite3.Connection) -> int:
    """Return how many packages there are."""
    return int(statements.execute("SELECT count(*) FROM packages").fetchone()[0])


def has_services(statements: sqlite3.Connection, package_id: str) -> bool:
    """Tell whether a service of the package is wanted."""
    row = statements.execute(
        "SELECT 1 FROM services WHERE package_id = ? AND removed_at IS NULL LIMIT 1", (package_id,)
    ).fetchone()
    return row is not None


def write_push(
    statements: sqlite3.Connection, package_id: str, push: PushRow, *, at: datetime
) -> None:
    """Make a package, or give it another push in place of the one it had."""
    statements.execute(
        "INSERT INTO packages (package_id, created_at) VALUES (?, ?) "
        "ON CONFLICT (package_id) DO NOTHING",
        (package_id, at.isoformat()),
    )
    statements.execute(
        "UPDATE packages SET push_generation = ?, push_state = ?, push_url = ?, push_md5 = ?, "
        "push_sha256 = ?, push_sm3 = ?, push_size_bytes = ?, push_synced_bytes = ?, "
        "push_validator = ?, push_error = ?, push_progress_at = ?, push_changed_at = ? "
        "WHERE package_id = ?",
        (
            push.generation,
            push.state,
            push.url,
            push.digests.md5,
            push.digests.sha256,
            push.digests.sm3,
            push.size_bytes,
            push.synced_bytes,
            push.validator,
            push.error,
            at.isoformat(),
            at.isoformat(),
            package_id,
        ),
    )


def write_progress(
    statements: sqlite3.Connection,
    generation: str,
    *,
    synced_bytes: int,
    size_bytes: int | None,
    validator: str | None,
    at: datetime | None,
) -> None:
    """Note what of a push is safe on the disk; `at` is when its last new byte came, if ever."""
    statements.execute(
        "UPDATE packages SET push_synced_bytes = ?, push_size_bytes = ?, push_validator = ?, "
        "push_progress_at = coalesce(?, push_progress_at) WHERE push_generation = ?",
        (
            synced_bytes,
            size_bytes,
            validator,
            None if at is None else at.isoformat(),
            generation,
        ),
    )


def write_error(statements: sqlite3.Connection, generation: str, error: str | None) -> None:
    """Note what a push last stumbled over."""
    statements.execute(
        "UPDATE packages SET push_error = ? WHERE push_generation = ?", (error, generation)
    )


def write_failure(
    statements: sqlite3.Connection, package_id: str, error: str, *, at: datetime
) -> None:
    """Note that a push has failed, or that the file in force went missing."""
    statements.execute(
        "UPDATE packages SET push_state = 'failed', push_error = ?, push_changed_at = ? "
        "WHERE package_id = ?",
        (error, at.isoformat(), package_id),
    )


def write_installed(
    statements: sqlite3.Connection, package_id: str, installed: InstalledRow, *, at: datetime
) -> None:
    """Put a file in force, for the first time or in place of another; ends the push."""
    statements.execute(
        "INSERT INTO packages (package_id, created_at) VALUES (?, ?) "
        "ON CONFLICT (package_id) DO NOTHING",
        (package_id, at.isoformat()),
    )
    statements.execute(
        "UPDATE packages SET generation = ?, manifest = ?, size_bytes = ?, md5 = ?, sha256 = ?, "
        "sm3 = ?, source = ? WHERE package_id = ?",
        (
            installed.generation,
            installed.manifest,
            installed.size_bytes,
            installed.digests.md5,
            installed.digests.sha256,
            installed.digests.sm3,
            installed.source,
            package_id,
        ),
    )
    clear_push(statements, package_id, at=at)


def clear_push(statements: sqlite3.Connection, package_id: str, *, at: datetime) -> None:
    """End the push of a package that has a file in force."""
    statements.execute(
        "UPDATE packages SET push_generation = NULL, push_state = NULL, push_url = NULL, "
        "push_md5 = NULL, push_sha256 = NULL, push_sm3 = NULL, push_size_bytes = NULL, "
        "push_synced_bytes = 0, push_validator = NULL, push_error = NULL, push_progress_at = ?, "
        "push_changed_at = ? WHERE package_id = ?",
        (at.isoformat(), at.isoformat(), package_id),
    )


def remove(statements: sqlite3.Connection, package_id: str) -> None:
    """Forget a package."""
    statements.execute("DELETE FROM packages WHERE package_id = ?", (package_id,))


def _row(row: sqlite3.Row) -> PackageRow:
    installed = None
    if row["generation"] is not None:
        installed = InstalledRow(
            generation=row["generation"],
            manifest=row["manifest"],
            size_bytes=row["size_bytes"],
            digests=Digests(md5=row["md5"], sha256=row["sha256"], sm3=row["sm3"]),
            source=row["source"],
        )
    push = None
    if row["push_state"] is not None:
        push = PushRow(
            generation=row["push_generation"],
            state=row["push_state"],
            url=row["push_url"],
            digests=Digests(md5=row["push_md5"], sha256=row["push_sha256"], sm3=row["push_sm3"]),
            size_bytes=row["push_size_bytes"],
            synced_bytes=row["push_synced_bytes"],
            validator=row["push_validator"],
            error=row["push_error"],
        )
    created_at = datetime.fromisoformat(row["created_at"])
    progress_at = row["push_progress_at"]
    return PackageRow(
        package_id=row["package_id"],
        created_at=created_at,
        progress_at=created_at if progress_at is None else datetime.fromisoformat(progress_at),
        installed=installed,
        push=push,
    )
