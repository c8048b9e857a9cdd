"""What a container uses, from the kernel's own files: cgroups(7), versions 1 and 2.

The engine's own statistics take one to two seconds for each container. These files take
microseconds, and are there for every process of the container, whoever drives them (cgroupfs or
systemd).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from agent.model.workloads import ContainerUsage

# A container may nest groups; who makes more than these does it on purpose.
_GROUPS_MAXIMUM = 256
_PROCESSES_MAXIMUM = 65536
# Version 1 says "no limit" by the greatest multiple of the page size in 63 bits.
_NO_LIMIT_BYTES = 1 << 60
_UNIFIED = ""
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """Is one mounted tree of groups; version 2's has no controllers here and `is_unified`.

    `root` is the group that is seen at the mount point.
    """

    mount_point: str
    root: str
    controllers: frozenset[str]
    is_unified: bool


def parse_membership(text: str) -> dict[str, str]:
    """Return a process's group by controller, from /proc/PID/cgroup; version 2's under ""."""
    groups: dict[str, str] = {}
    for line in text.splitlines():
        parts = line.split(":", 2)
        if len(parts) != 3 or not parts[2].startswith("/"):
            continue
        identifier, controllers, path = parts
        # A group that was removed while its process lived on is marked so.
        path = path.removesuffix(" (deleted)")
        if identifier == "0" and not controllers:
            groups[_UNIFIED] = path
        else:
            groups.update(dict.fromkeys(filter(None, controllers.split(",")), path))
    return groups


def parse_hierarchies(mountinfo: str) -> tuple[Hierarchy, ...]:
    """Return the trees that are mounted, from /proc/self/mountinfo (proc_pid_mountinfo(5))."""
    found = []
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        left, right = before.split(" "), after.split(" ")
        if not separator or len(left) < 5 or len(right) < 3:
            continue
        if right[0] not in ("cgroup", "cgroup2"):
            continue
        found.append(
            Hierarchy(
                mount_point=_unescape(left[4]),
                root=_unescape(left[3]),
                controllers=frozenset(right[2].split(",")) if right[0] == "cgroup" else frozenset(),
                is_unified=right[0] == "cgroup2",
            )
        )
    return tuple(found)


def container_group(path: str, *, container_id: str) -> str | None:
    """Return the group of the whole container, of which a process's may be a part.

    None where no part of the path names the container: then it is somebody else's.
    """
    parts = PurePosixPath(path).parts
    for index in range(len(parts) - 1, -1, -1):
        if container_id in parts[index]:
            return str(PurePosixPath(*parts[: index + 1]))
    return None


def parse_flat(text: str) -> dict[str, int]:
    """Return the figures of a file of `name figure` lines, such as memory.stat."""
    figures = {}
    for line in text.splitlines():
        name, _, figure = line.partition(" ")
        if figure.strip().isdecimal():
            figures[name] = int(figure)
    return figures


def parse_processes(text: str) -> tuple[int, ...]:
    """Return the process ids of cgroup.procs; those that this process cannot see (0) left out."""
    return tuple(int(line) for line in text.split() if line.isdecimal() and int(line) > 0)


class CgroupReader:
    """Reads the figures of a container from the kernel's files.

    Safe in every thread: it keeps nothing.
    """

    def __init__(self, *, proc: Path = Path("/proc")) -> None:
        self._proc = proc

    def usage(self, *, pid: int, container_id: str) -> ContainerUsage:
        """Return what a container uses now; `pid` is any process of it.

        A figure that cannot be read is None with the reason; nothing is raised.
        """
        unknown: dict[str, str] = {}

        def figure(name: str, read: Callable[[], int | float | None]) -> int | float | None:
            try:
                return read()
            except (OSError, ValueError) as error:
                unknown[name] = _reason(error)
                return None

        try:
            groups = self._groups(pid, container_id=container_id)
        except (OSError, ValueError) as error:
            reason = _reason(error)
            names = ("cpu_seconds", "memory_used_bytes", "memory_limit_bytes", "process_ids")
            return ContainerUsage(unknown=dict.fromkeys(names, reason))
        cpu = figure("cpu_seconds", lambda: _cpu_seconds(groups))
        used = figure("memory_used_bytes", lambda: _memory_used_bytes(groups))
        limit = figure("memory_limit_bytes", lambda: _memory_limit_bytes(groups))
        if limit is None:
            unknown.setdefault("memory_limit_bytes", "no limit is set")
        processes: tuple[int, ...] | None = None
        try:
            processes = _processes(groups)
        except (OSError, ValueError) as error:
            unknown["process_ids"] = _reason(error)
        return ContainerUsage(
            cpu_seconds=None if cpu is None else float(cpu),
            memory_used_bytes=None if used is None else int(used),
            memory_limit_bytes=None if limit is None else int(limit),
            process_ids=processes,
            unknown=unknown,
        )

    def _groups(self, pid: int, *, container_id: str) -> dict[str, Path]:
        """Return the folder of the container's group by controller, version 2's under ""."""
        membership = parse_membership((self._proc / str(pid) / "cgroup").read_text())
        hierarchies = parse_hierarchies((self._proc / "self/mountinfo").read_text())
        folders: dict[str, Path] = {}
        for controller, path in membership.items():
            group = container_group(path, container_id=container_id)
            if group is None:
                continue
            for hierarchy in hierarchies:
                is_its = (
                    hierarchy.is_unified
                    if controller == _UNIFIED
                    else controller in hierarchy.controllers
                )
                if is_its and (folder := _folder(hierarchy, group=group)) is not None:
                    folders[controller] = folder
                    break
        if not folders:
            raise ValueError("the kernel's accounts (cgroups) of this container are not in sight")
        return folders


def _folder(hierarchy: Hierarchy, *, group: str) -> Path | None:
    try:
        below = PurePosixPath(group).relative_to(hierarchy.root)
    except ValueError:
        return None
    return Path(hierarchy.mount_point) / below


def _cpu_seconds(groups: Mapping[str, Path]) -> float:
    if "cpuacct" in groups:
        return int((groups["cpuacct"] / "cpuacct.usage").read_text()) / 1e9
    statistics = parse_flat((_unified(groups) / "cpu.stat").read_text())
    if "usage_usec" not in statistics:
        raise ValueError("cpu.stat has no usage_usec")
    return statistics["usage_usec"] / 1e6


def _memory_used_bytes(groups: Mapping[str, Path]) -> int:
    # File pages that nobody used for long go first when memory is short: as `docker stats` does,
    # they are not counted as used.
    if "memory" in groups:
        used = int((groups["memory"] / "memory.usage_in_bytes").read_text())
        idle = parse_flat((groups["memory"] / "memory.stat").read_text()).get("total_inactive_file")
    else:
        folder = _unified(groups)
        used = int((folder / "memory.current").read_text())
        idle = parse_flat((folder / "memory.stat").read_text()).get("inactive_file")
    return max(0, used - (idle or 0))


def _memory_limit_bytes(groups: Mapping[str, Path]) -> int | None:
    if "memory" in groups:
        limit = int((groups["memory"] / "memory.limit_in_bytes").read_text())
        return None if limit >= _NO_LIMIT_BYTES else limit
    text = (_unified(groups) / "memory.max").read_text().strip()
    return None if text == "max" else int(text)


def _processes(groups: Mapping[str, Path]) -> tuple[int, ...]:
    # Any controller of version 1 will do: the engine puts a container in the same group of each.
    for controller in ("memory", "cpuacct", "pids", "devices", _UNIFIED):
        if controller in groups:
            break
    else:
        controller = next(iter(groups))
    found: set[int] = set()
    for folder in _with_nested(groups[controller]):
        try:
            found.update(parse_processes((folder / "cgroup.procs").read_text()))
        except OSError:
            # Gone meanwhile, or a group of threads: those processes are listed further up.
            if folder == groups[controller]:
                raise
        if len(found) > _PROCESSES_MAXIMUM:
            raise ValueError(f"the container has more than {_PROCESSES_MAXIMUM} processes")
    return tuple(sorted(found))


def _with_nested(folder: Path) -> Iterator[Path]:
    waiting, seen = [folder], 0
    while waiting:
        current = waiting.pop()
        yield current
        seen += 1
        if seen >= _GROUPS_MAXIMUM:
            raise ValueError(f"the container has more than {_GROUPS_MAXIMUM} groups of processes")
        try:
            waiting.extend(entry for entry in current.iterdir() if entry.is_dir())
        except OSError:
            continue


def _unified(groups: Mapping[str, Path]) -> Path:
    if _UNIFIED not in groups:
        raise ValueError("the kernel keeps no such account (cgroup controller) for containers here")
    return groups[_UNIFIED]


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{error.filename} is not there: the container ended, or the kernel does not count"
    return str(error)
