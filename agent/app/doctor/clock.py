"""The clock of this machine: tokens, certificates and hours of the ledger depend on it."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from agent.app.doctor import programs
from agent.app.doctor.check import Check, Finding, ok, skipped, warning
from agent.errors import NotPresent, TransientError

NAME = "clock"
TIMESYNC_MARK = Path("run/systemd/timesync/synchronized")
LARGEST_DIFFERENCE = timedelta(seconds=30)
# adjtimex(2): the kernel has been told by nobody that its clock is right.
_STA_UNSYNC = 0x0040
_ADVICE = (
    "let a time service set it: timedatectl set-ntp true, or install chrony and name a server that "
    "this machine reaches (for chrony, `rtcsync` in its configuration tells the kernel)"
)


class _Timex(ctypes.Structure):
    """Is the beginning of `struct timex`; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelClock:
    """Is what the kernel says of its clock: set by somebody or not, and its largest error."""

    is_synchronised: bool
    largest_error_seconds: float


def check(*, root: Path = Path("/")) -> Check:
    """Return the check of whether somebody keeps the clock right."""

    def look() -> Finding:
        is_marked = (root / TIMESYNC_MARK).exists()
        return judge(kernel_clock(), is_marked=is_marked, chrony=_chrony())

    return Check(name=NAME, look=look)


def kernel_clock() -> KernelClock | None:
    """Return what the kernel says; None where it may not be asked (in some containers)."""
    timex = _Timex(modes=0)
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    return KernelClock(
        is_synchronised=not timex.status & _STA_UNSYNC,
        largest_error_seconds=timex.maxerror / 1_000_000,
    )


def judge(kernel: KernelClock | None, *, is_marked: bool, chrony: str | None) -> Finding:
    """Return what kernel, systemd-timesyncd's mark and chrony say together. Pure."""
    if kernel is not None and kernel.is_synchronised:
        return ok(f"synchronised, off by at most {kernel.largest_error_seconds:.3f} s")
    if is_marked:
        return ok("synchronised by systemd-timesyncd")
    if chrony is not None and re.search(r"(?m)^Leap status\s*:\s*Normal", chrony):
        return ok("synchronised by chrony")
    if kernel is None and chrony is None:
        return skipped("the kernel does not tell whether its clock is synchronised")
    return warning("nobody keeps it synchronised", advice=_ADVICE)


def against(date: str | None, *, now: datetime, whose: str) -> Finding:
    """Return how the clock stands to the Date of an answer; None for an answer without. Pure."""
    try:
        moment = parsedate_to_datetime(date) if date else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        return skipped(f"{whose} sent no Date")
    difference = now - moment
    seconds = difference.total_seconds()
    found = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} {whose}"
    if abs(difference) <= LARGEST_DIFFERENCE:
        return ok(found if abs(seconds) >= 2 else f"as that of {whose}")
    return warning(found, advice=f"one of the two is wrong; if it is ours: {_ADVICE}")


def _chrony() -> str | None:
    try:
        return programs.answer(["chronyc", "-n", "tracking"], seconds=4.0)
    except (NotPresent, TransientError):
        return None
