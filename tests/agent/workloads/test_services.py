"""Requests to load and unload services."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from agent.config.settings import WorkloadSettings
from agent.errors import ConflictError, NotFoundError, RequestError, TransientError
from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading, ContainerGrant
from agent.model.view import AcceleratorView, AgentView
from agent.model.workloads import (
    EnvironmentVariable,
    InstalledPackage,
    Manifest,
    Package,
    PackageState,
    PackageType,
    Port,
    Resources,
)
from agent.store.database import Database
from agent.store.services import ServiceStore
from agent.workloads.service_planner import Chips
from agent.workloads.services import ServiceLoad, Services, shown_licence

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)
MANIFEST = Manifest(
    name="person",
    version="1",
    type=PackageType.IMAGE,
    member="image.tar",
    env=(
        EnvironmentVariable(name="AUTH_SERVER_ADDR", value="/opt/auth.lic"),
        EnvironmentVariable(name="LOG_LEVEL", value="info"),
    ),
)


class HandClock:
    """Is a clock that a test moves."""

    def __init__(self):
        self.moment = NOON

    def monotonic(self):
        return (self.moment - NOON).total_seconds()

    def now(self):
        return self.moment


class Shelf:
    """Is the packages of this node."""

    def __init__(self, database):
        self.database = database
        self.packages = {}
        self.in_force = {}

    def put(self, package_id="p", *, manifest=MANIFEST, state=PackageState.READY, error=None):
        generation = f"generation of {package_id}"
        self.packages[package_id] = Package(
            package_id=package_id, state=state, created_at=NOON, progress_at=NOON, error=error
        )
        if state is PackageState.READY:
            self.in_force[package_id] = InstalledPackage(
                package_id=package_id,
                generation=generation,
                file="/f",
                manifest=manifest,
                image="image:1",
            )
            with self.database.transaction() as statements:
                statements.execute(
                    "INSERT OR REPLACE INTO packages (package_id, created_at, generation)"
                    " VALUES (?, ?, ?)",
                    (package_id, NOON.isoformat(), generation),
                )

    def get(self, package_id):
        if package_id not in self.packages:
            raise NotFoundError(f"there is no package {package_id}")
        return self.packages[package_id]

    def installed(self, package_id):
        return self.in_force.get(package_id)


class Node:
    """Is a node with its database, packages, chips and services."""

    def __init__(self, folder, *, cards=0, settings=None):
        self.database = Database(folder)
        self.shelf = Shelf(self.database)
        self.clock = HandClock()
        self.changes = 0
        self.cards = cards
        self.settings = settings or WorkloadSettings()
        self.services = self.make_services()

    def make_services(self):
        return Services(
            ServiceStore(self.database),
            packages=self.shelf,
            chips=Chips(view=self.view, can_grant=lambda _: True, grant=self.grant),
            agent="agent-1",
            settings=lambda: self.settings,
            clock=self.clock,
            on_change=self.changed,
        )

    def changed(self):
        # Whoever is woken finds what changed.
        self.services.desired()
        self.changes += 1

    def view(self):
        cards = [
            AcceleratorView(
                accelerator=Accelerator(
                    uuid=f"u{number}",
                    vendor="acme",
                    kind=AcceleratorKind.NPU,
                    index=number,
                    product_name=None,
                    memory_total_bytes=None,
                ),
                reading=AcceleratorReading(uuid=f"u{number}"),
            )
            for number in range(self.cards)
        ]
        return AgentView(taken_at=NOON, taken_monotonic_seconds=0.0, accelerators=tuple(cards))

    def grant(self, vendor, uuids):
        return ContainerGrant(environment={"GIVEN": f"{vendor} {' '.join(uuids)}"})

    def load(self, package_id="p", **more):
        return self.services.load(ServiceLoad(package_id=package_id, **more))

    def refusal(self, error, **more):
        with pytest.raises(error) as refused:
            self.load(**more)
        assert self.services.desired() == ()
        assert self.changes == 0
        return refused.value.reason


@pytest.fixture
def make_node(tmp_path):
    made = []

    def make(**more):
        made.append(Node(tmp_path / "state", **more))
        return made[-1]

    yield make
    for node in made:
        node.database.close()


@pytest.fixture
def node(make_node):
    made = make_node()
    made.shelf.put()
    return made


def variable(name, value=""):
    return EnvironmentVariable(name=name, value=value)


def test_a_loaded_service_is_on_the_disk_and_whoever_acts_is_woken(node, make_node):
    env = (variable("LOG_LEVEL", "debug"),)
    service_id = node.load(env=env, replicas=3)
    assert node.changes == 1
    (desired,) = node.services.desired()
    assert (desired.service_id, desired.package_id, desired.env, desired.replicas) == (
        service_id,
        "p",
        env,
        3,
    )
    assert desired.generation == "generation of p"
    assert desired.created_at == NOON
    assert node.services.desired_by_id(service_id) == desired
    assert node.services.has_services("p")
    again = make_node()
    assert again.services.desired() == (desired,)


def test_services_come_oldest_first_with_ids_of_their_own(node):
    ids = [node.load() for _ in range(5)]
    assert [each.service_id for each in node.services.desired()] == ids
    assert len(set(ids)) == 5


def test_every_undeclared_variable_is_named(node):
    reason = node.refusal(RequestError, env=(variable("A"), variable("B"), variable("LOG_LEVEL")))
    assert "A, B: not declared" in reason


def test_even_the_standards_own_names_have_to_be_declared(node):
    node.shelf.put(manifest=replace(MANIFEST, env=()))
    env = (variable("AUTH_SERVER_ADDR", "127.0.0.1:8088"), variable("LOG_LEVEL", "info"))
    assert "AUTH_SERVER_ADDR, LOG_LEVEL" in node.refusal(RequestError, env=env)


def test_a_value_longer_than_the_standard_is_kept_whole_and_logged_without_itself(node, caplog):
    value = "secret" * 100
    with caplog.at_level(logging.INFO):
        node.load(env=(variable("LOG_LEVEL", value),))
    assert node.services.desired()[0].env == (variable("LOG_LEVEL", value),)
    assert "event=long_value package=p name=LOG_LEVEL characters=600" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("replicas", [0, -1, 65])
def test_replicas_have_bounds(node, replicas):
    assert "between 1 and 64" in node.refusal(RequestError, replicas=replicas)


def test_an_artifact_is_not_run(node):
    node.shelf.put(manifest=replace(MANIFEST, type=PackageType.ARTIFACT))
    assert "artifact" in node.refusal(RequestError)


def test_a_package_that_is_unknown_on_its_way_or_failed_says_so(node):
    node.refusal(NotFoundError, package_id="q")
    node.shelf.put("q", state=PackageState.DOWNLOADING, error="the server is slow")
    assert "still downloading (the server is slow)" in node.refusal(ConflictError, package_id="q")
    node.shelf.put("q", state=PackageState.FAILED, error="HTTP 404")
    assert node.refusal(ConflictError, package_id="q") == "package q failed: HTTP 404"


def test_a_package_that_changes_under_a_load_is_a_conflict(node):
    with node.database.transaction() as statements:
        statements.execute("UPDATE packages SET push_state = 'downloading'")
    node.refusal(ConflictError)


@pytest.mark.parametrize(
    "url", ["ftp://h/l", "file:///etc/passwd", "/l", "", "http://", "http://h/" + "x" * 2048]
)
def test_a_licence_comes_over_http_from_an_address_of_sane_length(node, url):
    assert "LicenseFile" in node.refusal(RequestError, licence_url=url)


def test_a_licence_needs_a_place_in_the_package(node):
    node.shelf.put(manifest=replace(MANIFEST, env=(variable("AUTH_SERVER_ADDR", "h:1"),)))
    assert "LicenseFile" in node.refusal(RequestError, licence_url="http://h/l")


def test_the_address_of_a_licence_shows_no_secret(node, caplog):
    with caplog.at_level(logging.INFO):
        node.load(licence_url="https://user:hidden@host/l?sign=hidden")
    (desired,) = node.services.desired()
    assert desired.licence_url == "https://user:hidden@host/l?sign=hidden"
    assert shown_licence(desired) == "https://host/l?***"
    assert "event=service_loaded" in caplog.text
    assert "hidden" not in caplog.text
    assert shown_licence(replace(desired, licence_url=None)) is None


def test_replicas_that_would_share_a_port_are_refused(node):
    ports = (Port(container_port=1, host_port=8000), Port(container_port=2, host_port=8001))
    node.shelf.put(manifest=replace(MANIFEST, ports=ports))
    assert "8001" in node.refusal(RequestError, replicas=2)
    node.load(replicas=1)


def test_replicas_beyond_the_last_port_are_refused(node):
    ports = (Port(container_port=1, host_port=65535),)
    node.shelf.put(manifest=replace(MANIFEST, ports=ports))
    assert "65535" in node.refusal(RequestError, replicas=2)


def test_one_service_is_unloaded_and_again_and_is_remembered_a_week(node):
    first, second = node.load(), node.load()
    for _ in range(2):
        node.services.unload(package_id="p", service_id=first)
    assert [each.service_id for each in node.services.desired()] == [second]
    assert node.services.retired() == {first}
    with pytest.raises(NotFoundError):
        node.services.desired_by_id(first)
    node.clock.moment += timedelta(days=7, seconds=1)
    assert node.make_services().retired() == frozenset()
    with pytest.raises(NotFoundError):
        node.services.unload(package_id="p", service_id=first)


def test_unloading_forgets_the_old_ones_too(node):
    first, second = node.load(), node.load()
    node.services.unload(package_id="p", service_id=first)
    node.clock.moment += timedelta(days=8)
    node.services.unload(package_id="p", service_id=second)
    assert node.services.retired() == {second}


def test_without_an_id_all_services_of_the_package_are_unloaded(node):
    node.shelf.put("q")
    node.load()
    node.load()
    other = node.load("q")
    changes = node.changes
    node.services.unload(package_id="p", service_id=None)
    assert [each.service_id for each in node.services.desired()] == [other]
    assert not node.services.has_services("p")
    assert node.changes == changes + 1


def test_all_of_a_known_package_without_services_is_a_success_and_of_an_unknown_one_is_not(node):
    node.services.unload(package_id="p", service_id=None)
    with pytest.raises(NotFoundError):
        node.services.unload(package_id="q", service_id=None)
    assert node.changes == 0


def test_a_deleted_package_that_had_services_can_still_be_cleared(node):
    node.load()
    node.services.unload(package_id="p", service_id=None)
    del node.shelf.packages["p"]
    node.services.unload(package_id="p", service_id=None)


def test_a_service_of_another_package_is_not_found(node):
    node.shelf.put("q")
    service_id = node.load()
    for wrong in ({"package_id": "q", "service_id": service_id}, {"package_id": "p"}):
        with pytest.raises(NotFoundError):
            node.services.unload(**{"service_id": "nobody", **wrong})
    assert len(node.services.desired()) == 1


def accelerators(node):
    node.load()
    return node.services.desired()[-1].accelerators


def test_how_many_chips_a_replica_gets_is_settled_when_it_is_loaded(node):
    assert accelerators(node) == 0
    node.cards = 2
    assert accelerators(node) == 1
    node.settings = WorkloadSettings(accelerators=2)
    assert accelerators(node) == 2
    node.shelf.put(manifest=replace(MANIFEST, resources=Resources(accelerators=0)))
    assert accelerators(node) == 0
    node.shelf.put(manifest=replace(MANIFEST, resources=Resources(accelerators=4)))
    assert accelerators(node) == 4


def test_a_plan_shows_every_replica_and_writes_nothing(node):
    node.cards = 3
    node.shelf.put(
        manifest=replace(
            MANIFEST,
            ports=(Port(container_port=80, host_port=8000),),
            resources=Resources(accelerators=1),
        )
    )
    load = ServiceLoad(package_id="p", replicas=3, licence_url="http://h/l")
    plan = node.services.plan(load, taken={"u0": 1})
    assert [each.environment["GIVEN"] for each in plan] == ["acme u1", "acme u2", "acme u0"]
    assert [each.ports[0].host_port for each in plan] == [8000, 8001, 8002]
    assert {each.mounts[0].target for each in plan} == {"/opt/auth.lic"}
    assert node.services.desired() == ()
    node.shelf.put(manifest=replace(MANIFEST, resources=Resources(accelerators=4)))
    with pytest.raises(TransientError, match="this node has 3 of acme"):
        node.services.plan(load)


def test_a_plan_is_refused_as_a_load_is(node):
    with pytest.raises(RequestError):
        node.services.plan(ServiceLoad(package_id="p", env=(variable("A"),)))
