"""SIGKILL of the agent at random points of everything that is done with packages and services."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from workload_site import (
    CODE,
    Agent,
    Docker,
    Failed,
    PackageFile,
    Platform,
    Unanswered,
    identities,
    make_package,
    say,
    wait_until,
)

from agent.simulator.faults import Fault, FaultKind
from agent.simulator.refusal import Refusal
from agent.workloads import labels

PACKAGE = "1101080000505000000120260101080000000001"
# A download of a second and a half, so that most kills of one fall into it.
PACKAGE_MIB = 16.0
DRIP_BYTES_PER_SECOND = 12 * 1024 * 1024
REPLICAS = 2
PHASES = (
    *("start of the agent", "download", "re-push", "verification", "image load"),
    *("start of containers", "running", "unload", "delete", "request", "idle"),
)

_DONE = ("running", "idle")


@dataclass
class Tally:
    """Counts kills by what they hit."""

    kills: Counter[str] = field(default_factory=Counter)
    before_ready: Counter[str] = field(default_factory=Counter)
    sequences: int = 0
    checks: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Return how often the agent was killed."""
        return sum(self.kills.values())


class KillTest:
    """Plays sequences of a platform's wishes and kills the agent while it fulfils them."""

    def __init__(
        self,
        folder: Path,
        *,
        platform: Platform,
        agent: Agent,
        docker: Docker,
        chance: random.Random,
    ) -> None:
        self._platform = platform
        self._simulator = platform.simulator
        self._agent = agent
        self._docker = docker
        self._chance = chance
        self._versions = [
            make_package(folder / f"version-{number}", size_mib=PACKAGE_MIB, salt=b"%d" % number)
            for number in range(2)
        ]
        self._licence_url = ""
        self._others: dict[str, tuple[str, str]] = {}
        self._started_at, self._began_at = 0, ""
        self.tally = Tally()
        # What was answered last.
        self._package: PackageFile | None = None
        self._service_id: str | None = None
        self._has_licence = False

    def run(self, *, kills: int) -> None:
        """Play until so many kills were made and every sequence was played."""
        self._others = self._docker.run_others()
        self._licence_url = self._simulator.add_licence(b"licence of the chaos\n")
        self._agent.start()
        self._agent.wait_ready()
        self._wait_registered()
        sequences = (self._whole_life, self._whole_life, self._changed_minds, self._whole_life)
        while self.tally.total < kills or self.tally.sequences < len(sequences):
            self._has_licence = self.tally.sequences % 2 == 1
            sequences[self.tally.sequences % len(sequences)]()
            self.tally.sequences += 1
            say("kills", f"{self.tally.total} in {self.tally.sequences} sequences")
        self._agent.stop()

    # Sequences.

    def _whole_life(self) -> None:
        first, second = self._chance.sample(self._versions, 2)
        self._drip(on=True)
        self._under_fire(lambda: self._push(first), kills=4, span_seconds=1.2)
        self._drip(on=True, bytes_per_second=4 * DRIP_BYTES_PER_SECOND)
        self._at_verification(first, kills=3)
        self._drip(on=False)
        self._settle("a package was pushed")
        self._under_fire(self._load, kills=1, span_seconds=0.1)
        self._after_log("image_load_begins", kills=3, span_seconds=0.2)
        self._after_log("image_loaded", kills=1, span_seconds=0.2)
        self._after_log("runtime_reached", kills=3, span_seconds=0.2)
        self._settle("a service was loaded")
        self._while_it_runs(kills=2)
        self._under_fire(self._unload, kills=2, span_seconds=0.15)
        self._after_log("runtime_reached", kills=2, span_seconds=0.15)
        self._settle("its service was unloaded")
        self._drip(on=True)
        self._under_fire(lambda: self._push(second), kills=3, span_seconds=1.2)
        if self._chance.random() < 0.5:
            self._under_fire(lambda: self._push(first), kills=1, span_seconds=0.5)
        self._drip(on=False)
        self._settle("it was pushed again")
        self._under_fire(self._load, kills=0, span_seconds=0.0)
        self._after_log("image_loaded", kills=1, span_seconds=0.3)
        self._under_fire(self._unload, kills=1, span_seconds=0.1)
        self._under_fire(self._delete, kills=2, span_seconds=0.06)
        self._settle("it was unloaded and deleted")

    def _changed_minds(self) -> None:
        """Take back each wish before it is fulfilled."""
        version = self._chance.choice(self._versions)
        self._drip(on=True)
        self._under_fire(lambda: self._push(version), kills=2, span_seconds=0.8)
        self._under_fire(self._delete, kills=2, span_seconds=0.05)
        self._settle("a push was taken back")
        self._drip(on=False)
        self._under_fire(lambda: self._push(version), kills=0, span_seconds=0.0)
        self._settle("a package was pushed")
        self._under_fire(self._load, kills=2, span_seconds=0.6)
        self._under_fire(self._unload, kills=2, span_seconds=0.3)
        self._under_fire(self._delete, kills=2, span_seconds=0.05)
        self._settle("everything was taken back")

    # Fire; it ceases where nothing is under way any more.

    def _under_fire(self, wish: Callable[[], None], *, kills: int, span_seconds: float) -> None:
        """Kill the agent during and after a wish, which is repeated until it was answered."""
        is_answered = False
        for _ in range(kills):
            manner = self._chance.random()
            if manner < 0.15:
                # It did not even begin to listen, mostly.
                self._pause(self._chance.uniform(0.05, 0.6))
            elif not is_answered and manner < 0.45:
                is_answered = self._killed_while_asked(wish)
                self._restart()
                continue
            else:
                self._agent.wait_ready()
                if not is_answered:
                    self._answered(wish)
                    is_answered = True
                self._pause(self._chance.uniform(0.0, span_seconds))
            phase = self._kill()
            self._restart()
            if is_answered and phase in _DONE:
                break
        self._agent.wait_ready()
        if not is_answered:
            self._answered(wish)

    def _killed_while_asked(self, wish: Callable[[], None]) -> bool:
        """Kill the agent while it is asked for something; tell whether it answered before."""
        self._agent.wait_ready()
        answered: list[bool] = []

        def ask() -> None:
            try:
                wish()
            except Unanswered:
                return
            answered.append(True)

        asking = threading.Thread(target=ask)
        asking.start()
        self._pause(self._chance.uniform(0.0, 0.03))
        phase = self._kill()
        asking.join()
        if not answered:
            self.tally.kills[phase] -= 1
            self.tally.kills["request"] += 1
        return bool(answered)

    def _at_verification(self, version: PackageFile, *, kills: int) -> None:
        """Kill the agent when the whole file is there and not yet in force."""
        for _ in range(kills):
            self._agent.wait_ready()
            folder = self._agent.state / "packages"
            ends = time.monotonic() + 15.0
            pause = threading.Event()
            while time.monotonic() < ends:
                sizes = [_size(path) for path in folder.glob("*.part")]
                if version.size_bytes in sizes:
                    break
                if not sizes and not self._is_on_its_way():
                    return
                pause.wait(0.001)
            self._pause(self._chance.uniform(0.0, 0.02))
            self._kill()
            self._restart()
        self._agent.wait_ready()

    def _after_log(self, text: str, *, kills: int, span_seconds: float) -> None:
        """Kill the agent soon after it has said something, as often as it says it."""
        pause = threading.Event()
        for _ in range(kills):
            ends = time.monotonic() + 3.0
            while not self._agent.has_logged(text, since=self._started_at):
                if time.monotonic() > ends:
                    return
                pause.wait(0.005)
            self._pause(self._chance.uniform(0.0, span_seconds))
            phase = self._kill()
            self._restart()
            if phase in _DONE:
                return

    def _while_it_runs(self, *, kills: int) -> None:
        before = identities(self._docker.containers(self._agent.instance))
        for _ in range(kills):
            self._pause(self._chance.uniform(0.0, 1.0))
            self._kill()
            self._restart()
        self._agent.wait_ready()
        self._pause(0.5)
        after = identities(self._docker.containers(self._agent.instance))
        if after != before:
            self._differs(f"containers that ran were touched: {before} became {after}")

    def _kill(self) -> str:
        """Kill the agent and return what it was at."""
        was_ready = self._agent.is_ready()
        self._agent.kill()
        phase = self._phase(was_ready=was_ready)
        self.tally.kills[phase] += 1
        if not was_ready:
            self.tally.before_ready[phase] += 1
        return phase

    def _restart(self) -> None:
        self._started_at = self._agent.log_size()
        self._began_at = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S.%f}"
        self._agent.start()

    def _pause(self, seconds: float) -> None:
        threading.Event().wait(seconds)

    # Wishes; each notes what was answered.

    def _push(self, version: PackageFile) -> None:
        self._simulator.add_package(version.path, package_id=PACKAGE)
        self._platform.ask(lambda: self._simulator.push(CODE, PACKAGE))
        self._package = version

    def _load(self) -> None:
        known = self._known_services()
        if known:
            # The answer to the last one was lost, but it was done.
            (self._service_id,) = known
            return
        self._service_id = self._platform.ask(
            lambda: self._simulator.load(
                CODE,
                PACKAGE,
                replicas=REPLICAS,
                licence_url=self._licence_url if self._has_licence else None,
            )
        )

    def _unload(self) -> None:
        self._platform.ask(lambda: self._simulator.unload(CODE, PACKAGE))
        self._service_id = None

    def _delete(self) -> None:
        try:
            self._platform.ask(lambda: self._simulator.delete(CODE, PACKAGE))
        except Refusal as refusal:
            if "HTTP 404" not in refusal.message:
                raise
        self._package = None

    def _known_services(self) -> list[str]:
        found = self._platform.ask(lambda: self._simulator.services(CODE))
        return [each["AlgoServiceID"] for each in found]

    def _answered(self, wish: Callable[[], None]) -> None:
        ends = time.monotonic() + 30
        while True:
            self._agent.wait_ready()
            try:
                wish()
            except Unanswered:
                if time.monotonic() > ends:
                    raise
                self._pause(0.05)
            else:
                return

    def _drip(self, *, on: bool, bytes_per_second: int = DRIP_BYTES_PER_SECOND) -> None:
        self._simulator.faults.clear()
        if on:
            self._simulator.apply(
                Fault(kind=FaultKind.DRIP, operation="Package", bytes=bytes_per_second)
            )

    def _wait_registered(self) -> None:
        wait_until(self._simulator.registry.nodes, what="a node that is registered")

    # What there is.

    def _is_on_its_way(self) -> bool:
        rows = self._agent.rows("SELECT 1 FROM packages WHERE push_state = 'downloading'")
        return bool(rows)

    def _phase(self, *, was_ready: bool) -> str:
        """Return what the agent that was just killed had still to do."""
        packages = self._agent.rows("SELECT * FROM packages")
        services = self._agent.rows("SELECT * FROM services WHERE removed_at IS NULL")
        containers = self._docker.containers(self._agent.instance)
        images = self._docker.images()
        for row in packages:
            if row["push_state"] == "downloading":
                part = self._agent.state / "packages" / f"{row['push_generation']}.part"
                if _size(part) in {each.size_bytes for each in self._versions}:
                    return "verification"
                if not was_ready:
                    return "start of the agent"
                return "download" if row["generation"] is None else "re-push"
        wanted = {row["service_id"] for row in services}
        if any(
            each["Config"]["Labels"][labels.SERVICE] not in wanted for each in containers.values()
        ):
            return "unload"
        if services:
            if not {row["generation"] for row in services} <= images:
                return "image load"
            running = sum(each["State"]["Running"] for each in containers.values())
            # The engine ends what it was asked for, though nobody waits for the answer any more.
            begun = sum(each["State"]["StartedAt"] > self._began_at for each in containers.values())
            known = self._agent.count_logged("container_started", since=self._started_at)
            is_whole = running == REPLICAS and begun <= known
            return "running" if is_whole else "start of containers"
        if images - {row["generation"] for row in packages} or (
            self._agent.count_logged("event=package_deleted", since=self._started_at)
            > self._agent.count_logged("image_removed", since=self._started_at)
        ):
            return "delete"
        return "idle" if was_ready else "start of the agent"

    def _settle(self, what: str) -> None:
        """Wait until everything is as it was answered last; note what is not."""
        self.tally.checks += 1
        found: list[str] = []

        def is_settled() -> bool:
            found[:] = self._differences()
            return not found

        try:
            wait_until(is_settled, what=what, within_seconds=60)
        except Failed:
            for difference in found:
                self._differs(f"after {what}: {difference}")
            say("agent", self._agent.log_tail())
            raise

    def _differs(self, difference: str) -> None:
        self.tally.differences.append(difference)
        say("DIFFERS", difference)

    def _differences(self) -> list[str]:
        """Return how things differ from what was answered last."""
        found: list[str] = []

        def compare(what: str, *, has: object, wanted: object) -> None:
            if has != wanted:
                found.append(f"{what}: {has}, wanted {wanted}")

        self._agent.is_ready()
        packages = self._agent.packages()
        rows = self._agent.rows("SELECT * FROM packages")
        generations = {row["generation"] for row in rows}
        compare(
            "packages",
            has={each: (one["state"], one["md5"]) for each, one in packages.items()},
            wanted={} if self._package is None else {PACKAGE: ("ready", self._package.md5)},
        )
        folder = self._agent.state / "packages"
        compare(
            "files of packages",
            has=sorted(path.name for path in folder.iterdir()),
            wanted=sorted(f"{each}.tar" for each in generations),
        )
        services = self._agent.services()
        wanted_services = [] if self._service_id is None else [self._service_id]
        compare(
            "services",
            has={each: one["state"] for each, one in services.items()},
            wanted=dict.fromkeys(wanted_services, "RUNNING"),
        )
        containers = self._docker.containers(self._agent.instance)
        compare(
            "containers that run",
            has=sorted(name for name, each in containers.items() if each["State"]["Running"]),
            wanted=sorted(
                labels.container_name(each, replica=replica)
                for each in wanted_services
                for replica in range(REPLICAS)
            ),
        )
        compare("containers", has=len(containers), wanted=len(wanted_services) * REPLICAS)
        images = self._docker.images()
        compare("images of no package", has=images - generations, wanted=set())
        licences = self._agent.state / "licences"
        compare(
            "licences",
            has=sorted(path.name for path in licences.iterdir()) if licences.exists() else [],
            wanted=wanted_services if self._has_licence else [],
        )
        compare("containers of others", has=self._docker.others(), wanted=self._others)
        return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
