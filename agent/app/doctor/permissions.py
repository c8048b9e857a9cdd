"""The files of the configuration and the state folder: who may read and write them."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from agent.app.doctor import accounts
from agent.app.doctor.accounts import READ, SEARCH, WRITE, Account
from agent.app.doctor.check import Check, Finding, failed, ok, skipped, warning

FILES, STATE = "file permissions", "state folder"
_OTHERS_READ = stat.S_IROTH
_OTHERS_WRITE = stat.S_IWOTH
_ROOT = Account(name="root", user_id=0, group_ids=frozenset({0}))


def files_check(
    config: Path,
    *,
    secrets: Sequence[Path],
    others: Sequence[Path],
    account: Account,
    credentials: Collection[Path] = (),
) -> Check:
    """Return the check of the configuration, of secret files and of the other files it names.

    `credentials` are files that systemd reads for the service.
    """

    def look() -> Sequence[Finding]:
        found = list(
            _problems(
                config, secrets=secrets, others=others, account=account, credentials=credentials
            )
        )
        count = len({config, *secrets, *others})
        return found or [ok(f"{count} files, readable for {account.name}, secrets for no others")]

    return Check(name=FILES, look=look)


def state_check(state_dir: Path, *, account: Account) -> Check:
    """Return the check of whether the service may keep its state."""
    return Check(name=STATE, look=lambda: _state(state_dir, account))


def _problems(
    config: Path,
    *,
    secrets: Sequence[Path],
    others: Sequence[Path],
    account: Account,
    credentials: Collection[Path],
) -> Iterator[Finding]:
    for path in dict.fromkeys((config, *secrets, *others)):
        reader = _ROOT if path in credentials else account
        obstacle = accounts.obstacle(reader, path, READ)
        if obstacle is not None:
            yield failed(obstacle, advice=_advice(path, account, is_secret=path in secrets))
            continue
        mode = path.stat().st_mode
        if mode & _OTHERS_WRITE and stat.S_ISREG(mode):
            yield failed(
                f"everybody may change {path} ({accounts.described(path.stat())})",
                advice=f"chmod o-w {path}",
            )
        elif path in secrets and mode & _OTHERS_READ and stat.S_ISREG(mode):
            yield warning(
                f"everybody may read the secret {path} ({accounts.described(path.stat())})",
                advice=f"chmod o-rwx {path}",
            )


def _advice(path: Path, account: Account, *, is_secret: bool) -> str:
    if is_secret:
        words = f"chown {account.name} {path} && chmod 0600 {path}"
    else:
        mode = "0750" if os.path.isdir(path) else "0640"  # noqa: PTH112 - never raises
        words = f"chgrp {account.name} {path} && chmod {mode} {path}"
    return f"{words}, and let it enter the folder"


def _state(state_dir: Path, account: Account) -> Finding:
    if not accounts.is_there(state_dir) and accounts.is_there(state_dir.parent):
        return skipped(f"{state_dir} is not there yet: the service makes it at its first start")
    obstacle = accounts.obstacle(account, state_dir, READ | WRITE | SEARCH)
    if obstacle is not None:
        return failed(
            obstacle, advice=f"chown -R {account.name} {state_dir} && chmod 0750 {state_dir}"
        )
    status = state_dir.stat()
    if status.st_mode & _OTHERS_WRITE:
        return failed(
            f"everybody may write into {state_dir} ({accounts.described(status)})",
            advice=f"chmod o-w {state_dir}",
        )
    foreign = sorted(
        path.name
        for path in _names(state_dir)
        if not path.is_symlink() and accounts.obstacle(account, path, READ) is not None
    )
    if foreign:
        return failed(
            f"{account.name} may not read {', '.join(foreign[:5])} in {state_dir}",
            advice=f"the agent ran as another user once: chown -R {account.name} {state_dir}",
        )
    return ok(f"{account.name} may write into {state_dir} ({accounts.described(status)})")


def _names(folder: Path) -> Sequence[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return ()
