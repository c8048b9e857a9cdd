"""Loading images: what the engine says in the middle, late, or under status 200."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import PermanentError, TransientError
from runtimes.docker.exchange import Exchange
from runtimes.docker.image_loading import first_fault, load, raise_for_room
from runtimes.docker.runtime import DockerConfig, DockerRuntime, Timeouts
from tests.docker_engine import PATIENCE_SECONDS, Engine, docker_archive
from tests.runtimes.docker.tapped_socket import TappedSocket

# The report


def test_the_first_error_of_a_report_is_found_wherever_it_is_cut() -> None:
    lines = [
        {"stream": "Loaded image: x"},
        {"errorDetail": {"message": "no space"}, "error": "y"},
        {"error": "late"},
    ]
    data = b"\r\n".join(json.dumps(line).encode() for line in lines)
    for cut in range(len(data) + 1):
        assert first_fault([data[:cut], data[cut:]]) == "no space"


@pytest.mark.parametrize(
    ("report", "fault"),
    [
        (b"", None),
        (b"\n\n", None),
        (b'{"stream": "error"}', None),
        (b'{"error": "bad"}', "bad"),
        (b'{"error": ""}', None),
        (b'{"errorDetail": []}', None),
        (b'{"errorDetail": {"message": 7}, "error": "bad"}', "bad"),
        (b"[" * 50000, None),
        (b"null\n[]\n7\n\xff\n" + b'{"error": "bad"}\n', "bad"),
    ],
)
def test_reports_of_every_shape(report: bytes, fault: str | None) -> None:
    assert first_fault([report]) == fault


@given(parts=st.lists(st.binary(max_size=50), max_size=5))
def test_garbage_is_no_error(parts: list[bytes]) -> None:
    assert first_fault(parts) is None


def test_a_report_without_end_is_not_kept() -> None:
    tracemalloc.start()
    assert first_fault(b"x" * 65536 for _ in range(500)) is None
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 8 << 20


def test_a_full_disk_is_told_from_a_bad_archive(tmp_path: Path) -> None:
    raise_for_room(None, sent_bytes=1 << 60, fault="x")
    raise_for_room(str(tmp_path / "none"), sent_bytes=1 << 60, fault="x")
    raise_for_room(str(tmp_path), sent_bytes=0, fault="x")
    with pytest.raises(TransientError, match="make room"):
        raise_for_room(str(tmp_path), sent_bytes=1 << 60, fault="x")


# An engine that takes everything and says nothing


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Exchange]:
    ended = threading.Event()

    def swallow() -> None:
        held, _ = listener.accept()
        with held:
            while held.recv(65536):
                pass
            ended.set()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "silent.sock"))
        listener.listen()
        threading.Thread(target=swallow, daemon=True).start()
        exchange = Exchange(f"unix://{tmp_path}/silent.sock", timeout_seconds=10)
        yield exchange
        exchange.close()
        assert ended.wait(PATIENCE_SECONDS)


def test_an_image_that_appears_after_the_time_out_is_loaded(silent: Exchange) -> None:
    looks = iter([False, False, True])

    load(
        silent,
        [b"archive"],
        answer_seconds=0.05,
        is_there=lambda: next(looks),
        wait=lambda _: False,
        data_root=lambda: None,
    )

    assert list(looks) == []


def test_an_image_that_never_appears_is_transient_trouble(silent: Exchange) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) == 3

    with pytest.raises(TransientError, match="in time"):
        load(
            silent,
            [b"archive"],
            answer_seconds=0.05,
            is_there=lambda: False,
            wait=wait,
            data_root=lambda: None,
        )
    assert len(waited) == 3


# A real engine


def broken(reference: str, *, of: str) -> Iterator[bytes]:
    """Give an archive that the engine refuses, and more behind it than any socket takes."""
    if of == "garbage":
        yield b"this is no archive " * 1000
    elif of == "manifest":
        content = docker_archive(reference=reference)
        yield content.replace(b"manifest.json", b"manifest.jsoX")
    elif of == "layer":
        content = docker_archive(reference=reference)
        yield content[: len(content) // 3]
        return
    for _ in range(256):
        yield b"x" * 65536


@pytest.mark.docker
@pytest.mark.parametrize("fault", ["garbage", "manifest", "layer"])
def test_a_refusal_in_the_middle_carries_the_engines_words(
    docker_engine: Engine, docker_runtime: DockerRuntime, fault: str
) -> None:
    reference = docker_engine.reference()

    with pytest.raises(PermanentError) as caught:
        docker_runtime.load_image(broken(reference, of=fault), reference=reference)

    said = caught.value.reason.partition("does not take this image archive: ")[2]
    assert said
    assert not docker_runtime.has_image(reference)


@pytest.mark.docker
def test_an_archive_with_another_name_is_refused(
    docker_engine: Engine, docker_runtime: DockerRuntime
) -> None:
    archive = docker_archive(reference=docker_engine.reference())

    with pytest.raises(PermanentError, match="wanted name"):
        docker_runtime.load_image([archive], reference=docker_engine.reference())


class SourceLost(Exception):  # noqa: N818 - any name will do
    """Is an error of whoever reads the archive."""


@pytest.mark.docker
@pytest.mark.parametrize("error", [SourceLost("disk"), OSError("disk"), ValueError("disk")])
def test_an_error_of_the_archive_comes_through_as_it_is(
    docker_engine: Engine, docker_runtime: DockerRuntime, error: Exception
) -> None:
    reference = docker_engine.reference()

    def archive() -> Iterator[bytes]:
        yield docker_archive(reference=reference)[:1000]
        raise error

    with pytest.raises(type(error)) as caught:
        docker_runtime.load_image(archive(), reference=reference)
    assert caught.value is error
    assert not docker_runtime.has_image(reference)


@pytest.mark.docker
def test_a_load_whose_answer_is_late_is_done_where_the_image_is_there(
    docker_engine: Engine, tmp_path: Path
) -> None:
    """The engine has all of it and is done; its answer is held back longer than we wait."""
    reference = docker_engine.reference()
    archive = docker_archive(reference=reference)
    asked_again = threading.Event()

    def hold_back(answer: bytes) -> bool:
        if b"Loaded image" in answer:
            asked_again.wait(PATIENCE_SECONDS)
        return True

    def on_request(request: str) -> None:
        if request.startswith("GET") and "/images/" in request:
            asked_again.set()

    tap = TappedSocket(
        tmp_path, engine=docker_engine.socket, on_request=on_request, on_answer=hold_back
    )
    runtime = DockerRuntime(DockerConfig(socket=tap.address), timeouts=Timeouts(load_seconds=0.3))
    try:
        runtime.load_image([archive], reference=reference)
        assert asked_again.is_set()
        assert runtime.has_image(reference)
    finally:
        asked_again.set()
        runtime.close()
        tap.close()


@pytest.mark.docker
def test_loading_ends_when_the_runtime_is_closed(docker_engine: Engine) -> None:
    runtime = docker_engine.runtime()
    reference = docker_engine.reference()
    begun, ended = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def archive() -> Iterator[bytes]:
        content = docker_archive(reference=reference)
        yield content[:100_000]
        begun.set()
        while not ended.is_set():
            yield b"\0" * 65536

    def begin(source: Iterable[bytes]) -> None:
        try:
            runtime.load_image(source, reference=reference)
        except BaseException as error:  # noqa: BLE001 - the test judges it
            errors.append(error)
        ended.set()

    thread = threading.Thread(target=begin, args=(archive(),), daemon=True)
    thread.start()
    assert begun.wait(PATIENCE_SECONDS)

    runtime.close()

    thread.join(PATIENCE_SECONDS)
    ended.set()
    assert [type(error) for error in errors] == [TransientError]


# The way to the engine


def test_a_socket_that_is_not_there_or_that_nobody_serves_says_what_to_do(tmp_path: Path) -> None:
    stale = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(stale))
    for address, word in ((tmp_path / "none.sock", "installed"), (stale, "start docker")):
        runtime = DockerRuntime(DockerConfig(socket=f"unix://{address}"))
        with pytest.raises(TransientError, match=word):
            runtime.has_image("a:b")
        with pytest.raises(TransientError, match=word):
            runtime.load_image([b"x"], reference="a:b")
        runtime.close()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that everybody may enter; pytest's own are for one user alone."""
    with tempfile.TemporaryDirectory(prefix="ca-socket-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_socket_of_somebody_else_says_which_group_is_needed(open_folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can ask as somebody else")
    place = open_folder / "s.sock"
    script = (
        "import os, sys\n"
        "from runtimes.docker.runtime import DockerConfig, DockerRuntime\n"
        "from agent.errors import TransientError\n"
        "runtime = DockerRuntime(DockerConfig(socket=sys.argv[1]))\n"
        "import docker.errors\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "for ask in (lambda: runtime.has_image('a:b'), lambda: runtime.changes()):\n"
        "    try:\n"
        "        ask()\n"
        "    except TransientError as error:\n"
        "        print(error.reason)\n"
    )
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(str(place))
        held.listen()
        place.chmod(0o600)
        asked = subprocess.run(
            [sys.executable, "-c", script, f"unix://{place}"],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=True,
            cwd=Path(__file__).parents[3],
        )
    assert asked.stdout.count("usermod -aG docker") == 2, asked.stdout + asked.stderr
