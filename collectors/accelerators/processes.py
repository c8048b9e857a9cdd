"""Who uses a card, from what a vendor's interface says of it; pure."""

from __future__ import annotations

from collections.abc import Iterable

from agent.model.accelerator import AcceleratorProcess
from collectors.accelerators.quantities import Unknown

# PID_MAX_LIMIT of the kernel.
_MAX_PID = 1 << 22

Processes = tuple[AcceleratorProcess, ...]


def gathered(
    found: Iterable[AcceleratorProcess], *, memory_total_bytes: int | None
) -> Processes | Unknown:
    """Return the processes by pid, each once; Unknown where one of them cannot be.

    More memory than the card has is unknown, and so is what two entries of a process say
    differently: which of them is right cannot be told.
    """
    by_pid: dict[int, AcceleratorProcess] = {}
    for each in found:
        if not 0 < each.pid <= _MAX_PID:
            return Unknown(reason=f"not plausible: {each.pid} is no number of a process")
        memory = each.memory_used_bytes
        is_too_much = memory is not None and (
            memory < 0 or (memory_total_bytes is not None and memory > memory_total_bytes)
        )
        process = AcceleratorProcess(
            pid=each.pid,
            memory_used_bytes=None if is_too_much else memory,
            utilization_ratio=each.utilization_ratio,
        )
        before = by_pid.get(each.pid)
        by_pid[each.pid] = process if before is None else _agreed(before, process)
    return tuple(by_pid[pid] for pid in sorted(by_pid))


def _agreed(one: AcceleratorProcess, other: AcceleratorProcess) -> AcceleratorProcess:
    same_memory = one.memory_used_bytes == other.memory_used_bytes
    same_ratio = one.utilization_ratio == other.utilization_ratio
    return AcceleratorProcess(
        pid=one.pid,
        memory_used_bytes=one.memory_used_bytes if same_memory else None,
        utilization_ratio=one.utilization_ratio if same_ratio else None,
    )
