"""Measures what five running services cost the agent: `make bench-services`.

Two agents at the usual intervals, registered with one platform, run at the same time: one without
services, one with five of a container each. The figures are those of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import footprint
import processes
import workload_site
from workload_site import Platform, Site, wait_until

SERVICES = 5
SETTLE_SECONDS = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    arguments = parser.parse_args()
    print(footprint.machine())
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        engine = stack.enter_context(workload_site.private_engine())
        platform = stack.enter_context(Platform(folder, None).running())
        sites = []
        for code, name in (
            ("11010800005020000001", "without services"),
            ("11010800005020000002", f"with {SERVICES} services"),
        ):
            site = Site(
                folder / name.replace(" ", "-"),
                socket=engine.socket,
                platform=(platform.url, platform.key),
                code=code,
            )
            site.start()
            stack.callback(site.stop)
            wait_until(site.is_up, what="the agent")
            sites.append((name, site))
        package = folder / "package.tar"
        workload_site.write_package(package, layer_bytes=[1 << 20], name="bench")
        _, busy = sites[-1]
        busy.push("bench", package)
        for _ in range(SERVICES):
            busy.load("bench")
        wait_until(lambda: busy.states() == ["RUNNING"] * SERVICES, what="the services")
        time.sleep(SETTLE_SECONDS)
        pids = [site.process.pid for _, site in sites if site.process is not None]
        began = time.monotonic()
        before = [processes.cost(pid) for pid in pids]
        time.sleep(arguments.minutes * 60)
        after = [processes.cost(pid) for pid in pids]
        seconds = time.monotonic() - began
        assert busy.states() == ["RUNNING"] * SERVICES
    print(f"\nAfter {arguments.minutes:g} minutes:\n")
    footprint.print_table(
        [
            (name, late, (late.cpu_seconds - early.cpu_seconds) / seconds * 3600)
            for (name, _), early, late in zip(sites, before, after, strict=True)
        ]
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
