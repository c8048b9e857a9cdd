"""Writes files so that no moment shows half of one, and so that the service may read them."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from agent.app.doctor import accounts
from agent.app.doctor.accounts import SERVICE_USER
from agent.app.setup.plan import Plan
from agent.errors import BadInput

_GROUP_READS = 0o640
_OWNER_READS = 0o600
_ALL_READ = 0o644
_FOLDER_MODE = 0o750


def require_writable(config: Path) -> None:
    """Return if the configuration may be written, before anything is asked.

    Raises:
        BadInput: the folder, or the one above it that is there, may not be written to.
    """
    folder = config.absolute().parent
    place = next((each for each in (folder, *folder.parents) if accounts.is_there(each)), Path("/"))
    if not place.is_dir():
        raise BadInput(f"{place} is no folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise BadInput(f"this user may not write to {place}: run setup as root (sudo)")


def install(plan: Plan) -> Sequence[str]:
    """Write the files, the configuration last; return lines that say what was written.

    What stood there is kept beside it with .bak at its end. A file that is there keeps its owner
    and mode. Of a new one the service may read what its group may; a new secret is the service's
    alone, where root writes it.

    Raises:
        BadInput: one cannot be written; what was written before it stays.
    """
    folder = plan.config.absolute().parent
    group = _service_group()
    try:
        _make_folder(folder, group=group)
        lines: list[str] = []
        for name, file in plan.files.items():
            if file.is_secret:
                owner = _service_user()
                is_alone = owner is not None or group is None
                mode = _OWNER_READS if is_alone else _GROUP_READS
                lines += _write(
                    folder / name, file.text, mode=mode, group=group, owner=owner, is_secret=True
                )
            else:
                lines += _write(folder / name, file.text, mode=_ALL_READ, group=group)
        lines += _write(plan.config.absolute(), plan.text, mode=_GROUP_READS, group=group)
    except OSError as error:
        raise BadInput(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    return lines


def _write(
    path: Path,
    text: str,
    *,
    mode: int,
    group: int | None,
    owner: int | None = None,
    is_secret: bool = False,
) -> Iterator[str]:
    content = text.encode("utf-8")
    before = path.stat() if path.exists() else None
    if before is not None and path.read_bytes() == content:
        return
    if before is not None:
        kept = _backup(path, most=_GROUP_READS if is_secret else 0o777)
        yield f"kept         {kept}"
        mode = stat.S_IMODE(before.st_mode) & (_GROUP_READS if is_secret else 0o777)
    with _temporary(path) as (descriptor, name):
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content)
        if before is not None and os.geteuid() == 0:
            os.fchown(descriptor, before.st_uid, before.st_gid)
        else:
            os.fchown(descriptor, -1 if owner is None else owner, -1 if group is None else group)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
        # A link, as some tools lay them, keeps pointing where it does.
        Path(name).replace(path.resolve())
    _sync_folder(path.resolve().parent)
    yield f"written      {path}"


@contextmanager
def _temporary(path: Path) -> Iterator[tuple[int, str]]:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.resolve().parent)
    try:
        yield descriptor, name
    finally:
        os.close(descriptor)
        with suppress(FileNotFoundError):
            os.unlink(name)  # noqa: PTH108 - the name that mkstemp gave


def _backup(path: Path, *, most: int) -> Path:
    """Copy a file, owner and mode with it, to the first name that is free.

    `most` are the bits of the mode that the copy may keep.
    """
    number = 0
    while (kept := path.with_name(f"{path.name}.bak{number or ''}")).exists():
        number += 1
    status = path.stat()
    # Nobody may read a secret between the first byte and the last word on its mode.
    descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(path.read_bytes())
        if os.geteuid() == 0:
            os.fchown(descriptor, status.st_uid, status.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & most)
    return kept


def _make_folder(folder: Path, *, group: int | None) -> None:
    if folder.is_dir():
        return
    folder.mkdir(parents=True, mode=0o755)
    folder.chmod(_FOLDER_MODE)
    if group is not None:
        os.chown(folder, -1, group)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _service_user() -> int | None:
    """Return the user of the service; None where there is none, or it cannot be given away."""
    try:
        return pwd.getpwnam(SERVICE_USER).pw_uid if os.geteuid() == 0 else None
    except KeyError:
        return None


def _service_group() -> int | None:
    """Return the group of the service; None where there is none, or it cannot be given away."""
    try:
        group = grp.getgrnam(SERVICE_USER).gr_gid
    except KeyError:
        return None
    return group if os.geteuid() == 0 or group in os.getgroups() else None
