"""Whatever happens in whatever order, what runs is in the end what was asked for."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agent.errors import PermanentError, TransientError
from agent.model.workloads import ContainerHealth, ContainerSpec, ContainerState
from agent.workloads import labels
from tests.agent.workloads.reconciler_bench import UNREACHABLE, Bench, Disk

_METHODS = st.sampled_from(
    ["start", "recover", "stop", "load_image", "remove_image", "has_image", "list_owned"]
)


class Node(RuleBasedStateMachine):
    """Is a node on which two agents share an engine that breaks in every way it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(chips=3)
        disk = Disk()
        disk.instance = "fedcba9876543210"
        self.other = Bench(runtime=self.bench.runtime, disk=disk, clock=self.bench.clock)
        self.other.load(replicas=1)
        self.other.settle()
        self.others_containers = self.other.running()
        self.foreign = self.bench.runtime.leave_behind(
            ContainerSpec(name="database", image="postgres", labels={})
        )

    # The platform.

    @rule(
        package=st.sampled_from("pq"),
        replicas=st.integers(1, 3),
        has_licence=st.booleans(),
        accelerators=st.integers(0, 2),
    )
    def load(self, package: str, replicas: int, has_licence: bool, accelerators: int) -> None:
        if len(self.bench.disk.services) < 4:
            self.bench.load(
                package,
                replicas=replicas,
                licence_url="http://licence" if has_licence else None,
                accelerators=accelerators,
            )

    @rule(which=st.integers(0, 3))
    def unload(self, which: int) -> None:
        if which < len(self.bench.disk.services):
            self.bench.unload(self.bench.disk.services[which].service_id)

    @rule(package=st.sampled_from("pq"), is_deleted=st.booleans())
    def replace_or_delete_package(self, package: str, is_deleted: bool) -> None:
        if any(each.package_id == package for each in self.bench.disk.services):
            return  # refused
        self.bench.disk.packages.pop(package, None)
        if not is_deleted:
            self.bench.push(package)

    # The agent.

    @rule()
    def look(self) -> None:
        self.bench.look()

    @rule()
    def begin_and_do_nothing(self) -> None:
        self.bench.reconciler.reconcile()

    @rule(which=st.integers(0, 5))
    def do_one_job(self, which: int) -> None:
        if which < len(self.bench.threads.waiting):
            self.bench.threads.waiting.pop(which)()

    @rule()
    def kill_agent(self) -> None:
        self.bench.kill_agent()

    @rule(seconds=st.sampled_from([0.5, 5.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.bench.clock.seconds += seconds

    # The engine, and whoever is at it.

    @rule()
    def kill_engine(self) -> None:
        self.bench.runtime.kill_engine()

    @rule()
    def start_engine(self) -> None:
        self.bench.runtime.start_engine()

    @rule(method=_METHODS, is_permanent=st.booleans())
    def refuse(self, method: str, is_permanent: bool) -> None:
        error = PermanentError("refused") if is_permanent else TransientError("not now")
        self.bench.runtime.refusals[method] = error

    @rule()
    def refuse_licences(self) -> None:
        self.bench.disk.licence_error = UNREACHABLE

    @rule()
    def refuse_nothing(self) -> None:
        self.bench.runtime.refusals.clear()
        self.bench.disk.licence_error = None

    @rule(
        which=st.integers(0, 11),
        harm=st.sampled_from(
            ["remove_by_hand", "stop_by_hand", "pause_by_hand", "break_container", "crash"]
        ),
    )
    def harm(self, which: int, harm: str) -> None:
        mine = self._mine()
        if which < len(mine):
            getattr(self.bench.runtime, harm)(mine[which])

    @rule(which=st.integers(0, 11))
    def sicken(self, which: int) -> None:
        mine = self._mine()
        if which < len(mine):
            self.bench.runtime.set_health(mine[which], ContainerHealth.UNHEALTHY, output="ill")

    @rule(which=st.integers(0, 11))
    def double(self, which: int) -> None:
        mine = self._mine()
        if which < len(mine):
            seen = self.bench.runtime.inspect_always(mine[which])
            name = f"twin-of-{seen.container_id[-8:]}-{len(self.bench.runtime.all_containers())}"
            self.bench.runtime.leave_behind(
                ContainerSpec(name=name, image=seen.image, labels=seen.labels)
            )

    @rule()
    def prune(self) -> None:
        self.bench.runtime.prune_images()

    # What must hold.

    def _mine(self) -> list[str]:
        return [
            each.container_id
            for each in self.bench.runtime.all_containers()
            if each.labels.get(labels.AGENT) == self.bench.disk.instance
        ]

    @invariant()
    def others_are_untouched(self) -> None:
        there = {each.container_id: each for each in self.bench.runtime.all_containers()}
        assert there[self.foreign].state is ContainerState.CREATED
        for container_id in self.others_containers.values():
            assert container_id in there

    @invariant()
    def no_replica_runs_twice(self) -> None:
        running = [
            (each.labels[labels.SERVICE], each.labels[labels.REPLICA])
            for each in self.bench.runtime.all_containers()
            if labels.SERVICE in each.labels and each.state is ContainerState.RUNNING
        ]
        assert len(running) == len(set(running))

    def teardown(self) -> None:
        """Mend everything: what is there in the end must be what was asked for."""
        self.refuse_nothing()
        if self.bench.runtime.unreachable is not None:
            self.start_engine()
        self.bench.settle(seconds=1000.0)
        assert set(self.bench.running()) == self.bench.wanted()
        assert len(self._mine()) == len(self.bench.wanted())
        assert set(self.bench.disk.licences) == {
            each.service_id for each in self.bench.disk.services if each.licence_url is not None
        }
        installed = {each.image for each in self.bench.disk.packages.values()}
        left = {each for each in self.bench.runtime.images if each not in installed}
        assert left <= {each.image for each in self.other.disk.packages.values()}
        assert self.bench.disk.images <= installed
        self.others_are_untouched()


TestNode = Node.TestCase
TestNode.settings = hypothesis.settings(max_examples=150, stateful_step_count=40, deadline=None)
