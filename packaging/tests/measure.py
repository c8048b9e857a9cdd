# ruff: noqa: INP001, S603, S607, T201 - a script, no module
"""Measures start and memory of an agent, as a service of systemd or as a command.

measure.py NAME systemctl UNIT | measure.py NAME run COMMAND…
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import processes

STARTS = 5
SETTLE_SECONDS = 45.0


def service(unit: str) -> tuple[list[float], processes.Cost]:
    """Return how long each start took until READY, and what the service costs afterwards."""
    times = []
    for _ in range(STARTS):
        subprocess.run(["systemctl", "stop", unit], check=True)
        began = time.monotonic()
        subprocess.run(["systemctl", "start", unit], check=True)
        times.append(time.monotonic() - began)
    time.sleep(SETTLE_SECONDS)
    shown = subprocess.run(
        ["systemctl", "show", "--property=MainPID", "--value", unit],
        check=True,
        capture_output=True,
        text=True,
    )
    return times, processes.cost(int(shown.stdout))


def command(words: list[str]) -> tuple[list[float], processes.Cost]:
    """Return the same of a command that is started here, by the messages that systemd would get."""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        address = str(Path(folder) / "notify")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(address)
        listener.settimeout(60)
        for number in range(1, STARTS + 1):
            began = time.monotonic()
            process = subprocess.Popen(
                words,
                env={**os.environ, "NOTIFY_SOCKET": address},
                stderr=subprocess.DEVNULL,
            )
            while b"READY=1" not in listener.recv(4096):
                pass
            times.append(time.monotonic() - began)
            if number == STARTS:
                time.sleep(SETTLE_SECONDS)
                cost = processes.cost(process.pid)
            process.send_signal(signal.SIGTERM)
            process.wait()
    return times, cost


def main(name: str, kind: str, *words: str) -> None:
    """Print one row of the table in docs/benchmarks.md."""
    times, cost = service(words[0]) if kind == "systemctl" else command(list(words))
    print(
        f"| {name} | {statistics.median(times):.2f} s | {cost.processes} | {cost.threads} "
        f"| {cost.pss_mib:.1f} | {cost.private_mib:.1f} | {cost.rss_mib:.1f} |",
        flush=True,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
