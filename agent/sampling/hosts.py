"""All plugins that run, as one value that is replaced as a whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agent.model.clock import Clock
from agent.model.view import PluginState, PluginStatus
from agent.sampling.accelerator_host import PROBE_SECONDS, READ_SECONDS, AcceleratorHost
from agent.sampling.collector_host import COLLECT_SECONDS, CollectorHost
from agent.sampling.plugins import Plan, PluginPlan
from agent.sampling.views import Sample

STARTING_AT_ONE_TIME = 2


class Host(Protocol):
    """Is what runs one plugin; nothing blocks but `stop`."""

    @property
    def plan(self) -> PluginPlan:
        """Is what it was started with."""

    def start(self) -> None:
        """Start the thread."""

    def request(self) -> None:
        """Ask for new values."""

    def is_busy(self) -> bool:
        """Return whether a request is not done yet."""

    def stop(self, *, timeout_seconds: float) -> None:
        """End it; may be called twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """Holds what hosts are built with beside the settings.

    `import_paths` is appended to the module search path of the children, and `environment` laid
    over theirs: an installed agent needs neither. `starting` bounds how many children start at one
    time.
    """

    probe_seconds: float = PROBE_SECONDS
    read_seconds: float = READ_SECONDS
    collect_seconds: float = COLLECT_SECONDS
    import_paths: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    starting: threading.Semaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(STARTING_AT_ONE_TIME)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """Lists the running hosts, in the order of discovery, and the states of what does not run."""

    collectors: tuple[CollectorHost, ...] = ()
    accelerators: tuple[AcceleratorHost, ...] = ()
    settled: tuple[PluginStatus, ...] = ()

    def __iter__(self) -> Iterator[Host]:
        yield from self.collectors
        yield from self.accelerators

    def request(self) -> None:
        """Ask every plugin for new values."""
        for host in self:
            host.request()

    def are_idle(self) -> bool:
        """Return whether every request is done."""
        return not any(host.is_busy() for host in self)

    def sample(self, clock: Clock) -> Sample:
        """Return what every plugin last gave."""
        return Sample(
            taken_at=clock.now(),
            taken_monotonic_seconds=clock.monotonic(),
            collectors=tuple(host.snapshot() for host in self.collectors),
            accelerators=tuple(host.snapshot() for host in self.accelerators),
            settled=self.settled,
        )


def change(
    before: Hosts,
    plan: Plan,
    *,
    clock: Clock,
    options: HostOptions,
    hardware: Callable[[], int],
    on_done: Callable[[], None],
) -> Hosts:
    """Return the hosts of a plan, started; those of `before` whose plan is unchanged are kept.

    The others of `before` run on until `stop_missing`.
    """
    collectors = {host.plan.name: host for host in before.collectors}
    accelerators = {host.plan.name: host for host in before.accelerators}
    kept = set(map(id, before))
    hosts_of_collectors = []
    hosts_of_accelerators = []
    for each in plan.plugins:
        if each.group == "collectors":
            collector = collectors.get(each.name)
            if collector is None or not _may_stay(collector, each):
                collector = CollectorHost(
                    each, clock=clock, on_done=on_done, collect_seconds=options.collect_seconds
                )
            hosts_of_collectors.append(collector)
        else:
            accelerator = accelerators.get(each.name)
            if accelerator is None or not _may_stay(accelerator, each):
                accelerator = AcceleratorHost(
                    each,
                    clock=clock,
                    on_done=on_done,
                    import_paths=options.import_paths,
                    environment=options.environment,
                    probe_seconds=options.probe_seconds,
                    read_seconds=options.read_seconds,
                    hardware=hardware,
                    starting=options.starting,
                )
            hosts_of_accelerators.append(accelerator)
    after = Hosts(
        collectors=tuple(hosts_of_collectors),
        accelerators=tuple(hosts_of_accelerators),
        settled=plan.settled,
    )
    for host in after:
        if id(host) not in kept:
            host.start()
    return after


def _may_stay(host: CollectorHost | AcceleratorHost, plan: PluginPlan) -> bool:
    """Return whether a host fits a plan; one that is broken is given another chance."""
    return host.plan == plan and host.snapshot().status.state is not PluginState.BROKEN


def stop_missing(before: Hosts, after: Hosts, *, timeout_seconds: float) -> None:
    """Stop what is in `before` and not in `after`, all at once, within the time given."""
    kept = set(map(id, after))
    going = [host for host in before if id(host) not in kept]
    for host in going:
        host.stop(timeout_seconds=0.0)
    end = time.monotonic() + timeout_seconds
    for host in going:
        host.stop(timeout_seconds=max(0.0, end - time.monotonic()))
