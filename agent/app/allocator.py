"""Keeps the C library from giving the memory of short-lived threads away for good."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8  # malloc.h of glibc
_ARENAS = 2


def bound_arenas() -> None:
    """Let all threads share two arenas of glibc's malloc; call it before there are threads.

    By default there are eight for each CPU. Threads come and go here with downloads, images and
    starts, and each arena that they ever used keeps its pieces: some 10 MiB after a few packages.
    Other C libraries have no such bound and are left as they are.
    """
    try:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
    except AttributeError:
        return
