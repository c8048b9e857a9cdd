"""Who the service runs as, and what that user may do with a file: by its mode bits."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SERVICE_USER = "computility-agent"
READ, WRITE, SEARCH = 4, 2, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Is a user with all its groups."""

    name: str
    user_id: int
    group_ids: frozenset[int]


def service_account(unit: Mapping[str, str]) -> Account:
    """Return the user that the service runs as, and its groups; this process's without one.

    `unit` holds the properties User, Group and SupplementaryGroups of the unit, where there is one.
    """
    name = unit.get("User") or SERVICE_USER
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return own_account()
    groups = set(os.getgrouplist(entry.pw_name, entry.pw_gid))
    for group in [unit.get("Group", ""), *unit.get("SupplementaryGroups", "").split()]:
        found = _group_id(group)
        if found is not None:
            groups.add(found)
    return Account(name=entry.pw_name, user_id=entry.pw_uid, group_ids=frozenset(groups))


def own_account() -> Account:
    """Return the user of this process."""
    user_id = os.geteuid()
    try:
        name = pwd.getpwuid(user_id).pw_name
    except KeyError:
        name = str(user_id)
    groups = frozenset({os.getegid(), *os.getgroups()})
    return Account(name=name, user_id=user_id, group_ids=groups)


def may(account: Account, status: os.stat_result, wanted: int) -> bool:
    """Tell whether an account may do all of `wanted` (READ, WRITE, SEARCH) with a file. Pure."""
    if account.user_id == 0:
        return True
    if account.user_id == status.st_uid:
        bits = status.st_mode >> 6
    elif status.st_gid in account.group_ids:
        bits = status.st_mode >> 3
    else:
        bits = status.st_mode
    return bits & wanted == wanted


def is_there(path: Path) -> bool:
    """Tell whether a path leads somewhere that this process may see; never raises."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists() raises where a folder is closed


def obstacle(account: Account, path: Path, wanted: int) -> str | None:
    """Return what keeps an account from a file, the folders on the way included; None if nothing.

    Access lists and security modules are not looked at. A file that is not there is an obstacle.
    """
    for folder in reversed(path.absolute().parents):
        try:
            status = folder.stat()
        except OSError as error:
            return f"{folder}: {error.strerror}"
        if not may(account, status, SEARCH):
            return f"{account.name} may not enter {folder} ({described(status)})"
    try:
        status = path.stat()
    except OSError as error:
        return f"{path}: {error.strerror}"
    if may(account, status, wanted):
        return None
    words = {READ: "read", WRITE: "write"}.get(wanted, "read and write")
    return f"{account.name} may not {words} {path} ({described(status)})"


def described(status: os.stat_result) -> str:
    """Return mode and owner as `ls` shows them."""
    return f"{stat.filemode(status.st_mode)} {_user_name(status.st_uid)}:{_group(status.st_gid)}"


def _user_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


def _group(group_id: int) -> str:
    try:
        return grp.getgrgid(group_id).gr_name
    except KeyError:
        return str(group_id)


def _group_id(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None
