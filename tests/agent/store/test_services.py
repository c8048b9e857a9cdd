"""Desired services on the disk."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

import pytest

from agent.errors import ConflictError
from agent.model.workloads import DesiredService, EnvironmentVariable
from agent.store import packages
from agent.store.database import Database
from agent.store.services import ServiceStore

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)
LONG_AGO = NOON - timedelta(days=1000)


@pytest.fixture
def database(tmp_path):
    opened = Database(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def store(database):
    return ServiceStore(database)


def install(database, package_id="p", *, generation="g1", push_state=None):
    with database.transaction() as statements:
        statements.execute(
            "INSERT OR REPLACE INTO packages (package_id, created_at, generation, push_state)"
            " VALUES (?, ?, ?, ?)",
            (package_id, NOON.isoformat(), generation, push_state),
        )


def service(service_id="s1", **changed):
    values = {
        "service_id": service_id,
        "package_id": "p",
        "generation": "g1",
        "env": (EnvironmentVariable(name="地址", value='a"\n=芝麻'),),
        "replicas": 2,
        "created_at": NOON,
        "licence_url": "https://user:secret@host/licence",
        "accelerators": 3,
    }
    return DesiredService(**{**values, **changed})


def add(store, added):
    store.add(added, maximum_services=3)


def remove(store, service_id=None, *, package_id="p", now=NOON, keep_since=LONG_AGO):
    return store.remove(
        package_id=package_id, service_id=service_id, now=now, keep_since=keep_since
    )


def test_what_was_added_is_there_after_the_database_was_opened_again(database, store, tmp_path):
    install(database)
    plain = service("s2", env=(), licence_url=None, created_at=NOON + timedelta(microseconds=1))
    add(store, service())
    add(store, plain)
    database.close()
    again = ServiceStore(Database(tmp_path))
    assert again.desired() == (service(), plain)
    assert again.get("s2") == plain


@pytest.mark.parametrize(
    "state", [{"generation": "g2"}, {"push_state": "downloading"}, {"push_state": "failed"}]
)
def test_nothing_is_added_once_the_package_changed(database, store, state):
    install(database, **state)
    with pytest.raises(ConflictError):
        add(store, service())
    assert store.desired() == ()


def test_nothing_is_added_to_a_package_that_is_gone(store):
    with pytest.raises(ConflictError):
        add(store, service())


def test_there_is_an_end_to_services_until_one_is_removed(database, store):
    install(database)
    for number in range(3):
        add(store, service(f"s{number}"))
    with pytest.raises(ConflictError):
        add(store, service("s3"))
    remove(store, "s0")
    add(store, service("s3"))
    assert [each.service_id for each in store.desired()] == ["s1", "s2", "s3"]


def test_a_removed_service_is_remembered_as_retired(database, store):
    install(database)
    add(store, service())
    assert remove(store, "s1")
    assert store.desired() == ()
    assert store.get("s1") is None
    assert store.retired() == {"s1"}


def test_removing_without_an_id_takes_the_services_of_that_package_alone(database, store):
    install(database)
    install(database, "q", generation="h1")
    for added in (service("s1"), service("s2"), service("t1", package_id="q", generation="h1")):
        add(store, added)
    assert remove(store)
    assert [each.service_id for each in store.desired()] == ["t1"]
    assert (store.has_services("p"), store.has_services("q")) == (False, True)


def test_a_service_is_not_removed_under_the_name_of_another_package(database, store):
    install(database)
    add(store, service())
    assert not remove(store, "s1", package_id="q")
    assert store.get("s1") == service()


def test_removing_again_is_known_and_keeps_the_first_moment(database, store):
    install(database)
    add(store, service())
    remove(store, "s1", now=NOON)
    assert remove(store, "s1", now=NOON + timedelta(days=5))
    store.purge(keep_since=NOON + timedelta(seconds=1))
    assert store.retired() == frozenset()


def test_only_what_was_removed_long_ago_is_forgotten(database, store):
    install(database)
    for number in range(3):
        add(store, service(f"s{number}"))
    remove(store, "s0", now=NOON)
    remove(store, "s1", now=NOON + timedelta(days=1), keep_since=NOON + timedelta(hours=1))
    assert store.retired() == {"s1"}
    assert [each.service_id for each in store.desired()] == ["s2"]
    assert not remove(store, "s0")


def test_a_package_can_be_checked_inside_the_transaction_that_changes_it(database, store):
    install(database)
    add(store, service())
    with database.transaction() as statements:
        assert packages.has_services(statements, "p")
        assert not packages.has_services(statements, "q")


def test_a_delete_and_loads_at_once_leave_no_service_without_its_package(database, store):
    barrier = threading.Barrier(2)

    def delete():
        barrier.wait(10)
        with database.transaction() as statements:
            if not packages.has_services(statements, "p"):
                statements.execute("DELETE FROM packages WHERE package_id = 'p'")

    outcomes = set()
    for number in range(40):
        install(database)
        deleting = threading.Thread(target=delete)
        deleting.start()
        barrier.wait(10)
        try:
            add(store, service(f"s{number}"))
            loaded = True
        except ConflictError:
            loaded = False
        deleting.join(10)
        with database.transaction() as statements:
            (count,) = statements.execute("SELECT count(*) FROM packages").fetchone()
        assert count == int(loaded)
        outcomes.add(loaded)
        remove(store)
    assert outcomes
