"""Hands a package to the running agent, from a file here or from an address, and waits for it."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from agent.app.local_client import ask
from agent.app.workloads.questions import LIST_PACKAGES, PUSH_PACKAGE
from agent.errors import NotFoundError, PermanentError
from agent.model.workloads import Digests, PackageState

# Tells how much is here: the ratio, 0 to 1, None while it is not known, and what is in the way.
Progress = Callable[[float | None, str | None], None]

_LOOK_SECONDS = 0.3


def package_id(computility_code: str, *, now: datetime, zone: tzinfo) -> str:
    """Return an id in the form of the standard's examples: the code, the local time, a number.

    T/BAX 0006.1, 5.5.2, which defines it, is not public; the examples of annex F have 20, 14 and 6
    digits. The number is drawn, so that two packages of one second are two.
    """
    return f"{computility_code}{now.astimezone(zone):%Y%m%d%H%M%S}{secrets.randbelow(10**6):06d}"


def push_file(
    socket: Path, file: Path, *, package_id: str, digests: Digests, progress: Progress
) -> dict[str, Any]:
    """Let the agent read a file that this user may read; return the package once it is in force.

    Raises:
        PermanentError: the file cannot be read, or the agent refuses it.
        AgentError: as the agent answers.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise PermanentError(f"{file}: {error.strerror}") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise PermanentError(f"{file} is no file")
        with _watched(descriptor, size_bytes=found.st_size, progress=progress):
            return ask(
                socket,
                PUSH_PACKAGE,
                fields={"package_id": package_id, **_fields(digests)},
                file=descriptor,
                answer_seconds=None,
            )
    finally:
        os.close(descriptor)


def push_url(
    socket: Path, url: str, *, package_id: str, digests: Digests, progress: Progress | None
) -> dict[str, Any]:
    """Let the agent fetch a package; return it once it is in force, or at once without `progress`.

    Raises:
        PermanentError: the download failed; says why.
        AgentError: as the agent answers.
    """
    fields = {"package_id": package_id, "url": url, **_fields(digests)}
    package = ask(socket, PUSH_PACKAGE, fields=fields)
    pause = threading.Event()
    while progress is not None and package["state"] == PackageState.DOWNLOADING.value:
        progress(package["progress_ratio"], package["error"])
        pause.wait(_LOOK_SECONDS)
        package = find(socket, package_id)
    if package["state"] == PackageState.FAILED.value:
        raise PermanentError(f"package {package_id} failed: {package['error']}")
    return package


def find(socket: Path, package_id: str) -> dict[str, Any]:
    """Return a package of the running agent; raises NotFoundError, or as `ask`."""
    for package in ask(socket, LIST_PACKAGES)["packages"]:
        if package["package_id"] == package_id:
            return dict(package)
    raise NotFoundError(f"there is no package {package_id}: it was deleted meanwhile")


@contextlib.contextmanager
def _watched(descriptor: int, *, size_bytes: int, progress: Progress) -> Iterator[None]:
    """Tell again and again, to the end of the block, how far the file was read."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_LOOK_SECONDS):
            # Agent and command share one position in the file.
            here_bytes = os.lseek(descriptor, 0, os.SEEK_CUR)
            progress(here_bytes / size_bytes if size_bytes else None, None)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _fields(digests: Digests) -> dict[str, str]:
    named = {"md5": digests.md5, "sha256": digests.sha256, "sm3": digests.sm3}
    return {name: value for name, value in named.items() if value is not None}
