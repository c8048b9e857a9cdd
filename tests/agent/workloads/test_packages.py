"""Packages that are pushed, uploaded, replaced and deleted, with servers of all kinds."""

from __future__ import annotations

import hashlib
import io
import logging
import random
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from agent.config.settings import DownloadSettings, WorkloadSettings
from agent.errors import (
    ConflictError,
    NoRoomError,
    NotFoundError,
    PermanentError,
    RequestError,
    TransientError,
)
from agent.model.clock import SystemClock
from agent.model.workloads import Digests, Manifest, PackageState, PackageType
from agent.store.database import Database
from agent.transport.download import Downloader, Pace
from agent.workloads import packages as packages_module
from agent.workloads.attempts import Attempts
from agent.workloads.packages import PackagePush, Packages
from tests.file_server import FileServer

PATIENCE_SECONDS = 30.0
CONTENT = random.Random(1).randbytes(3_000_000)
OTHER = random.Random(2).randbytes(500_000)
MANIFEST = Manifest(name="person", version="1", type=PackageType.IMAGE, member="image.tar")


def md5(content):
    return Digests(md5=hashlib.md5(content).hexdigest())


class ShiftedClock(SystemClock):
    """Is the clock of this machine, moved by a test."""

    def __init__(self):
        self.shift_seconds = 0.0

    def monotonic(self):
        return super().monotonic() + self.shift_seconds

    def now(self):
        return datetime.now(timezone.utc) + timedelta(seconds=self.shift_seconds)


@dataclass
class Home:
    """Is a node's packages, which can be stopped and started again."""

    folder: Path
    download: DownloadSettings = DownloadSettings(minimum_free_gib=0)  # noqa: RUF009 - frozen
    maximum_gib: float = 1.0
    clock: ShiftedClock = field(default_factory=ShiftedClock)
    inspected: list[bytes] = field(default_factory=list)
    refusal: str | None = None
    changes: int = 0
    packages: Packages | None = None
    database: Database | None = None

    def start(self) -> Packages:
        self.database = Database(self.folder)
        self.packages = Packages(
            database=self.database,
            folder=self.folder / "packages",
            settings=WorkloadSettings(download=self.download, package_maximum_gib=self.maximum_gib),
            clock=self.clock,
            downloader=Downloader(
                user_agent="test/1", credentials_for=lambda origin: None, pace=Pace(head_seconds=20)
            ),
            inspect=self.inspect,
            on_change=self.changed,
            attempts=Attempts(clock=self.clock, first_seconds=0.01, most_seconds=0.05),
        )
        self.packages.start()
        return self.packages

    def stop(self) -> None:
        if self.packages is not None:
            self.packages.stop(timeout_seconds=PATIENCE_SECONDS)
            assert not self.packages.is_alive
            self.database.close()
            self.packages = None

    def restart(self) -> Packages:
        self.stop()
        return self.start()

    def inspect(self, path: Path) -> Manifest:
        self.inspected.append(path.read_bytes())
        if self.refusal is not None:
            raise PermanentError(self.refusal)
        return MANIFEST

    def changed(self) -> None:
        self.changes += 1

    def push(self, url, content=CONTENT, *, package_id="a", digests=None) -> None:
        digests = md5(content) if digests is None else digests
        self.packages.push(PackagePush(package_id=package_id, url=url, digests=digests))

    def until(self, condition, package_id="a"):
        """Wait until the package is as is wanted, and return it."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            package = self.packages.get(package_id)
            if condition(package):
                return package
            assert time.monotonic() < end, package
            threading.Event().wait(0.005)

    def ready(self, package_id="a"):
        package = self.until(lambda each: each.state is not PackageState.DOWNLOADING, package_id)
        assert package.state is PackageState.READY, package
        return package

    def failed(self, package_id="a"):
        package = self.until(lambda each: each.state is not PackageState.DOWNLOADING, package_id)
        assert package.state is PackageState.FAILED, package
        return package

    def stumbled(self, words, package_id="a"):
        return self.until(lambda each: words in (each.error or ""), package_id)

    def keeps(self, suffixes: list[str]) -> None:
        """Wait until these files alone are there: a row goes before its file does."""
        end = time.monotonic() + PATIENCE_SECONDS
        folder = self.folder / "packages"
        while sorted(path.suffix for path in folder.iterdir()) != suffixes:
            assert time.monotonic() < end, list(folder.iterdir())
            threading.Event().wait(0.005)

    def content(self, package_id="a") -> bytes:
        return Path(self.packages.installed(package_id).file).read_bytes()

    def add_service(self, package_id="a") -> None:
        with self.database.transaction() as statements:
            statements.execute(
                "INSERT INTO services (service_id, package_id, generation, env, replicas, "
                "accelerators, created_at) VALUES ('s', ?, 'g', '[]', 1, 0, '')",
                (package_id,),
            )


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    home.start()
    yield home
    home.stop()


@pytest.fixture
def serve():
    servers = []

    def start(content=CONTENT):
        servers.append(FileServer(content))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_a_pushed_package_arrives_whole(home, serve, caplog):
    caplog.set_level(logging.INFO)
    server = serve()
    home.push(server.url.replace("//", "//user:hunter2@") + "?sig=hunter2")
    package = home.ready()
    assert package.progress_ratio == 1.0
    assert (package.received_bytes, package.size_bytes) == (len(CONTENT), len(CONTENT))
    assert (package.manifest, package.digests, package.error) == (MANIFEST, md5(CONTENT), None)
    assert package.source == f"http://localhost:{server.port}/file.tar?***"
    assert home.content() == CONTENT
    assert home.inspected == [CONTENT]
    home.keeps([".tar"])
    installed = home.packages.installed("a")
    assert installed.image == f"computility-agent/package:{installed.generation}"
    assert Path(installed.file).name == f"{installed.generation}.tar"
    # What follows an arrival may still be on its way.
    home.stop()
    assert home.changes == 2
    assert "event=package_accepted package=a" in caplog.text
    assert "event=package_ready package=a" in caplog.text
    assert "hunter2" not in caplog.text + repr(package)


def test_what_is_ready_is_still_there_after_a_restart(home, serve):
    home.push(serve().url)
    home.ready()
    home.restart()
    assert home.packages.get("a").state is PackageState.READY
    assert home.content() == CONTENT


def test_a_server_that_breaks_off_at_random_places_ends_with_the_right_file(home, serve):
    server, chance = serve(), random.Random(3)
    server.break_after = lambda asked: chance.randrange(0, 400_000)
    home.push(server.url)
    home.ready()
    assert home.content() == CONTENT
    offsets = [asked.offset for asked in server.asked]
    assert len(offsets) > 3
    assert offsets == sorted(offsets)


@pytest.mark.parametrize("cut", [0, 1, 65_535, 1_048_576, len(CONTENT) - 1])
def test_a_break_at_any_place_is_resumed_there(home, serve, cut):
    server = serve()
    server.break_after = lambda asked: cut if len(server.asked) == 1 else None
    home.push(server.url)
    home.ready()
    assert home.content() == CONTENT
    assert [asked.offset for asked in server.asked] == [0, cut]


def test_a_server_without_parts_is_asked_until_it_gives_all(home, serve):
    server = serve()
    server.knows_parts = False
    server.break_after = lambda asked: 1_000_000 if len(server.asked) < 4 else None
    home.push(server.url)
    home.ready()
    assert home.content() == CONTENT


def test_another_content_after_a_break_is_fetched_whole(home, serve):
    server = serve(OTHER)

    def change(asked):
        if len(server.asked) > 1:
            return None
        server.content, server.etag = CONTENT, '"two"'
        return 300_000

    # The first answer is of the other content: it is sent before it changes.
    def serve_first(asked, sock):
        server.serve(asked, sock)

    server.answer = serve_first
    server.break_after = change
    home.push(server.url)
    home.ready()
    assert home.content() == CONTENT


def test_a_wrong_digest_is_fetched_once_more_and_has_failed_then(home, serve, caplog):
    server = serve()
    home.push(server.url, digests=Digests(md5="0" * 32))
    package = home.failed()
    assert f"MD5 of the {len(CONTENT)} bytes that came is {md5(CONTENT).md5}" in package.error
    assert [asked.offset for asked in server.asked] == [0, 0]
    home.keeps([])
    assert home.packages.installed("a") is None
    home.restart()
    assert caplog.text.count("event=package_failed") == 1
    assert home.packages.get("a").error == package.error


def test_a_stale_copy_is_forgiven_once(home, serve):
    server = serve(OTHER)
    serve_file = server.serve

    def answer(asked, sock):
        serve_file(asked, sock)
        server.content = CONTENT

    server.answer = answer
    home.push(server.url)
    home.ready()
    assert home.content() == CONTENT


def test_all_digests_that_are_given_are_compared(home, serve):
    digests = Digests(
        md5=md5(CONTENT).md5.upper(),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        sm3=hashlib.new("sm3", CONTENT).hexdigest(),
    )
    home.push(serve().url, digests=digests)
    assert home.ready().digests.md5 == md5(CONTENT).md5
    home.push(serve(OTHER).url, package_id="b", digests=Digests(sm3="0" * 64))
    assert "SM3" in home.failed("b").error


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_will_not_mend_has_failed(home, serve, status):
    server = serve()
    server.always(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
    home.push(server.url)
    assert f"HTTP {status}" in home.failed().error
    assert len(server.asked) == 1


def test_what_may_mend_is_tried_until_it_does(home, serve, caplog):
    server = serve()

    def answer(asked, sock):
        if len(server.asked) < 5:
            sock.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        else:
            server.serve(asked, sock)

    server.answer = answer
    home.push(server.url)
    home.ready()
    assert caplog.text.count("event=package_waiting") == 1


def test_a_bad_package_has_failed_and_leaves_nothing(home, serve):
    home.refusal = "algo.yaml is missing"
    home.push(serve().url)
    assert home.failed().error == "algo.yaml is missing"
    home.keeps([])


@pytest.mark.parametrize("status", [None, 404])
def test_a_push_at_the_moment_of_a_failure_is_not_lost(home, serve, status):
    good, bad = serve(), serve()
    home.refusal = None if status else "no algo.yaml"
    if status:
        bad.always(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n")
    changed = home.changed

    def push_again():
        changed()
        if home.packages.list()[0].state is PackageState.FAILED:
            home.refusal = None
            home.push(good.url)

    home.changed = push_again
    home.restart()
    home.push(bad.url)
    home.until(lambda each: each.state is PackageState.READY)
    assert home.content() == CONTENT


def test_a_package_that_is_too_large_has_failed(home, serve):
    home.stop()
    home.maximum_gib = 1_000_000 / (1 << 30)
    home.start()
    server = serve()
    home.push(server.url)
    assert "package_maximum_gib" in home.failed().error
    server.always(b"HTTP/1.1 200 OK\r\n\r\n" + CONTENT)
    home.push(server.url, package_id="b")
    assert "package_maximum_gib" in home.failed("b").error
    home.keeps([])


def test_a_download_that_gets_no_byte_gives_up_and_keeps_what_is_there(home, serve):
    server = serve()
    server.break_after = lambda asked: 1_000_000 if asked.offset == 0 else 0
    home.push(server.url)
    home.stumbled("broke off")
    home.clock.shift_seconds += 25 * 3600
    assert "no byte came for 24 h" in home.failed().error
    server.break_after = lambda asked: None
    home.push(server.url)
    home.ready()
    assert server.asked[-1].offset == 1_000_000


def test_what_is_there_of_a_failed_download_is_kept_a_week(home, serve):
    server = serve()
    server.break_after = lambda asked: 1_000_000
    home.push(server.url)
    home.stumbled("broke off")
    server.always(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n")
    home.failed()
    home.keeps([".part"])
    home.clock.shift_seconds += 6 * 86400
    home.restart()
    home.keeps([".part"])
    home.clock.shift_seconds += 2 * 86400
    home.restart()
    home.keeps([])
    assert home.packages.get("a").state is PackageState.FAILED


def stalled(server, after):
    """Let a server send the first bytes of the file, and no more."""

    def answer(asked, sock):
        head = (
            f"HTTP/1.1 200 OK\r\nETag: {server.etag}\r\nContent-Length: {len(server.content)}\r\n"
        )
        sock.sendall(head.encode() + b"\r\n" + server.content[:after])
        server.over.wait(PATIENCE_SECONDS)

    server.answer = answer


def test_pushes_that_never_succeed_do_not_fill_the_database(home, serve, monkeypatch):
    monkeypatch.setattr(packages_module, "MAXIMUM_PACKAGES", 2)
    server = serve()
    server.always(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n")
    for package_id in ("a", "b"):
        home.push(server.url, package_id=package_id)
    with pytest.raises(ConflictError, match="delete some"):
        home.push(server.url, package_id="c")
    home.push(server.url, package_id="b")
    home.packages.delete("a")
    home.push(server.url, package_id="c")


def test_progress_is_told_while_it_comes(home, serve):
    server = serve()
    stalled(server, 1_500_000)
    home.push(server.url)
    package = home.until(lambda each: each.received_bytes == 1_500_000)
    assert package.state is PackageState.DOWNLOADING
    assert package.progress_ratio == pytest.approx(0.5)
    assert package.size_bytes == len(CONTENT)


def test_another_address_takes_the_place_of_one_that_stalls(home, serve):
    slow, quick = serve(), serve()
    stalled(slow, 1_500_000)
    home.push(slow.url)
    home.until(lambda each: each.received_bytes == 1_500_000)
    home.push(quick.url)
    assert home.ready().source.startswith(f"http://localhost:{quick.port}/")
    assert home.content() == CONTENT
    assert [asked.offset for asked in quick.asked] == [1_500_000]
    assert "if-range" not in quick.asked[0].headers


def test_another_address_is_not_asked_for_the_first_one_s_version(home, serve):
    first, second = serve(), serve()
    first.break_after = lambda asked: 1_000_000
    home.push(first.url)
    home.stumbled("broke off")
    first.always(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n")
    home.failed()
    home.push(second.url)
    home.ready()
    assert second.asked[0].offset >= 1_000_000
    assert "if-range" not in second.asked[0].headers


def test_another_file_takes_the_place_of_one_that_is_on_its_way(home, serve):
    slow, quick = serve(), serve(OTHER)
    stalled(slow, 1_500_000)
    home.push(slow.url)
    home.until(lambda each: each.received_bytes == 1_500_000)
    home.push(quick.url, OTHER)
    home.ready()
    assert home.content() == OTHER
    home.stop()
    home.keeps([".tar"])


def test_a_waiting_download_is_woken_by_the_next_push(home, serve):
    server = serve()
    server.always(b"HTTP/1.1 503 X\r\nRetry-After: 3000\r\n\r\n")
    home.push(server.url)
    home.stumbled("503")
    server.answer = server.serve
    home.push(server.url)
    home.ready()


def test_the_file_in_force_stays_until_the_next_is_verified(home, serve):
    home.push(serve().url)
    home.ready()
    before = home.packages.installed("a")
    slow = serve(OTHER)
    stalled(slow, 1000)
    home.push(slow.url, OTHER)
    home.until(lambda each: each.received_bytes == 1000)
    assert home.packages.get("a").state is PackageState.DOWNLOADING
    assert home.packages.installed("a") == before
    assert home.content() == CONTENT
    home.restart()
    assert home.packages.installed("a") == before
    home.push(serve(OTHER).url, OTHER)
    home.ready()
    assert home.content() == OTHER
    home.keeps([".tar"])


def test_a_push_of_what_is_here_changes_nothing(home, serve):
    server = serve()
    home.push(server.url)
    home.ready()
    home.add_service()
    before, asked = home.packages.installed("a"), len(server.asked)
    home.push("http://localhost:1/elsewhere")
    assert home.packages.get("a").state is PackageState.READY
    assert home.packages.installed("a") == before
    assert len(server.asked) == asked


def test_nothing_moves_a_package_while_a_service_exists(home, serve):
    home.push(serve().url)
    home.ready()
    home.add_service()
    with pytest.raises(ConflictError, match="unload"):
        home.push(serve(OTHER).url, OTHER)
    with pytest.raises(ConflictError, match="unload"):
        home.packages.delete("a")
    with pytest.raises(ConflictError, match="unload"):
        home.packages.receive("a", file=io.BytesIO(OTHER), digests=md5(OTHER))
    assert home.packages.get("a").state is PackageState.READY
    home.keeps([".tar"])


def test_a_deleted_package_is_gone_with_what_was_on_its_way(home, serve):
    home.push(serve().url)
    home.ready()
    slow = serve(OTHER)
    stalled(slow, 1000)
    home.push(slow.url, OTHER)
    home.until(lambda each: each.received_bytes == 1000)
    home.packages.delete("a")
    with pytest.raises(NotFoundError):
        home.packages.get("a")
    with pytest.raises(NotFoundError):
        home.packages.delete("a")
    assert home.packages.list() == ()
    assert home.packages.installed("a") is None
    home.stop()
    home.keeps([])


def test_packages_are_listed_oldest_first(home, serve):
    for package_id in ("c", "a", "b"):
        home.push(serve(OTHER).url, OTHER, package_id=package_id)
    assert [each.package_id for each in home.packages.list()] == ["c", "a", "b"]


BAD_PUSHES = {
    "empty id": ("", "http://h/x", Digests()),
    "id with a slash": ("a/b", "http://h/x", Digests()),
    "id that begins with a dot": (".a", "http://h/x", Digests()),
    "long id": ("a" * 65, "http://h/x", Digests()),
    "id with a line feed": ("a\n", "http://h/x", Digests()),
    "no URL": ("a", "x", Digests()),
    "file URL": ("a", "file:///etc/passwd", Digests()),
    "short MD5": ("a", "http://h/x", Digests(md5="00")),
    "MD5 that is no hex": ("a", "http://h/x", Digests(md5="g" * 32)),
}


@pytest.mark.parametrize("bad", BAD_PUSHES.values(), ids=BAD_PUSHES.keys())
def test_a_push_that_cannot_be_is_refused(home, bad):
    package_id, url, digests = bad
    with pytest.raises(RequestError):
        home.push(url, package_id=package_id, digests=digests)
    assert home.packages.list() == ()


def test_an_uploaded_package_is_in_force_at_once(home):
    home.packages.receive("a", file=io.BytesIO(CONTENT), digests=md5(CONTENT))
    package = home.packages.get("a")
    assert (package.state, package.source) == (PackageState.READY, None)
    assert home.content() == CONTENT
    home.packages.receive("a", file=io.BytesIO(OTHER), digests=md5(OTHER))
    assert home.content() == OTHER
    home.keeps([".tar"])


def test_an_upload_ends_the_push_that_was_on_its_way(home, serve):
    slow = serve()
    stalled(slow, 1000)
    home.push(slow.url)
    home.until(lambda each: each.received_bytes == 1000)
    home.packages.receive("a", file=io.BytesIO(OTHER), digests=md5(OTHER))
    assert home.packages.get("a").state is PackageState.READY
    home.restart()
    assert home.packages.get("a").state is PackageState.READY
    home.keeps([".tar"])


def test_a_bad_upload_leaves_everything_as_it_was(home):
    home.packages.receive("a", file=io.BytesIO(CONTENT), digests=md5(CONTENT))
    with pytest.raises(PermanentError, match="MD5"):
        home.packages.receive("a", file=io.BytesIO(OTHER), digests=Digests(md5="0" * 32))
    home.refusal = "no algo.yaml"
    with pytest.raises(PermanentError, match=r"no algo\.yaml"):
        home.packages.receive("a", file=io.BytesIO(OTHER), digests=md5(OTHER))
    with pytest.raises(PermanentError, match=r"no algo\.yaml"):
        home.packages.receive("b", file=io.BytesIO(OTHER), digests=md5(OTHER))
    assert home.content() == CONTENT
    home.keeps([".tar"])
    assert [each.package_id for each in home.packages.list()] == ["a"]


def test_an_upload_without_room_is_refused(home):
    home.stop()
    home.download = DownloadSettings(minimum_free_gib=100_000)
    home.maximum_gib = 65536
    home.start()
    with pytest.raises((NoRoomError, PermanentError), match=r"room|can never fit"):
        home.packages.receive("a", file=io.BytesIO(CONTENT), digests=md5(CONTENT))
    home.keeps([])


def test_a_file_that_went_missing_has_failed_until_it_is_back(home, serve):
    home.push(serve().url)
    home.ready()
    file = Path(home.packages.installed("a").file)
    home.stop()
    file.rename(home.folder / "aside")
    home.start()
    assert "is gone" in home.packages.get("a").error
    assert home.packages.get("a").state is PackageState.FAILED
    home.stop()
    (home.folder / "aside").rename(file)
    home.start()
    assert home.packages.get("a").state is PackageState.READY


def test_a_missing_file_is_fetched_by_the_next_push(home, serve):
    home.push(serve().url)
    home.ready()
    home.stop()
    next((home.folder / "packages").iterdir()).unlink()
    home.start()
    home.push(serve().url)
    home.ready()
    assert home.content() == CONTENT


def test_files_that_belong_to_nobody_are_removed_at_the_start(home, serve):
    home.push(serve().url)
    home.ready()
    home.stop()
    for name in ("0123456789abcdef.part", "0123456789abcdef.tar", "stray"):
        (home.folder / "packages" / name).write_bytes(b"x")
    home.start()
    home.keeps([".tar"])
    assert home.content() == CONTENT


def test_a_stop_is_quick_and_the_next_start_goes_on(home, serve):
    server = serve()
    stalled(server, 1_500_000)
    home.push(server.url)
    home.until(lambda each: each.received_bytes == 1_500_000)
    home.stop()
    server.answer = server.serve
    home.start()
    home.ready()
    assert home.content() == CONTENT


def test_only_so_many_are_fetched_at_a_time(home, serve):
    server = serve()
    stalled(server, 1000)
    for number in range(4):
        home.push(server.url, package_id=f"p{number}")
    home.until(lambda each: each.received_bytes == 1000, "p1")
    assert len(server.asked) == 2
    server.answer = server.serve
    home.packages.delete("p0")
    home.ready("p2")
    home.ready("p3")


def test_a_rate_is_kept(home, serve):
    home.stop()
    home.download = DownloadSettings(minimum_free_gib=0, rate_limit_mib_per_second=4)
    home.start()
    began = time.monotonic()
    home.push(serve().url)
    home.ready()
    # 2.86 MiB at 4 MiB/s, of which half a second's worth may come at once.
    assert time.monotonic() - began > 0.2


def test_the_stop_does_not_wait_for_the_rate(home, serve):
    home.stop()
    home.download = DownloadSettings(minimum_free_gib=0, rate_limit_mib_per_second=0.0001)
    home.start()
    home.push(serve().url)
    home.until(lambda each: each.received_bytes > 0)
    home.stop()


def test_an_upload_is_cut_by_the_stop(home):
    reading, release = threading.Event(), threading.Event()

    class Endless(io.RawIOBase):
        def read(self, size=-1):
            reading.set()
            release.wait(PATIENCE_SECONDS)
            return b"x" * 1000

        def tell(self):
            raise OSError

    failures = []

    def upload():
        try:
            home.packages.receive("a", file=Endless(), digests=Digests())
        except TransientError as error:
            failures.append(str(error))

    thread = threading.Thread(target=upload)
    thread.start()
    reading.wait(PATIENCE_SECONDS)
    home.stop()
    release.set()
    thread.join(PATIENCE_SECONDS)
    assert failures == ["the agent stops"]
    home.keeps([])
