"""Nothing of a session is left, whatever groups its processes made for themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from agent.sampling.sessions import kill_session

# A leader, a child in a group of its own, and a grandchild in that group.
LEADER = """\
import os, subprocess, sys
tool = subprocess.Popen(
    ["sh", "-c", "sleep 600 & echo $!; wait"], preexec_fn=os.setpgrp, stdout=subprocess.PIPE
)
grandchild = int(tool.stdout.readline())
print(tool.pid, grandchild, flush=True)
tool.wait()
"""


def is_running(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_a_tool_in_a_group_of_its_own_ends_with_the_session():
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", LEADER],
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    ) as leader:
        assert leader.stdout is not None
        tool, grandchild = map(int, leader.stdout.readline().split())
        assert os.getpgid(tool) == tool
        assert is_running(grandchild)
        kill_session(leader.pid)
        assert leader.wait(10) == -signal.SIGKILL
    end = time.monotonic() + 10
    while is_running(tool) or is_running(grandchild):
        assert time.monotonic() < end
        os.sched_yield()


def test_other_sessions_live_on():
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as other:
        with subprocess.Popen(["sleep", "600"], start_new_session=True) as leader:
            kill_session(leader.pid)
            leader.wait(10)
        assert is_running(other.pid)
        other.kill()
