"""Shows the worst keepalive gap under faults: `make chaos-keepalive`, about three minutes.

One real agent at the 30 s cadence keeps itself alive with three simulated platforms while these
misbehave one after another, a vendor's driver hangs for good and the CPUs are busy. A gap counts
from the last accepted contact, or from the moment when the platform was able to answer again.
Exit status 1 if the worst gap is above 45 s.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.app.local_client import read_status
from agent.app.local_socket import SOCKET_NAME
from agent.simulator.faults import Fault, FaultKind
from agent.simulator.simulator import Simulator, SimulatorSettings

CODE = "11010800005020000001"
PROMISED_GAP_SECONDS = 45.0
CADENCE_SECONDS = 30.0
RUN_SECONDS = 165.0
HANG_AT_SECONDS = 45.0
BUSY_AT_SECONDS = 80.0


class Platform:
    """Is one simulated platform with the script of its faults and the record of its contacts."""

    def __init__(self, name: str, script: list[tuple[str, Fault]]) -> None:
        self.name = name
        self.script = script
        self.simulator = Simulator(
            SimulatorSettings(
                listen=("127.0.0.1", 0), control_listen=None, poll_seconds=15, require_token=True
            ),
            on_event=self._note,
        )
        self.begin = time.monotonic()
        self.contacts: list[float] = []
        self.recoveries: list[tuple[float, str]] = []
        self.gaps: list[tuple[float, str]] = []
        self._able_since = self.begin
        self._cause = "undisturbed"
        self._changed = threading.Condition()

    def _note(self, event: dict[str, Any]) -> None:
        if event["kind"] != "request" or event["operation"] not in {"Register", "Keepalive"}:
            return
        now = time.monotonic()
        if not event["accepted"]:
            say(self.name, event["text"])
            return
        with self._changed:
            if self.contacts:
                gap = now - max(self.contacts[-1], self._able_since)
                self.gaps.append((gap, self._cause))
                say(self.name, f"{event['text']}   gap {gap:.1f} s ({self._cause})")
            else:
                say(self.name, event["text"])
            self.contacts.append(now)
            self._changed.notify_all()

    def play(self) -> None:
        """Play the faults one after another; a thread of its own."""
        self._wait_for_contacts(1)
        for name, fault in self.script:
            with self._changed:
                seen = len(self.contacts)
                # A fault begins 5 s before the next beat, so that the beat surely meets it.
                pause = self.contacts[-1] + CADENCE_SECONDS - 5 - time.monotonic()
            threading.Event().wait(max(0.0, pause))
            say(self.name, f"FAULT {name}")
            self._cause = name
            begin = time.monotonic()
            if fault.kind is FaultKind.RESTART:
                assert fault.seconds is not None
                self.simulator.apply(fault)
                threading.Event().wait(fault.seconds)
            elif fault.kind in {FaultKind.FORGET, FaultKind.EXPIRE_TOKEN}:
                # The platform can answer all the time: it is the agent that has to notice.
                self.simulator.apply(fault)
                self._wait_for_contacts(seen + 1)
                continue
            else:
                self.simulator.apply(fault)
                while self.simulator.faults.as_json():
                    threading.Event().wait(0.1)
                if fault.kind is FaultKind.BLACK_HOLE:
                    # The last request is still held; the platform answers the next one.
                    self.simulator.faults.clear()
            with self._changed:
                self._able_since = time.monotonic()
            say(self.name, f"able to answer again after {self._able_since - begin:.1f} s")
            self._wait_for_contacts(seen + 1)
        self._cause = "hanging driver and busy CPUs"

    def finish(self) -> None:
        """Count the gap that is still open."""
        with self._changed:
            open_gap = time.monotonic() - max([*self.contacts[-1:], self._able_since])
            self.gaps.append((open_gap, "open at the end"))

    def _wait_for_contacts(self, count: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(self.contacts) >= count, timeout=120)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nvml", type=Path, required=True, help="folder of the stand-in library")
    arguments = parser.parse_args()
    platforms = [
        Platform(
            "restarts",
            [
                ("restart, 12 s", Fault(kind=FaultKind.RESTART, seconds=12)),
                ("HTTP 500, 3 times", Fault(kind=FaultKind.ERROR, count=3, status=500)),
            ],
        ),
        Platform(
            "garbage",
            [
                ("garbage, 3 times", Fault(kind=FaultKind.GARBAGE, count=3)),
                ("black hole, 2 requests", Fault(kind=FaultKind.BLACK_HOLE, count=2)),
            ],
        ),
        Platform(
            "tokens",
            [
                (
                    "token expired",
                    Fault(kind=FaultKind.EXPIRE_TOKEN, operation="Keepalive", count=1),
                ),
                ("node forgotten", Fault(kind=FaultKind.FORGET, operation="Keepalive", count=1)),
                ("connections dropped, 3", Fault(kind=FaultKind.DROP, count=3)),
            ],
        ),
    ]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        for platform in platforms:
            stack.enter_context(platform.simulator)
        scenario = write_scenario(folder, hanging=False)
        stack.enter_context(agent(folder, platforms, nvml=arguments.nvml, scenario=scenario))
        for platform in platforms:
            threading.Thread(target=platform.play, daemon=True).start()
        begin = time.monotonic()
        wait_until(begin + HANG_AT_SECONDS)
        say("machine", "FAULT the driver hangs for good")
        write_scenario(folder, hanging=True)
        wait_until(begin + BUSY_AT_SECONDS)
        say("machine", "FAULT the CPUs are busy")
        burners = [multiprocessing.Process(target=burn, daemon=True) for _ in range(8)]
        for burner in burners:
            burner.start()
        wait_until(begin + RUN_SECONDS)
        status = read_status(folder / SOCKET_NAME)
        for burner in burners:
            burner.kill()
            burner.join()
        for platform in platforms:
            platform.finish()
    return report(platforms, status)


def report(platforms: list[Platform], status: dict[str, Any]) -> int:
    worst = 0.0
    print("\n| platform | fault | gap until accepted again |\n|---|---|---|")
    for platform in platforms:
        by_cause: dict[str, float] = {}
        for gap, cause in platform.gaps:
            by_cause[cause] = max(gap, by_cause.get(cause, 0.0))
        for cause, gap in by_cause.items():
            print(f"| {platform.name} | {cause} | {gap:.1f} s |")
            worst = max(worst, gap)
        unplayed = [name for name, _ in platform.script if name not in by_cause]
        if unplayed:
            print(f"not played in time: {platform.name}: {', '.join(unplayed)}")
            return 1
    nvidia = next(each for each in status["plugins"] if each["name"] == "nvidia")
    print(f"\nplugin nvidia: {nvidia['state']}: {nvidia['detail']}")
    for each in status["platforms"]:
        print(
            f"the agent itself: {each['name']} {each['state']}, {each['keepalives_accepted']} "
            f"keepalives, {each['registrations_accepted']} registrations, worst gap "
            f"{each['worst_gap_seconds']} s with the platform's own outages"
        )
    print(
        f"\nworst gap while the platform was able to answer: {worst:.1f} s "
        f"(promised: {PROMISED_GAP_SECONDS:g} s)"
    )
    if nvidia["state"] != "stalled":
        print("the driver was meant to hang and did not: the run shows nothing")
        return 1
    return 0 if worst <= PROMISED_GAP_SECONDS else 1


def write_scenario(folder: Path, *, hanging: bool) -> Path:
    """Write what the stand-in plays; it reads the file again at each pass."""
    path = folder / "nvml.scenario"
    new = path.with_suffix(".new")
    new.write_text(
        ("hang = nvmlDeviceGetUtilizationRates\n" if hanging else "")
        + "driver = 590.48.01\n"
        + "[card]\nuuid = GPU-11111111-2222-3333-4444-555555555555\nname = Tesla T4\n"
        + "pci = 00000000:3B:00.0\nmemory_total = 16106127360\nmemory_used = 1073741824\n"
        + "utilization = 12\ntemperature = 40\npower = 30000\nenergy = 123456\n"
    )
    new.replace(path)
    return path


@contextlib.contextmanager
def agent(folder: Path, platforms: list[Platform], *, nvml: Path, scenario: Path) -> Iterator[None]:
    """Run the agent against these platforms until the end of the block."""
    password = folder / "password"
    password.write_text("chaos-password")
    password.chmod(0o600)
    entries = []
    for platform in platforms:
        key = folder / f"{platform.name}.pem"
        key.write_text(platform.simulator.public_key.to_pem())
        entries.append(
            {
                "name": platform.name,
                "url": platform.simulator.url,
                "sm2_public_key_file": str(key),
            }
        )
    config = folder / "config.yaml"
    config.write_text(
        json.dumps(
            {
                "node": {"code": CODE, "type": "AI_BOX", "state_dir": str(folder)},
                "device_api": {"listen": "127.0.0.1:0", "password_file": str(password)},
                "acsmp": entries,
                "collect": {"interval_seconds": 5},
                "log": {"level": "error"},
            }
        )
    )
    process = subprocess.Popen(
        [sys.executable, "-I", "-m", "agent", "run", "--config", str(config)],
        env={
            **os.environ,
            "LD_LIBRARY_PATH": str(nvml.resolve()),
            "NVML_STUB_SCENARIO": str(scenario),
        },
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def burn() -> None:
    """Keep a CPU busy."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        sum(range(10_000))


def wait_until(moment: float) -> None:
    threading.Event().wait(max(0.0, moment - time.monotonic()))


BEGIN = time.monotonic()


def say(who: str, text: str) -> None:
    print(f"{time.monotonic() - BEGIN:6.1f} s  {who:<9} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
