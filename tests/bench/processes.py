"""Reads what processes cost from /proc: the operating system's own accounting."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Is what a process and its descendants cost up to now."""

    processes: int
    threads: int
    pss_mib: float
    rss_mib: float
    private_mib: float
    cpu_seconds: float
    switches: int


def tree(root: int) -> list[int]:
    """Return a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        parent = int(stat.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [root]
    while queue:
        process = queue.pop()
        found.append(process)
        queue += children.get(process, [])
    return found


def cost(root: int) -> Cost:
    """Return the cost of a process tree; a child that ended counts through its parent's times."""
    pss = rss = private = cpu = 0.0
    threads = switches = 0
    processes = tree(root)
    for process in processes:
        folder = Path("/proc") / str(process)
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        # utime, stime, cutime, cstime of proc(5).
        cpu += sum(int(each) for each in fields[11:15]) / TICKS_PER_SECOND
        threads += int(fields[17])
        for line in (folder / "smaps_rollup").read_text().splitlines()[1:]:
            name, kib = line.split()[0], int(line.split()[1])
            if name == "Pss:":
                pss += kib / 1024
            elif name == "Rss:":
                rss += kib / 1024
            elif name in {"Private_Clean:", "Private_Dirty:"}:
                private += kib / 1024
        for task in (folder / "task").iterdir():
            try:
                status = (task / "status").read_text()
            except OSError:
                continue
            switches += sum(
                int(line.split()[1])
                for line in status.splitlines()
                if line.startswith(("voluntary_ctxt", "nonvoluntary_ctxt"))
            )
    return Cost(
        processes=len(processes),
        threads=threads,
        pss_mib=pss,
        rss_mib=rss,
        private_mib=private,
        cpu_seconds=cpu,
        switches=switches,
    )
