"""Kills agent and engine, fills the disk, and looks whether what was answered holds.

`make chaos-workloads`, about seven minutes, as root: a dockerd of its own and a small file system
are made and removed. Exit status 1 on any difference or a keepalive gap above 45 s, 2 where
something lacks.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

from workload_kills import PHASES, KillTest, Tally
from workload_outages import DiskTest, EngineTest, Site, small_disk
from workload_site import (
    BUSYBOX,
    Agent,
    Docker,
    Failed,
    Platform,
    Unanswered,
    private_engine_of,
    say,
)

from agent.errors import AgentError
from agent.simulator.refusal import Refusal

PROMISED_GAP_SECONDS = 45.0
PROGRAMS = ("dockerd", "containerd", "unshare", "mount", "umount", "mkfs.ext4")
PARTS = ("kills", "engine", "disk")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how many at least (default: 200)")
    parser.add_argument("--seed", type=int, default=None, help="of the random points")
    parser.add_argument("--parts", default=",".join(PARTS), help="which parts, comma-separated")
    arguments = parser.parse_args()
    if lacking := what_lacks():
        print(f"cannot run here: {', '.join(lacking)}", file=sys.stderr)
        return 2
    seed = random.SystemRandom().randrange(2**32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}")
    gaps: dict[str, float] = {}
    failures: list[str] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        engine = private_engine_of(stack)
        docker = Docker(engine)
        platform = Platform()
        stack.enter_context(platform.simulator)
        for part in arguments.parts.split(","):
            home = folder / part
            state = home / "state"
            if part == "disk":
                state = stack.enter_context(small_disk(folder)) / "state"
            agent = Agent(home, platform, engine=engine, state=state)
            stack.callback(agent.kill)
            site = Site(platform, agent, docker)
            platform.forget_contacts()
            try:
                if part == "kills":
                    failures += kill_agent(folder, site, seed=seed, kills=arguments.kills)
                elif part == "engine":
                    EngineTest(folder, site).run()
                else:
                    DiskTest(folder, state.parent, site).run()
            except (Failed, Unanswered, Refusal, AgentError) as failure:
                failures.append(f"{part}: {failure}")
                say(part, agent.log_tail())
            gaps[part] = platform.worst_gap_seconds()
            agent.kill()
    print("\n| part | worst keepalive gap |\n|---|---|")
    for part, gap in gaps.items():
        print(f"| {part} | {gap:.1f} s |")
        if gap > PROMISED_GAP_SECONDS:
            failures.append(f"{part}: a keepalive gap of {gap:.1f} s")
    for failure in failures:
        print(f"FAILED: {failure}")
    print(f"\n{'FAILED' if failures else 'as promised'}; seed {seed}")
    return 1 if failures else 0


def kill_agent(folder: Path, site: Site, *, seed: int, kills: int) -> list[str]:
    """Kill the agent at random points; print what was hit, and return the differences."""
    test = KillTest(
        folder,
        platform=site.platform,
        agent=site.agent,
        docker=site.docker,
        chance=random.Random(seed),
    )
    try:
        test.run(kills=kills)
    finally:
        report_kills(test.tally)
    return test.tally.differences


def what_lacks() -> list[str]:
    """Return what this machine lacks, in words."""
    lacking = [f"{each} is not installed" for each in PROGRAMS if shutil.which(each) is None]
    if not Path("/dev/loop-control").exists():
        lacking.append("this kernel has no loop devices, on which a small disk could be made")
    if os.geteuid() != 0:
        lacking.append("only root may start a dockerd and mount a file system")
    if not BUSYBOX.is_file():
        lacking.append(f"{BUSYBOX} is missing (Debian: busybox-static)")
    return lacking


def report_kills(tally: Tally) -> None:
    """Print what the kills hit."""
    print("\n| what was under way | kills | of these before it listened |\n|---|---|---|")
    for phase in PHASES:
        print(f"| {phase} | {tally.kills[phase]} | {tally.before_ready[phase]} |")
    print(
        f"| all | {tally.total} | {sum(tally.before_ready.values())} |\n\n"
        f"{tally.sequences} sequences, {tally.checks} times everything was compared with what was "
        f"answered last: {len(tally.differences)} differences"
    )


if __name__ == "__main__":
    sys.exit(main())
