"""Shows an agent and a platform at work on this machine, and judges what the platform saw.

The platform is the simulator in this process; the agent is a process of its own, started as the
service starts it. Both talk over loopback. The beats are faster than in service, so that a person
sees some: a keepalive every 5 s and a sample every 2 s.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.app.demo.node_check import Comparison, compare
from agent.simulator.simulator import Simulator, SimulatorSettings

CODE = "11010800005020000001"
PASSWORD = "demo-Password-密码"  # noqa: S105 - it opens nothing but this demonstration
KEEPALIVE_SECONDS = 5
SAMPLE_SECONDS = 2
READ_BACK_SECONDS = 2.0
TABLE_SECONDS = 6.0
LEAST_KEEPALIVES = 2
STOP_SECONDS = 20.0

Event = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Seen:
    """Counts what the platform saw; written by the demonstration's thread alone."""

    registrations: int = 0
    keepalives: int = 0
    refusals: int = 0
    findings: int = 0
    password_agrees: bool = False
    unregistered: bool = False
    worst_gap_seconds: float = 0.0


def run(*, seconds: float | None) -> int:
    """Run the demonstration, for some seconds or until Ctrl-C; return the exit status."""
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    seen = Seen()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="computility-demo-")))
        simulator = stack.enter_context(
            Simulator(
                SimulatorSettings(
                    listen=("127.0.0.1", 0),
                    control_listen=None,
                    poll_seconds=READ_BACK_SECONDS,
                    require_token=True,
                ),
                on_event=events.put,
            )
        )
        config = _write_configuration(folder, simulator)
        _say("platform  the simulator of T/BAX 0006.5 listens at " + simulator.url)
        _say("agent     starts with " + str(config))
        comparisons: tuple[Comparison, ...] = ()
        with _agent(config) as process:
            try:
                comparisons = _watch(simulator, events, process, seen=seen, seconds=seconds)
            except KeyboardInterrupt:
                _say("Ctrl-C")
                comparisons = _comparisons(simulator)
        _say("agent     has stopped; unregistering")
        subprocess.run(_command("unregister", config), check=False, capture_output=True)
        _drain(events, seen=seen)
        return _summary(seen, comparisons)


def _watch(
    simulator: Simulator,
    events: queue.SimpleQueue[Event],
    process: subprocess.Popen[bytes],
    *,
    seen: Seen,
    seconds: float | None,
) -> tuple[Comparison, ...]:
    """Show events and tables until the time is over; return the last comparison."""
    begin = time.monotonic()
    next_table = begin + TABLE_SECONDS / 2
    while seconds is None or time.monotonic() < begin + seconds:
        if process.poll() is not None:
            _say(f"agent     ended with status {process.returncode}")
            break
        with contextlib.suppress(queue.Empty):
            _show(events.get(timeout=0.2), seen=seen, simulator=simulator)
        if time.monotonic() >= next_table:
            next_table += TABLE_SECONDS
            _show_table(_device(simulator))
    return _comparisons(simulator)


def _show(event: Event, *, seen: Seen, simulator: Simulator | None = None) -> None:
    seen.findings += len(event["findings"])
    if event["kind"] == "read_back" and event["accepted"]:
        return
    if event["kind"] == "request":
        _count(event, seen=seen)
        if event["operation"] == "Register" and event["accepted"] and simulator is not None:
            node = simulator.registry.nodes()[0]
            seen.password_agrees = node.password == PASSWORD
            _say(f"platform  {event['text']}")
            _say(f"platform  issued a token of {len(node.token or '')} characters")
            return
    _say(f"platform  {event['text']}")


def _count(event: Event, *, seen: Seen) -> None:
    if not event["accepted"]:
        seen.refusals += 1
    elif event["operation"] == "Register":
        seen.registrations += 1
    elif event["operation"] == "Keepalive":
        seen.keepalives += 1
        gap_seconds = float(event["details"]["gap_seconds"])
        seen.worst_gap_seconds = max(seen.worst_gap_seconds, gap_seconds)
    elif event["operation"] == "UnRegister":
        seen.unregistered = True


def _drain(events: queue.SimpleQueue[Event], *, seen: Seen) -> None:
    with contextlib.suppress(queue.Empty):
        while True:
            event = events.get_nowait()
            # A device that has stopped cannot be read; everybody expects that.
            if event["kind"] != "read_back":
                _show(event, seen=seen)


def _device(simulator: Simulator) -> Mapping[str, Any] | None:
    """Return what the platform read back of the device last, None before the first answer."""
    for node in simulator.registry.nodes():
        for info in node.read_back.content or ():
            for device in info["DeviceInfos"]:
                return dict(device)
    return None


def _comparisons(simulator: Simulator) -> tuple[Comparison, ...]:
    device = _device(simulator)
    return () if device is None else compare(device)


def _show_table(device: Mapping[str, Any] | None) -> None:
    """Print the device as the platform read it."""
    if device is None:
        return
    rows = [
        ("node", f"{device.get('HostName')}  {device.get('OS')} {device.get('CpuType')}"),
        ("CPU", f"{_figure(device.get('Cpu'))} cores, {_share(device.get('CpuUtilization'))} busy"),
        ("memory", _used(device.get("MemoryUsed"), device.get("Memory"))),
    ]
    rows += [
        (f"disk {disk.get('Path')}", _used(disk.get("DiskUsed"), disk.get("Disk")))
        for disk in device.get("DiskDetails") or ()
    ]
    rows += [
        (
            str(card.get("XpuType", "accelerator")),
            f"{_share(card.get('XpuUtilization'))} busy, "
            f"{_used(card.get('XpuMemoryUsed'), card.get('XpuMemory'))}",
        )
        for card in device.get("XpuMonitors") or ()
    ]
    if not device.get("XpuMonitors"):
        is_known = "XpuMonitors" in device
        rows.append(("accelerators", "none found on this machine" if is_known else "not known yet"))
    width = max(len(name) for name, _ in rows)
    text = max(len(value) for _, value in rows)
    print(f"  ┌─ as the platform reads it {'─' * max(0, width + text - 23)}┐")
    for name, value in rows:
        print(f"  │ {name:<{width}}  {value:<{text}} │")
    print(f"  └{'─' * (width + text + 4)}┘", flush=True)


def _summary(seen: Seen, comparisons: Sequence[Comparison]) -> int:
    checks = (
        ("the platform accepted the registration", seen.registrations >= 1),
        ("the platform decrypted the right password", seen.password_agrees),
        (
            f"the platform accepted {seen.keepalives} keepalives, worst gap "
            f"{seen.worst_gap_seconds:.1f} s",
            seen.keepalives >= LEAST_KEEPALIVES,
        ),
        (
            "nothing was refused and nothing broke the standard's tables",
            seen.refusals == 0 and seen.findings == 0,
        ),
        (
            "what was read back agrees with the operating system's own figures",
            bool(comparisons) and all(each.agrees for each in comparisons),
        ),
        ("the platform accepted the unregistration", seen.unregistered),
    )
    print("\nplatform / operating system")
    for each in comparisons:
        print(f"  {each}")
    print("\nsummary")
    for text, good in checks:
        print(f"  {'ok  ' if good else 'FAIL'}  {text}")
    sys.stdout.flush()
    return 0 if all(good for _, good in checks) else 1


def _write_configuration(folder: Path, simulator: Simulator) -> Path:
    password = folder / "device-api.password"
    password.touch(mode=0o600)
    password.write_text(PASSWORD + "\n", encoding="utf-8")
    key = folder / "platform.sm2.pem"
    key.write_text(simulator.public_key.to_pem(), encoding="ascii")
    config = folder / "config.yaml"
    config.write_text(
        f"""\
node: {{code: "{CODE}", type: AI_BOX, state_dir: {folder}}}
device_api: {{listen: "127.0.0.1:0", password_file: {password}}}
acsmp:
  - name: demo
    url: {simulator.url}
    sm2_public_key_file: {key}
    keepalive_seconds: {KEEPALIVE_SECONDS}
collect: {{interval_seconds: {SAMPLE_SECONDS}}}
log: {{level: warning}}
""",
        encoding="utf-8",
    )
    return config


@contextlib.contextmanager
def _agent(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the agent until the end of the block, as the service runs it."""
    # A session of its own: the terminal's Ctrl-C is for the demonstration, which then stops it.
    process = subprocess.Popen(_command("run", config), start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _command(name: str, config: Path) -> list[str]:
    return [sys.executable, "-I", "-m", "agent", name, "--config", os.fspath(config)]


def _say(text: str) -> None:
    print(f"{datetime.now().astimezone():%H:%M:%S}  {text}", flush=True)


def _used(used: object, total: object) -> str:
    return f"{_figure(used)} of {_figure(total)} GiB"


def _share(ratio: object) -> str:
    return f"{ratio:.1%}" if isinstance(ratio, (int, float)) else "unknown"


def _figure(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else "unknown"
