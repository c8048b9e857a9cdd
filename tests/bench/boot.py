"""Measures how long services need to run after a boot without network: `make bench-boot`.

What a power cut leaves is made by force: agent, dockerd, containerd, shims and containers are
killed, mounts and what lies in /run are taken away, the page cache is dropped. Then agent and
dockerd start at the same moment, each in a network namespace that has nothing but lo, and the
clock stops when all replicas of all services run.

Needs root and docker.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import footprint
import processes
import workload_site
from workload_site import Site, wait_until

from tests.docker_engine import PrivateEngine, remove_containers, unmount_below

SERVICES = 3
REPLICAS = 2
LAYER_BYTES = 200 << 20
# Nobody answers there, on any network.
PLATFORM = "http://203.0.113.1:8088"
ALONE = ("unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(footprint.machine())
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        engine = stack.enter_context(workload_site.private_engine())
        site = Site(folder / "agent", socket=engine.socket, platform=(PLATFORM, _key(folder)))
        site.start(*ALONE)
        stack.callback(site.stop)
        wait_until(site.is_up, what="the agent")
        for number in range(SERVICES):
            package = folder / f"package-{number}.tar"
            image = workload_site.write_package(
                package, layer_bytes=[LAYER_BYTES], name=f"bench-{number}"
            )
            site.push(package.stem, package)
            image.unlink()
            package.unlink()
            site.load(package.stem, replicas=REPLICAS)
        wait_until(lambda: _running(engine) == SERVICES * REPLICAS, what="the first start")
        print("\n| what the power cut left | seconds, each round | worst |\n|---|---|---|")
        for left, take_away in (
            ("containers", lambda: None),
            ("images, no containers", lambda: remove_containers(engine)),
            ("packages, no images", lambda: _remove_images(engine)),
        ):
            times = [_boot(site, engine, take_away) for _ in range(arguments.rounds)]
            rounds = " ".join(f"{each:.1f}" for each in times)
            print(f"| {left} | {rounds} | {max(times):.1f} |", flush=True)
    print(f"\nload at the end: {os.getloadavg()[0]:.1f}")
    return 0


def _boot(site: Site, engine: PrivateEngine, take_away: Callable[[], None]) -> float:
    """Cut the power and boot; return the seconds until all replicas run."""
    site.stop(signal.SIGKILL)
    take_away()
    _cut_power(engine)
    workload_site.drop_caches()
    begin = time.monotonic()
    site.start(*ALONE)
    engine.start()
    wait_until(lambda: _running(engine) == SERVICES * REPLICAS, what="all replicas")
    return time.monotonic() - begin


def _cut_power(engine: PrivateEngine) -> None:
    """Kill everything of an engine, containers too, and leave only what is on its disk."""
    folder = engine.socket.removeprefix("unix://").rpartition("/")[0]
    roots = [pid for pid in _pids() if f"{folder}/" in _command(pid)]
    doomed = {pid for root in roots for pid in processes.tree(root)}
    for pid in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    engine.kill()
    wait_until(lambda: not any(_lives(pid) for pid in doomed), what="the end of all processes")
    unmount_below(Path(folder))
    # Both are in /run on a distribution's machine, whose content a boot finds no more.
    for name in ("exec", "containerd-state"):
        shutil.rmtree(Path(folder) / name, ignore_errors=True)


def _running(engine: PrivateEngine) -> int:
    """Count the containers that the engine says run, and whose process is really there."""
    with engine.api() as api:
        found = api.containers(filters={"label": "computility-agent.service"})
        states = [api.inspect_container(each["Id"])["State"] for each in found]
    return sum(each["Running"] and _lives(each["Pid"]) for each in states)


def _remove_images(engine: PrivateEngine) -> None:
    remove_containers(engine)
    with engine.api() as api:
        for image in api.images(name="computility-agent/package"):
            api.remove_image(image["Id"], force=True)


def _key(folder: Path) -> Path:
    private, public = folder / "key.pem", folder / "key.pub.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "SM2", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return public


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _command(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_text(errors="replace")
    except OSError:
        return ""


def _lives(pid: int) -> bool:
    try:
        stat = (Path("/proc") / str(pid) / "stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


if __name__ == "__main__":
    sys.exit(main())
