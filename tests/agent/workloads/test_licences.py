"""The files of offline authorisation."""

from __future__ import annotations

import logging
import os
import stat
import threading
from datetime import datetime, timezone

import pytest

from agent.errors import PermanentError, TransientError
from agent.model.workloads import DesiredService
from agent.workloads.licences import MAXIMUM_BYTES, Licences

ID = "76079e21-1b8b-4151-b904-6c56a4635d58"
OTHER = "86079e21-1b8b-4151-b904-6c56a4635d58"


class Source:
    """Is a server with one licence."""

    def __init__(self, content=b"the licence"):
        self.content = content
        self.asked = []

    def __call__(self, url, *, maximum_bytes):
        self.asked.append((url, maximum_bytes))
        if isinstance(self.content, Exception):
            raise self.content
        return self.content


def service(service_id=ID, url="https://user:hidden@host/l?sign=hidden"):
    return DesiredService(
        service_id=service_id,
        package_id="p",
        generation="g",
        env=(),
        replicas=1,
        created_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        licence_url=url,
    )


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "licences"


def names(folder):
    return sorted(each.name for each in folder.iterdir())


def test_a_licence_is_fetched_once_and_is_there_offline_for_ever_after(folder):
    source = Source()
    path = Licences(folder, fetch=source).ensure(service())
    assert path.read_bytes() == b"the licence"
    assert source.asked == [(service().licence_url, MAXIMUM_BYTES)]
    source.content = TransientError("no network")
    assert Licences(folder, fetch=source).ensure(service()) == path
    assert len(source.asked) == 1
    assert names(folder) == [ID]


def test_every_user_of_a_container_may_read_the_file_and_nobody_else_of_this_node(folder):
    before = os.umask(0o077)
    try:
        path = Licences(folder, fetch=Source()).ensure(service())
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_longest_licence_is_taken_and_a_longer_or_empty_one_is_not(folder):
    source = Source(b"x" * MAXIMUM_BYTES)
    licences = Licences(folder, fetch=source)
    assert licences.ensure(service()).stat().st_size == 2 * 2**20
    for content in (b"x" * (MAXIMUM_BYTES + 1), b""):
        source.content = content
        with pytest.raises(PermanentError):
            licences.ensure(service(OTHER))
    assert names(folder) == [ID]


@pytest.mark.parametrize("error", [TransientError("later"), PermanentError("HTTP 404")])
def test_what_stops_the_fetch_is_passed_on_and_leaves_nothing(folder, error):
    with pytest.raises(type(error)):
        Licences(folder, fetch=Source(error)).ensure(service())
    assert not folder.exists()


def test_neither_content_nor_secrets_of_the_address_are_said(folder, caplog):
    with caplog.at_level(logging.DEBUG):
        Licences(folder, fetch=Source(b"hidden licence")).ensure(service())
    with pytest.raises(PermanentError) as refused:
        Licences(folder, fetch=Source(b"")).ensure(service(OTHER))
    assert "event=licence_kept" in caplog.text
    assert "hidden" not in caplog.text + str(refused.value)


def test_half_a_file_of_a_crash_is_replaced(folder):
    folder.mkdir(parents=True)
    (folder / f"{ID}.part").write_bytes(b"the li")
    path = Licences(folder, fetch=Source()).ensure(service())
    assert path.read_bytes() == b"the licence"
    assert names(folder) == [ID]


def test_a_link_in_the_way_is_not_followed(folder, tmp_path):
    folder.mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (folder / f"{ID}.part").symlink_to(victim)
    Licences(folder, fetch=Source()).ensure(service())
    assert victim.read_text() == "untouched"


def test_a_folder_that_an_engine_made_in_its_place_gives_way(folder):
    (folder / ID).mkdir(parents=True)
    assert Licences(folder, fetch=Source()).ensure(service()).read_bytes() == b"the licence"


def test_a_disk_that_refuses_is_tried_again_later(folder):
    folder.parent.mkdir(parents=True)
    folder.write_text("no folder")
    with pytest.raises(TransientError, match="cannot be written"):
        Licences(folder, fetch=Source()).ensure(service())


def test_a_full_disk_leaves_no_half_file(folder, monkeypatch):
    def no_room(_descriptor):
        raise OSError(28, "No space left on device")

    licences = Licences(folder, fetch=Source())
    folder.mkdir(parents=True)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_room)
        with pytest.raises(TransientError, match="No space left"):
            licences.ensure(service())
    assert names(folder) == []
    licences.ensure(service())
    assert names(folder) == [ID]


def test_a_licence_goes_with_its_service_and_again(folder):
    licences = Licences(folder, fetch=Source())
    licences.ensure(service())
    licences.ensure(service(OTHER))
    for _ in range(2):
        licences.remove(ID)
    assert names(folder) == [OTHER]


def test_at_a_start_only_the_licences_of_services_that_are_wanted_stay(folder):
    licences = Licences(folder, fetch=Source())
    licences.keep_only([])
    licences.ensure(service())
    licences.ensure(service(OTHER))
    (folder / f"{OTHER}.part").write_bytes(b"")
    (folder / "folder").mkdir()
    licences.keep_only({OTHER})
    assert names(folder) == [OTHER]


@pytest.mark.parametrize("service_id", ["../x", "", ID.upper(), f"{ID}/x", "."])
def test_what_is_no_id_of_ours_never_becomes_a_path(folder, service_id):
    licences = Licences(folder, fetch=Source())
    with pytest.raises(PermanentError):
        licences.ensure(service(service_id))
    with pytest.raises(PermanentError):
        licences.remove(service_id)


def test_a_service_without_a_licence_has_no_file(folder):
    with pytest.raises(PermanentError):
        Licences(folder, fetch=Source()).ensure(service(url=None))


def test_many_at_once_end_in_one_whole_file(folder):
    source = Source(b"y" * 100_000)
    licences = Licences(folder, fetch=source)
    read = []

    def ensure():
        read.append(licences.ensure(service()).read_bytes())

    threads = [threading.Thread(target=ensure) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert read == [source.content] * 8
    assert names(folder) == [ID]
