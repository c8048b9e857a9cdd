"""The engine that runs algorithm services: its socket, its answer, and what it can limit."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.app.doctor import accounts, engine
from agent.app.doctor.accounts import READ, WRITE, Account
from agent.app.doctor.check import Check, Finding, failed, ok, skipped, warning
from agent.app.workloads import runtime_choice
from agent.config.settings import RuntimeSettings
from agent.errors import TransientError

SOCKET, ENGINE, CGROUPS = "docker socket", "docker engine", "cgroups"
_LIMITS = {"MemoryLimit": "memory", "CpuCfsQuota": "CPUs", "PidsLimit": "processes"}


def chain(settings: RuntimeSettings, *, account: Account) -> list[Check]:
    """Return the checks of the engine, each of which needs the one before."""
    path = settings.socket.removeprefix("unix://")

    def look_at_socket() -> Finding:
        if settings.kind == runtime_choice.NONE:
            return skipped("runtime.kind is none: no algorithm services on this node")
        if settings.kind != "docker":
            return skipped(f"the runtime {settings.kind} is a plugin of somebody else")
        return judge_socket(Path(path), account=account)

    def look_at_engine() -> Finding:
        if not accounts.is_there(Path(path)):
            return skipped(f"{path} is not there")
        if not os.access(path, os.R_OK | os.W_OK):
            return skipped("this user may not ask it: run doctor as root")
        return _engine(path)

    return [
        Check(name=SOCKET, look=look_at_socket),
        Check(name=ENGINE, look=look_at_engine, needs=(SOCKET,)),
        Check(name=CGROUPS, look=lambda: judge_limits(engine.ask(path, "/info")), needs=(ENGINE,)),
    ]


def judge_socket(path: Path, *, account: Account) -> Finding:
    """Return whether an account may talk to the engine."""
    try:
        status = path.stat()
    except OSError as error:
        return warning(
            f"{path}: {error.strerror}; no algorithm services run",
            advice="install docker and start it (systemctl enable --now docker), set "
            "runtime.socket, or runtime.kind: none for a node without algorithm services",
        )
    if not stat.S_ISSOCK(status.st_mode):
        return failed(f"{path} is no socket", advice="set runtime.socket")
    obstacle = accounts.obstacle(account, path, READ | WRITE)
    if obstacle is not None:
        return warning(
            f"{obstacle}; no algorithm services run",
            advice="where services are wanted: the drop-in docker.conf among the package's "
            "examples, or for a user of your own usermod -aG docker; who may write to this "
            "socket is as good as root",
        )
    return ok(f"{path}, open to {account.name} ({accounts.described(status)})")


def judge_limits(info: Mapping[str, Any]) -> Finding:
    """Return which limits of containers the engine can keep. Pure."""
    version, driver = info.get("CgroupVersion", "1"), info.get("CgroupDriver", "unknown")
    found = f"version {version}, driver {driver}"
    missing = [words for name, words in _LIMITS.items() if info.get(name) is False]
    if driver == "none":
        missing = list(_LIMITS.values())
    if missing:
        return warning(
            f"{found}; no limits on {', '.join(missing)}",
            advice="workloads.limits has no effect on these: boot the kernel with these cgroups "
            "(cgroup_enable=memory), or run the engine as root",
        )
    return ok(found)


def judge_version(version: Mapping[str, Any]) -> Finding:
    """Return what engine it is. Pure."""
    name = "docker"
    for part in version.get("Components") or ():
        if isinstance(part, dict) and "podman" in str(part.get("Name", "")).lower():
            name = "podman"
    return ok(
        f"{name} {version.get('Version', 'unknown')}, API {version.get('ApiVersion', 'unknown')}, "
        f"{version.get('Os', 'unknown')}/{version.get('Arch', 'unknown')}, kernel "
        f"{version.get('KernelVersion', 'unknown')}"
    )


def _engine(path: str) -> Finding:
    try:
        return judge_version(engine.ask(path, "/version"))
    except TransientError as error:
        return failed(
            error.reason,
            advice="is the engine stuck? systemctl status docker; journalctl -u docker -n 50",
        )
