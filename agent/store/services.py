"""The statements for algorithm services: what should run, as a platform asked for it."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime

from agent.errors import ConflictError
from agent.model.workloads import DesiredService, EnvironmentVariable
from agent.store import packages
from agent.store.database import Database


class ServiceStore:
    """Keeps the desired services; what a method has returned from is on the disk.

    Safe in every thread. Every method raises NoRoomError and TransientError as the database does.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, service: DesiredService, *, maximum_services: int) -> None:
        """Write a service down if its package is still in force and nothing is to replace it.

        Raises:
            ConflictError: the package changed meanwhile, or there are too many services.
        """
        with self._database.transaction() as statements:
            row = statements.execute(
                "SELECT 1 FROM packages"
                " WHERE package_id = ? AND generation = ? AND push_state IS NULL",
                (service.package_id, service.generation),
            ).fetchone()
            if row is None:
                raise ConflictError(f"package {service.package_id} was just changed or deleted")
            (count,) = statements.execute(
                "SELECT count(*) FROM services WHERE removed_at IS NULL"
            ).fetchone()
            if count >= maximum_services:
                raise ConflictError(f"this node has {count} services, and takes no more")
            statements.execute(
                "INSERT INTO services (service_id, package_id, generation, env, replicas,"
                " accelerators, licence_url, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    service.service_id,
                    service.package_id,
                    service.generation,
                    _env_text(service.env),
                    service.replicas,
                    service.accelerators,
                    service.licence_url,
                    service.created_at.isoformat(),
                ),
            )

    def remove(
        self, *, package_id: str, service_id: str | None, now: datetime, keep_since: datetime
    ) -> bool:
        """Mark one service of a package, or all of them, as removed; tell whether any ever was.

        In the same breath the rows of those that were removed before `keep_since` go for good.
        """
        chosen = "package_id = ? AND (? IS NULL OR service_id = ?)"
        arguments = (package_id, service_id, service_id)
        with self._database.transaction() as statements:
            found = statements.execute(f"SELECT 1 FROM services WHERE {chosen}", arguments)  # noqa: S608 - our own words
            was_there = found.fetchone() is not None
            statements.execute(
                f"UPDATE services SET removed_at = ? WHERE {chosen} AND removed_at IS NULL",  # noqa: S608 - likewise
                (now.isoformat(), *arguments),
            )
            _purge(statements, keep_since=keep_since)
        return was_there

    def purge(self, *, keep_since: datetime) -> None:
        """Forget the services that were removed before this moment."""
        with self._database.transaction() as statements:
            _purge(statements, keep_since=keep_since)

    def desired(self) -> tuple[DesiredService, ...]:
        """Return the services that are not removed, oldest first."""
        with self._database.transaction() as statements:
            rows = statements.execute(
                "SELECT * FROM services WHERE removed_at IS NULL ORDER BY rowid"
            ).fetchall()
        return tuple(_service(row) for row in rows)

    def get(self, service_id: str) -> DesiredService | None:
        """Return a service that is not removed, None where there is none."""
        with self._database.transaction() as statements:
            row = statements.execute(
                "SELECT * FROM services WHERE service_id = ? AND removed_at IS NULL", (service_id,)
            ).fetchone()
        return None if row is None else _service(row)

    def retired(self) -> frozenset[str]:
        """Return the ids of the services that were removed and are still remembered."""
        with self._database.transaction() as statements:
            rows = statements.execute(
                "SELECT service_id FROM services WHERE removed_at IS NOT NULL"
            ).fetchall()
        return frozenset(str(row[0]) for row in rows)

    def has_services(self, package_id: str) -> bool:
        """Tell whether a service of this package is not removed."""
        with self._database.transaction() as statements:
            return packages.has_services(statements, package_id)


def _purge(statements: sqlite3.Connection, *, keep_since: datetime) -> None:
    statements.execute(
        "DELETE FROM services WHERE removed_at IS NOT NULL AND removed_at < ?",
        (keep_since.isoformat(),),
    )


def _service(row: sqlite3.Row) -> DesiredService:
    return DesiredService(
        service_id=row["service_id"],
        package_id=row["package_id"],
        generation=row["generation"],
        env=tuple(
            EnvironmentVariable(name=name, value=value) for name, value in json.loads(row["env"])
        ),
        replicas=row["replicas"],
        created_at=datetime.fromisoformat(row["created_at"]),
        licence_url=row["licence_url"],
        accelerators=row["accelerators"],
    )


def _env_text(env: tuple[EnvironmentVariable, ...]) -> str:
    return json.dumps([[each.name, each.value] for each in env], ensure_ascii=False)
