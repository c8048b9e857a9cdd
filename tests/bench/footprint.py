"""Measures what the agent costs, beside its peers, in one run: `make bench`.

The agent registers with the simulator every 30 s, samples every 15 s, is read by the platform and
scraped for metrics every 15 s; node_exporter and glances are scraped as often. The figures are
printed as the table that stands in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import processes

PASSWORD = "bench-password"
SCENARIO = (
    Path(__file__).parents[1] / "collectors/accelerators/nvidia/nvml_stub/scenarios/two-cards.txt"
)
SCRAPE_SECONDS = 15.0
SETTLE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Is one program under measurement."""

    name: str
    process: subprocess.Popen[bytes]
    url: str | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--nvml", type=Path, help="folder with the libnvidia-ml.so.1 of the tests")
    parser.add_argument("--glances", type=Path, help="the glances command of a venv")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        print(machine())
        print(f"\nStart to first registration attempt: {first_attempt_seconds(folder)}")
        platform_port = free_port()
        simulator = stack.enter_context(started(simulator_command(folder, platform_port)))
        wait_for(platform_port)
        subjects = list(start_subjects(stack, folder, platform_port, arguments))
        rows = measure(subjects, minutes=arguments.minutes)
        print(f"\nAfter {arguments.minutes:g} minutes, figures each {SCRAPE_SECONDS:g} s:\n")
        print_table(rows)
        agent = subjects[0]
        assert agent.url is not None
        print(f"\nDevice API: {throughput(folder, agent)}")
        del simulator
    return 0


def start_subjects(
    stack: contextlib.ExitStack, folder: Path, platform_port: int, arguments: argparse.Namespace
) -> Iterator[Subject]:
    environment = dict(os.environ)
    yield agent_subject(stack, folder, platform_port, "computility-agent", environment, gpu=False)
    if arguments.nvml is not None:
        environment["LD_LIBRARY_PATH"] = str(arguments.nvml.resolve())
        environment["NVML_STUB_SCENARIO"] = str(SCENARIO)
        yield agent_subject(
            stack, folder, platform_port, "computility-agent, NVIDIA", environment, gpu=True
        )
    exporter = shutil.which("prometheus-node-exporter")
    if exporter is not None:
        port = free_port()
        process = stack.enter_context(started([exporter, f"--web.listen-address=127.0.0.1:{port}"]))
        wait_for(port)
        yield Subject(name="node_exporter", process=process, url=f"http://127.0.0.1:{port}/metrics")
    if arguments.glances is not None:
        port = free_port()
        process = stack.enter_context(
            started(
                [
                    str(arguments.glances),
                    *("-w", "-t", "15", "-B", "127.0.0.1", "-p", str(port)),
                    *("--disable-webui", "--disable-check-update"),
                ]
            )
        )
        wait_for(port)
        yield Subject(name="glances", process=process, url=f"http://127.0.0.1:{port}/api/4/all")


def agent_subject(
    stack: contextlib.ExitStack,
    folder: Path,
    platform_port: int,
    name: str,
    environment: dict[str, str],
    *,
    gpu: bool,
) -> Subject:
    home = folder / name.replace(" ", "-").replace(",", "")
    home.mkdir()
    device_port, metrics_port = free_port(), free_port()
    config = write_config(
        home,
        code="11010800005020000002" if gpu else "11010800005020000001",
        platform_port=platform_port,
        key=folder / "platform.pem.pub.pem",
        device_port=device_port,
        metrics_port=metrics_port,
        gpu=gpu,
    )
    process = stack.enter_context(started(agent_command(config), environment))
    wait_for(metrics_port)
    return Subject(name=name, process=process, url=f"http://127.0.0.1:{metrics_port}/metrics")


def write_config(
    home: Path,
    *,
    code: str,
    platform_port: int,
    key: Path,
    device_port: int,
    metrics_port: int,
    gpu: bool,
) -> Path:
    (home / "password").write_text(PASSWORD)
    (home / "password").chmod(0o600)
    (home / "device-port").write_text(str(device_port))
    config = home / "config.yaml"
    config.write_text(
        f"""\
node: {{code: "{code}", type: AI_BOX, address: 127.0.0.1, state_dir: {home}}}
device_api: {{listen: "127.0.0.1:{device_port}", password_file: {home}/password}}
acsmp:
  - {{name: bench, url: "http://127.0.0.1:{platform_port}", sm2_public_key_file: {key}}}
accelerators: {{nvidia: {{enabled: {"auto" if gpu else "false"}}}}}
metrics: {{listen: "127.0.0.1:{metrics_port}"}}
log: {{level: warning}}
"""
    )
    return config


def measure(subjects: list[Subject], *, minutes: float) -> list[tuple[str, processes.Cost, float]]:
    """Scrape all subjects until the time is over; return name, cost, CPU seconds an hour."""
    begin = time.monotonic()
    end = begin + minutes * 60
    baseline: dict[str, tuple[float, processes.Cost]] = {}
    while (now := time.monotonic()) < end:
        for subject in subjects:
            if subject.process.poll() is not None:
                raise SystemExit(f"{subject.name} ended with {subject.process.returncode}")
            if subject.url is not None:
                scrape(subject)
            # Start-up is measured apart: an hour's cost is that of the steady state.
            if now - begin >= min(SETTLE_SECONDS, minutes * 20) and subject.name not in baseline:
                baseline[subject.name] = (time.monotonic(), processes.cost(subject.process.pid))
        time.sleep(max(0.0, min(SCRAPE_SECONDS, end - time.monotonic())))
    rows = []
    for subject in subjects:
        cost = processes.cost(subject.process.pid)
        since, before = baseline[subject.name]
        hour = (cost.cpu_seconds - before.cpu_seconds) / (time.monotonic() - since) * 3600
        rows.append((subject.name, cost, hour))
    return rows


def scrape(subject: Subject) -> None:
    assert subject.url is not None
    try:
        with urllib.request.urlopen(subject.url, timeout=30) as answer:
            answer.read()
    except OSError as error:
        raise SystemExit(f"{subject.name} does not answer on {subject.url}: {error}") from error


def print_table(rows: list[tuple[str, processes.Cost, float]]) -> None:
    print("| program | processes | threads | PSS MiB | private MiB | RSS MiB | CPU s/h |")
    print("|---|---|---|---|---|---|---|")
    for name, cost, hour in rows:
        print(
            f"| {name} | {cost.processes} | {cost.threads} | {cost.pss_mib:.1f} | "
            f"{cost.private_mib:.1f} | {cost.rss_mib:.1f} | {hour:.1f} |"
        )


def first_attempt_seconds(folder: Path) -> str:
    """Return how long the first registration attempt takes from the start of the process."""
    home = folder / "start"
    home.mkdir()
    times = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        listener.settimeout(30)
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", "SM2", "-out", home / "key.pem"], check=True
        )
        subprocess.run(
            ["openssl", "pkey", "-in", home / "key.pem", "-pubout", "-out", home / "pub.pem"],
            check=True,
        )
        config = write_config(
            home,
            code="11010800005020000009",
            platform_port=listener.getsockname()[1],
            key=home / "pub.pem",
            device_port=free_port(),
            metrics_port=free_port(),
            gpu=False,
        )
        for _ in range(5):
            begin = time.monotonic()
            with started(agent_command(config)):
                connection, _ = listener.accept()
                connection.recv(1)
                times.append(time.monotonic() - begin)
                connection.close()
    times.sort()
    return f"{times[0]:.2f} / {times[2]:.2f} / {times[-1]:.2f} s (least / median / most of 5)"


def throughput(folder: Path, agent: Subject) -> str:
    """Return how many full answers a second the device API gives on one core (needs wrk)."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return "not measured, wrk is not installed"
    os.sched_setaffinity(agent.process.pid, {0})
    for task in (Path("/proc") / str(agent.process.pid) / "task").iterdir():
        with contextlib.suppress(OSError):
            os.sched_setaffinity(int(task.name), {0})
    credentials = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    port = int((folder / "computility-agent" / "device-port").read_text())
    url = f"http://127.0.0.1:{port}/ACSMP/Computility"
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {credentials}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        size = len(answer.read())
    before = processes.cost(agent.process.pid).cpu_seconds
    command = ["taskset", "-c", "1", wrk, "-t1", "-c4", "-d10s", "--latency"]
    result = subprocess.run(
        [*command, "-H", f"Authorization: Basic {credentials}", url],
        capture_output=True,
        text=True,
        check=True,
    )
    cpu = processes.cost(agent.process.pid).cpu_seconds - before
    rate = next(line.split()[1] for line in result.stdout.splitlines() if "Requests/sec" in line)
    late = next(line.split()[1] for line in result.stdout.splitlines() if "99%" in line)
    failed = [line.strip() for line in result.stdout.splitlines() if "Non-2xx" in line]
    return (
        f"{float(rate):.0f} full answers a second on one core ({size} bytes each, 99 % within "
        f"{late}, {cpu:.1f} CPU s in 10 s) {' '.join(failed)}"
    )


def simulator_command(folder: Path, port: int) -> list[str]:
    return [
        sys.executable,
        *("-I", "-m", "agent", "simulate", "--listen", f"127.0.0.1:{port}"),
        *("--key", str(folder / "platform.pem"), "--poll-seconds", "15"),
    ]


def agent_command(config: Path) -> list[str]:
    return [sys.executable, "-I", "-m", "agent", "run", "--config", str(config)]


@contextlib.contextmanager
def started(
    command: list[str], environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the end of the block."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=None if os.environ.get("BENCH_VERBOSE") else subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a port that nobody uses, below those that the system gives to clients.

    Among those a client that waits for a server can meet itself.
    """
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown CPU",
    )
    return json.dumps(
        {
            "cpu": model,
            "cores": os.cpu_count(),
            "kernel": os.uname().release,
            "python": sys.version.split()[0],
        }
    )


if __name__ == "__main__":
    sys.exit(main())
