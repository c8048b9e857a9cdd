"""Measures how a large package arrives, beside curl, md5sum and docker: `make bench-packages`.

In turns, on one engine and from one server: the agent is pushed the package by its URL and loads a
service of it, until the engine has the image and the container runs; `curl -o`, `md5sum` and
`docker load` bring the image archive of that package in. Before each turn everything is written to
the disk, the page cache is dropped, and the file that will be served is read once.

Needs root, docker, curl, and four times the size of the package on the disk of the temporary files.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import footprint
import processes
import workload_site
from workload_site import CODE, Platform, Site, wait_until

from agent.errors import ConflictError

SAMPLE_SECONDS = 0.1
IDLE_SECONDS = 20.0
LAYERS = 4
_PIECE_BYTES = 4 << 20


class Memory:
    """Samples the PSS of an agent's processes until it is stopped."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stopping = threading.Event()
        self.samples: list[float] = []

    @contextlib.contextmanager
    def sampled(self) -> Iterator[list[float]]:
        """Sample during the block; the list grows meanwhile."""
        self.samples = []
        self._stopping.clear()
        thread = threading.Thread(target=self._sample)
        thread.start()
        try:
            yield self.samples
        finally:
            self._stopping.set()
            thread.join()

    def _sample(self) -> None:
        pids: list[int] = []
        looked_at = 0.0
        while not self._stopping.wait(SAMPLE_SECONDS):
            # To find the processes costs more than to read their figures.
            if time.monotonic() - looked_at > 1.0:
                pids, looked_at = processes.tree(self._pid), time.monotonic()
            self.samples.append(sum(_pss_mib(pid) for pid in pids))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=4.0, help="size of the package (4)")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(footprint.machine())
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        shelf = folder / "shelf"
        shelf.mkdir()
        package = shelf / "package.tar"
        layer_bytes = [int(arguments.gib * (1 << 30) / LAYERS)] * LAYERS
        image = workload_site.write_package(package, layer_bytes=layer_bytes, name="bench")
        image = image.rename(shelf / "image.tar")
        engine = stack.enter_context(workload_site.private_engine())
        platform = stack.enter_context(Platform(folder, shelf).running())
        files = _files(platform)
        site = Site(folder / "agent", socket=engine.socket, platform=(platform.url, platform.key))
        site.start()
        stack.callback(site.stop)
        assert site.process is not None
        memory = Memory(site.process.pid)
        wait_until(site.is_up, what="the agent")
        wait_until(lambda: _platform(site)["is_registered"], what="the registration")
        with memory.sampled() as fresh:
            time.sleep(IDLE_SECONDS)
        _show_memory("idle, nothing was ever loaded", fresh)
        turns: dict[str, list[dict[str, float]]] = {"agent": [], "peer": []}
        for _ in range(arguments.rounds):
            prepare(package)
            with memory.sampled() as busy:
                turns["agent"].append(
                    agent_turn(platform, site, files["package.tar"]["AlgoFilePackageID"])
                )
            _show_turn("agent", turns["agent"][-1])
            _show_memory("agent at work", busy)
            clear(platform, site, files["package.tar"]["AlgoFilePackageID"])
            time.sleep(IDLE_SECONDS / 2)
            with memory.sampled() as after:
                time.sleep(IDLE_SECONDS / 2)
            _show_memory("idle, docker's library loaded", after)
            prepare(image)
            turns["peer"].append(peer_turn(files["image.tar"]["url"], folder, engine.socket))
            _show_turn("peer", turns["peer"][-1])
        whole = {
            who: statistics.median(sum(each.values()) for each in found)
            for who, found in turns.items()
        }
        seen = _platform(site)
    print(
        f"\nmedians of {arguments.rounds}: {whole['agent']:.1f} and {whole['peer']:.1f} s, "
        f"ratio {whole['agent'] / whole['peer']:.2f}"
    )
    print(
        f"keepalives: {seen['keepalives_accepted']} accepted, {seen['keepalives_failed']} failed, "
        f"worst gap {seen['worst_gap_seconds']} s"
    )
    return 0


def prepare(served: Path) -> None:
    """Give both sides the same page cache: nothing but the file that is served."""
    workload_site.drop_caches()
    with served.open("rb", buffering=0) as file:
        while file.read(_PIECE_BYTES):
            pass


def agent_turn(platform: Platform, site: Site, package_id: str) -> dict[str, float]:
    """Push a package and load a service; return the seconds of each phase."""
    phases = {}
    begin = time.monotonic()
    platform.ask(
        "POST",
        "/ACSMP/AlgoFilePackages/Devices",
        {"AlgoFilePackageID": package_id, "ComputilityCode": CODE},
    )
    wait_until(lambda: _is_ready(site), what="the package", pause_seconds=0.2)
    phases["fetched, verified, in force"] = time.monotonic() - begin
    begin = time.monotonic()
    already = site.log_text().count("event=image_loaded ")
    site.load(package_id)
    wait_until(
        lambda: site.log_text().count("event=image_loaded ") > already,
        what="the image",
        pause_seconds=0.2,
    )
    phases["image in the engine"] = time.monotonic() - begin
    wait_until(lambda: site.states() == ["RUNNING"], what="the service", pause_seconds=0.2)
    phases["container running"] = time.monotonic() - begin - phases["image in the engine"]
    return phases


def peer_turn(url: str, folder: Path, socket: str) -> dict[str, float]:
    """Do the same with the usual tools; return the seconds of each phase."""
    target = folder / "peer.tar"
    phases = {}
    try:
        for command in (
            ["curl", "-sSf", "-o", str(target), url],
            ["md5sum", str(target)],
            ["docker", "-H", socket, "load", "-q", "-i", str(target)],
        ):
            begin = time.monotonic()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            phases[command[0]] = time.monotonic() - begin
        subprocess.run(
            ["docker", "-H", socket, "rmi", "bench/peer:1"], check=True, stdout=subprocess.DEVNULL
        )
    finally:
        target.unlink(missing_ok=True)
    return phases


def clear(platform: Platform, site: Site, package_id: str) -> None:
    """Remove service, package and image."""
    site.ask("unload service", package_id=package_id)

    def is_deleted() -> bool:
        try:
            site.ask("delete package", package_id=package_id)
        except ConflictError:
            return False
        return True

    wait_until(is_deleted, what="the deletion")
    time.sleep(5.0)


def _is_ready(site: Site) -> bool:
    (package,) = site.ask("packages")["packages"]
    if package["state"] == "failed":
        raise SystemExit(f"the package failed: {package}")
    return bool(package["state"] == "ready")


def _platform(site: Site) -> dict[str, Any]:
    (platform,) = site.ask("status")["platforms"]
    return dict(platform)


def _files(platform: Platform) -> dict[str, dict[str, Any]]:
    """Return what the platform says of its files, the package by its size the larger one."""
    found = platform.ask("GET", "/_control/state")["packages"]
    small, large = sorted(found, key=lambda each: each["size_bytes"])
    return {"image.tar": small, "package.tar": large}


def _pss_mib(pid: int) -> float:
    try:
        lines = (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _show_turn(who: str, phases: dict[str, float]) -> None:
    words = ", ".join(f"{name} {seconds:.1f}" for name, seconds in phases.items())
    load = os.getloadavg()[0]
    print(f"{who}: {sum(phases.values()):.1f} s ({words}); load {load:.1f}", flush=True)


def _show_memory(what: str, samples: list[float]) -> None:
    print(
        f"  PSS {what}: median {statistics.median(samples):.1f} MiB, most {max(samples):.1f} MiB "
        f"({len(samples)} samples)",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
