"""Threads share a few arenas, as the C library itself counts them."""

from __future__ import annotations

import platform
import re
import subprocess
import sys

import pytest

COUNT = """
import ctypes, os, sys, tempfile, threading
from agent.app import allocator

if sys.argv[1] == "bound":
    allocator.bound_arenas()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
barrier = threading.Barrier(6)

def take():
    barrier.wait()
    libc.malloc(1000)
    barrier.wait()

threads = [threading.Thread(target=take) for _ in range(6)]
for each in threads:
    each.start()
for each in threads:
    each.join()
with tempfile.TemporaryFile() as file:
    stream = ctypes.c_void_p(libc.fdopen(os.dup(file.fileno()), b"w"))
    assert libc.malloc_info(0, stream) == 0
    assert libc.fclose(stream) == 0
    file.seek(0)
    sys.stdout.write(file.read().decode())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas to bound")
def test_threads_share_two_arenas_where_they_would_take_one_each():
    assert heaps("bound") <= 2 < heaps("free")


def heaps(mode: str) -> int:
    command = [sys.executable, "-c", COUNT, mode]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return len(re.findall(r"<heap nr=", told.stdout))
