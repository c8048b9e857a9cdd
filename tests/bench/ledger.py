"""Measures the ledger: an import of many readings, its memory, closing all hours, and queries.

python tests/bench/ledger.py [--readings 10000000] [--folder FOLDER]

The file has a year of five meters where there are 10 million readings (every 15 s); it is made
beside the ledger and removed with it.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from agent.app.centre import parts as centre_parts  # noqa: E402 - the path comes first
from agent.app.centre.meter_kinds import MeterKinds  # noqa: E402
from agent.centre.centre import Centre  # noqa: E402
from agent.config.load import load  # noqa: E402
from agent.model.clock import SystemClock  # noqa: E402
from agent.store.ledger import hour_at, start_of  # noqa: E402

METERS = ("incomer", "it-1", "it-2", "cooling", "water")
ROLES = ("facility_total", "it", "it", None, "water")
INTERVAL_SECONDS = 15
QUERIES = 300
EXPLAINED_HOURS = 200


def configuration(folder: Path) -> Path:
    meters = [
        {"name": name, "kind": "csv", **({"role": role} if role else {})}
        for name, role in zip(METERS, ROLES, strict=True)
    ]
    settings = {
        "node": {"code": "11010800005020000001", "type": "AI_BOX", "state_dir": str(folder)},
        "runtime": {"kind": "none"},
        "meters": meters,
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps(settings))
    return path


def write_file(path: Path, *, readings: int, until: datetime) -> datetime:
    """Write rows of all meters in the order of time; return when they begin."""
    each = readings // len(METERS)
    start = until - timedelta(seconds=INTERVAL_SECONDS * each)
    with path.open("w") as file:
        file.write("meter,time,energy_kwh,water_litres,power_kw\n")
        for number in range(each):
            moment = (start + timedelta(seconds=INTERVAL_SECONDS * number)).isoformat()
            for place, name in enumerate(METERS):
                if name == "water":
                    file.write(f"{name},{moment},,{number * 0.25:.2f},\n")
                else:
                    energy = 1000 + number * (0.05 + place / 100)
                    file.write(f"{name},{moment},{energy:.3f},,{12 + place:.1f}\n")
    return start


def import_in_child(config: Path, file: Path) -> dict[str, float]:
    """Import as a process of its own, without closing hours; return what it used."""
    script = (
        "import json,resource,sys,time\n"
        "from pathlib import Path\n"
        "from agent.app import centre_parts\n"
        "from agent.app.centre.meter_kinds import MeterKinds\n"
        "from agent.config.load import load\n"
        "from agent.model.clock import SystemClock\n"
        "s=load(Path(sys.argv[1]),environment={}).settings\n"
        "c=centre_parts.open_centre(s,kinds=MeterKinds({}),clock=SystemClock())\n"
        "before=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "t=time.monotonic()\n"
        "with open(sys.argv[2],'rb') as f: r=c.import_file(f)\n"
        "print(json.dumps({'seconds':time.monotonic()-t,'accepted':r.accepted,"
        "'repeated':r.repeated,'refused':r.refused_count,'before_kib':before,"
        "'peak_kib':resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))\n"
        "c.stop(timeout_seconds=5)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(config), str(file)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def milliseconds(times: list[float]) -> str:
    ordered = sorted(times)
    worst = ordered[int(len(ordered) * 0.99) - 1]
    return f"median {statistics.median(ordered) * 1e3:.2f} ms, 99 % {worst * 1e3:.2f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--once", action="store_true", help="do not import it a second time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        config, file = configuration(folder), folder / "readings.csv"
        until = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
        start = write_file(file, readings=options.readings, until=until)
        for what in ("import",) if options.once else ("import", "the same again"):
            done = import_in_child(config, file)
            rows = done["accepted"] + done["repeated"] + done["refused"]
            print(
                f"{what}: {rows:.0f} rows in {done['seconds']:.1f} s, "
                f"{rows / done['seconds']:.0f} rows/s; accepted {done['accepted']:.0f}, "
                f"repeated {done['repeated']:.0f}, refused {done['refused']:.0f}; peak memory "
                f"{done['peak_kib'] / 1024:.1f} MiB, {done['before_kib'] / 1024:.1f} before it",
                flush=True,
            )
        file.unlink()
        size = (folder / "ledger.db").stat().st_size
        print(f"ledger: {size / 2**20:.0f} MiB, {size / options.readings:.1f} bytes a reading")
        settings = load(config, environment={}).settings
        centre = centre_parts.open_centre(settings, kinds=MeterKinds({}), clock=SystemClock())
        try:
            measure(centre, start=start, until=until)
        finally:
            centre.stop(timeout_seconds=5)
    print(
        f"peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )


def measure(centre: Centre, *, start: datetime, until: datetime) -> None:
    maker = centre._maker
    ledger = centre._ledger
    before = time.perf_counter()
    closed = centre.close_due()
    seconds = time.perf_counter() - before
    print(
        f"closing {closed} hours of {len(METERS)} meters: {seconds:.1f} s, "
        f"{seconds / closed * 1e3:.2f} ms each",
        flush=True,
    )
    hours = list(range(hour_at(start) + 2, hour_at(until) - 2))
    times = []
    for hour in hours[:: max(1, len(hours) // EXPLAINED_HOURS)]:
        known = ledger.hour(start_of(hour))
        before = time.perf_counter()
        made, _ = maker.make(start_of(hour), version=1, closed_at=known.closed_at)
        times.append(time.perf_counter() - before)
        assert made.pue is not None, made
        assert made == known, (made, known)
    print(f"explaining an hour: {milliseconds(times)}")
    times = []
    for place in range(QUERIES):
        hour = hours[place * 7919 % len(hours)]
        before = time.perf_counter()
        assert ledger.hour(start_of(hour)) is not None
        times.append(time.perf_counter() - before)
    print(f"query of an hour among {len(hours)}: {milliseconds(times)}")
    times = []
    for _ in range(50):
        before = time.perf_counter()
        assert len(centre.hours(count=24)) == min(24, len(hours))
        times.append(time.perf_counter() - before)
    print(f"query of the last 24 hours: {milliseconds(times)}")


if __name__ == "__main__":
    main()
