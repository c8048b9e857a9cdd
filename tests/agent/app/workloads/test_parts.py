"""Packages and services as a part of the agent: start, reload, stop, and what cannot be used."""

from __future__ import annotations

import io
import logging
import shutil
import threading
from dataclasses import replace

import pytest

from agent.app import build_workloads
from agent.app.wiring import Wiring
from agent.config.settings import AcsmpSettings, DownloadSettings
from agent.errors import ConflictError, NotFoundError, TransientError
from agent.model.clock import SystemClock
from agent.model.workloads import Digests, PackageState, ServiceState
from agent.store.database import FILE_NAME
from agent.workloads.packages import PackagePush
from agent.workloads.services import ServiceLoad
from tests.agent.app.workload_home import PATIENCE_SECONDS, Home, package, until
from tests.file_server import FileServer


@pytest.fixture
def home(tmp_path):
    one = Home(tmp_path)
    yield one
    one.stop()


@pytest.fixture
def loaded(home):
    """Return the id of a service that runs."""
    home.start()
    home.workloads.packages.receive("p", file=io.BytesIO(package()), digests=Digests())
    service_id = home.workloads.services.load(ServiceLoad(package_id="p"))
    until(lambda: home.service(service_id).state is ServiceState.RUNNING)
    return service_id


def test_a_reload_keeps_packages_services_and_containers(home, loaded):
    before = home.engine.all_containers()
    home.workloads.reload(home.changed(accelerators=0))
    assert [each.package_id for each in home.workloads.packages.list()] == ["p"]
    until(lambda: home.service(loaded).state is ServiceState.RUNNING)
    assert [each.container_id for each in home.engine.all_containers()] == [
        each.container_id for each in before
    ]
    assert home.workloads.is_alive()


def test_a_restart_finds_everything_again(home, loaded):
    (before,) = home.engine.all_containers()
    home.stop()
    home.workloads = home.make(home.settings)
    home.start()
    until(lambda: home.service(loaded).state is ServiceState.RUNNING)
    (after,) = home.engine.all_containers()
    assert after.container_id == before.container_id


def test_a_download_goes_on_after_a_reload_where_it_was(home):
    content = package()
    server = FileServer(content)
    go_on = threading.Event()
    half = len(content) // 2

    def serve(asked, sock):
        if not go_on.is_set():
            sock.sendall(
                b'HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\nETag: "one"\r\n'
                b"Content-Length: %d\r\n\r\n" % len(content) + content[:half]
            )
            server.over.wait(PATIENCE_SECONDS)
        else:
            server.serve(asked, sock)

    server.answer = serve
    try:
        home.start()
        home.workloads.packages.push(PackagePush(package_id="p", url=server.url, digests=Digests()))
        until(lambda: home.workloads.packages.get("p").received_bytes == half)
        go_on.set()
        home.workloads.reload(home.changed(download=DownloadSettings(minimum_free_gib=0.001)))
        until(lambda: home.workloads.packages.get("p").state is PackageState.READY)
        assert server.asked[-1].offset == half
    finally:
        server.close()


def test_other_settings_are_in_force_after_a_reload(home):
    home.start()
    home.workloads.reload(home.changed(package_maximum_gib=1e-9))
    with pytest.raises(Exception, match="larger"):
        home.workloads.packages.receive("p", file=io.BytesIO(package()), digests=Digests())


def test_what_is_asked_during_a_reload_is_told_to_try_again(home):
    home.start()
    home.stop()
    with pytest.raises(TransientError, match="try again") as refused:
        _ = home.workloads.packages
    assert refused.value.retry_after_seconds


def damage(folder):
    """Write a database whose first page is whole and whose others are not."""
    path = folder / FILE_NAME
    content = path.read_bytes()
    path.write_bytes(content[:1024] + b"\xa5" * (len(content) - 1024))
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)


@pytest.mark.parametrize("content", [None, b"no database at all" * 1000], ids=["torn", "other"])
def test_a_damaged_database_is_told_to_whoever_asks_and_ends_nothing(home, content, caplog):
    caplog.set_level(logging.ERROR)
    folder = home.workloads.folder
    home.start()
    home.stop()
    if content is None:
        damage(folder)
    else:
        (folder / FILE_NAME).write_bytes(content)
    home.workloads = home.make(home.settings)
    home.start()
    with pytest.raises(TransientError, match="move the file away"):
        _ = home.workloads.services
    document = home.wiring.status_document()
    assert "move the file away" in document["workloads"]["unknown"]
    assert document["workloads"]["packages"] is None
    # Nothing is stuck that a restart of the agent would mend.
    assert document["stale_loops"] == []
    # It is said once, however often it is tried.
    tries = home.runtimes_built
    assert tries == 0
    assert sum("workloads_unusable" in line for line in caplog.messages) == 1

    (folder / FILE_NAME).rename(folder / "damaged")
    until(lambda: home.wiring.status_document()["workloads"]["unknown"] is None)
    assert home.workloads.packages.list() == ()


def test_a_folder_that_cannot_be_used_is_used_once_it_can(home):
    folder = home.workloads.folder
    (folder / "packages").write_text("a file where a folder should be")
    home.start()
    with pytest.raises(TransientError, match="packages"):
        home.workloads.seen()
    (folder / "packages").unlink()
    until(lambda: home.wiring.status_document()["workloads"]["unknown"] is None)


def test_a_reload_tries_what_could_not_be_used_at_once(home):
    folder = home.workloads.folder
    (folder / "packages").write_text("")
    home.workloads._retry_seconds = 1000.0
    home.start()
    (folder / "packages").unlink()
    home.workloads.reload(home.settings)
    assert home.workloads.packages.list() == ()


def test_no_runtime_is_built_for_an_agent_with_nothing_to_run(home):
    home.start()
    home.workloads.packages.receive("p", file=io.BytesIO(package()), digests=Digests())
    home.workloads.reload(home.changed(accelerators=0))
    assert (home.workloads.seen(), home.workloads.orphans()) == ((), None)
    assert home.runtimes_built == 0


def test_what_services_use_is_measured_again_and_again(home, loaded):
    until(lambda: home.engine.calls.get("usage", 0) >= 3)


def test_a_measurement_that_fails_is_not_the_last(home, loaded):
    home.engine.refusals["usage"] = RuntimeError("a fault")
    before = home.engine.calls.get("usage", 0)
    until(lambda: home.engine.calls.get("usage", 0) >= before + 3)


def test_logs_come_from_the_container_of_the_replica(home, loaded):
    assert home.workloads.logs(loaded, replica=0, tail_lines=10) == b"started\n"
    with pytest.raises(NotFoundError, match="replicas 0 to 0"):
        home.workloads.logs(loaded, replica=1, tail_lines=10)
    home.engine.kill_engine()
    until(lambda: home.service(loaded).state is ServiceState.UNSPECIFIED)
    with pytest.raises(ConflictError, match="the engine is not there"):
        home.workloads.logs(loaded, replica=0, tail_lines=10)


def test_orphans_are_unknown_while_the_engine_is_away(home, loaded):
    assert home.workloads.orphans() == ()
    home.engine.kill_engine()
    until(lambda: home.workloads.orphans() is None)


def test_stopping_ends_every_thread(home, loaded):
    home.stop()
    home.stop()
    names = {thread.name for thread in threading.enumerate()}
    assert not {name for name in names if name.startswith(("workload", "package"))}


def test_an_unchanged_folder_is_reloaded_and_another_one_restarted(tmp_path):
    home = Home(tmp_path / "one")
    wiring = Wiring(clock=SystemClock())
    service = build_workloads.part(home.settings, wiring=wiring).build()
    service.start()
    try:
        platform = AcsmpSettings(name="city", url="http://127.0.0.1:1")
        other = replace(home.settings, acsmp=(platform,))
        assert build_workloads.part(other, wiring=wiring).update(service)
        node = replace(home.settings.node, state_dir=str(tmp_path / "two"))
        moved = replace(home.settings, node=node)
        # As the daemon does: the settings are noted before the parts are changed.
        wiring.settings = moved
        assert not build_workloads.part(moved, wiring=wiring).update(service)
    finally:
        service.stop(timeout_seconds=PATIENCE_SECONDS)
    assert wiring.workloads is None
    shutil.rmtree(tmp_path / "one")
