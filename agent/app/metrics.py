"""The agent's metrics for Prometheus: names and units by Prometheus' conventions.

A value that is not known has no series: Prometheus then shows a gap, which is the truth. What the
state of a plugin or the health of a card is stands in a label, with the value 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)

import agent
from agent.app.centre import metrics as centre_metrics
from agent.app.workloads import metrics as workload_metrics
from agent.errors import AgentError
from agent.model.view import AcceleratorView, AgentView
from agent.protocols.acsmp.status import SessionStatus
from agent.protocols.acsmp.xpu_types import IdentifyAccelerator

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from agent.app.centre.parts import CentreService
    from agent.app.monitoring.parts import Reporting
    from agent.app.workloads.parts import Workloads

ACCELERATOR_LABELS = ("vendor", "index", "uuid")


class AgentCollector:
    """Makes the metric families of one scrape from the latest view; safe in every thread."""

    def __init__(
        self,
        *,
        view: Callable[[], AgentView],
        sessions: Callable[[], Sequence[SessionStatus]],
        identify: IdentifyAccelerator,
        workloads: Callable[[], Workloads | None] = lambda: None,
        centre: Callable[[], CentreService | None] = lambda: None,
        queries: Callable[[], Iterable[Metric]] = tuple,
        reporting: Callable[[], Sequence[Reporting]] = tuple,
    ) -> None:
        self._view = view
        self._sessions = sessions
        self._identify = identify
        self._workloads = workloads
        self._centre = centre
        self._queries = queries
        self._reporting = reporting

    def collect(self) -> Iterable[Metric]:
        """Yield every family, in a fixed order."""
        yield InfoMetricFamily(
            "computility_agent_build", "Version of the agent.", value={"version": agent.__version__}
        )
        view = self._view()
        yield from _node(view)
        yield from self._accelerators(view.accelerators)
        yield from _plugins(view)
        yield from _sessions(self._sessions())
        yield from self._of_workloads()
        yield from self._of_centre()
        yield from self._queries()
        yield from self._of_reporting()

    def _of_reporting(self) -> Iterable[Metric]:
        running = self._reporting()
        if not running:
            return ()
        # It weighs, and most nodes report nothing.
        from agent.app.monitoring import metrics as monitoring_metrics

        return monitoring_metrics.families(running, now=running[0].now())

    def _of_centre(self) -> Iterable[Metric]:
        service = self._centre()
        if service is None:
            return ()
        try:
            return tuple(centre_metrics.families(service.centre, now=service.centre.now()))
        except AgentError:
            # What cannot be told now has no series.
            return ()

    def _of_workloads(self) -> Iterable[Metric]:
        workloads = self._workloads()
        if workloads is None:
            return ()
        try:
            orphans = workloads.orphans()
            return workload_metrics.families(
                workloads.packages.list(),
                workloads.seen(),
                orphans=None if orphans is None else len(orphans),
            )
        except AgentError:
            # What cannot be told now has no series.
            return ()

    def _accelerators(self, accelerators: Sequence[AcceleratorView]) -> Iterable[Metric]:
        info = GaugeMetricFamily(
            "computility_accelerator_info",
            "What an accelerator is; always 1.",
            labels=(*ACCELERATOR_LABELS, "kind", "product_name", "standard_identifier", "health"),
        )
        gauges = {
            "memory_total_bytes": "Memory of an accelerator.",
            "memory_used_bytes": "Memory of an accelerator in use.",
            "utilization_ratio": "Busy share of an accelerator, 0 to 1.",
            "temperature_celsius": "Temperature of an accelerator.",
            "power_watts": "Power drawn by an accelerator.",
        }
        families = {
            name: GaugeMetricFamily(
                f"computility_accelerator_{name}", text, labels=ACCELERATOR_LABELS
            )
            for name, text in gauges.items()
        }
        energy = CounterMetricFamily(
            "computility_accelerator_energy_joules",
            "Energy used by an accelerator since its driver was loaded.",
            labels=ACCELERATOR_LABELS,
        )
        for each in accelerators:
            card, reading = each.accelerator, each.reading
            labels = (card.vendor, str(card.index), card.uuid)
            info.add_metric(
                (
                    *labels,
                    card.kind.value,
                    card.product_name or "",
                    self._identify(card) or "",
                    reading.health.value,
                ),
                1,
            )
            for name, family in families.items():
                value = getattr(card if name == "memory_total_bytes" else reading, name)
                _add(family, labels, value)
            if reading.energy_joules is not None:
                energy.add_metric(labels, reading.energy_joules)
        yield info
        yield from families.values()
        yield energy


def application(collector: AgentCollector) -> Callable[..., Iterable[bytes]]:
    """Return the WSGI application of the metrics listener: `/metrics` and `/healthz`."""
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path not in {"/metrics", "/healthz"}:
            status, content_type, body = "404 Not Found", "text/plain", b"try /metrics\n"
        elif method not in {"GET", "HEAD"}:
            status, content_type, body = "405 Method Not Allowed", "text/plain", b"try GET\n"
        elif path == "/healthz":
            status, content_type, body = "200 OK", "text/plain", b"alive\n"
        else:
            status, content_type = "200 OK", CONTENT_TYPE_LATEST
            body = generate_latest(registry)
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        if status.startswith("405"):
            headers.append(("Allow", "GET, HEAD"))
        start_response(status, headers)
        return [b"" if method == "HEAD" else body]

    return serve


def _node(view: AgentView) -> Iterable[Metric]:
    cpu, memory = view.cpu, view.memory
    yield _gauge(
        "computility_cpu_logical_cores",
        "Logical CPU cores of the node.",
        cpu.logical_cores if cpu else None,
    )
    yield _gauge(
        "computility_cpu_utilization_ratio",
        "Busy share of all CPUs over the last interval, 0 to 1.",
        cpu.utilization_ratio if cpu else None,
    )
    yield _gauge(
        "computility_memory_total_bytes",
        "Memory of the node.",
        memory.total_bytes if memory else None,
    )
    yield _gauge(
        "computility_memory_used_bytes",
        "Memory that programs cannot have any more (total less available).",
        memory.used_bytes if memory else None,
    )
    total = GaugeMetricFamily(
        "computility_disk_total_bytes", "Size of a file system.", labels=("mount_path",)
    )
    used = GaugeMetricFamily(
        "computility_disk_used_bytes", "Space taken of a file system.", labels=("mount_path",)
    )
    for disk in view.disks or ():
        _add(total, (disk.mount_path,), disk.total_bytes)
        _add(used, (disk.mount_path,), disk.used_bytes)
    yield total
    yield used
    yield _gauge(
        "computility_sample_timestamp_seconds",
        "When the figures were taken, seconds since 1970.",
        view.taken_at.timestamp(),
    )


def _plugins(view: AgentView) -> Iterable[Metric]:
    family = GaugeMetricFamily(
        "computility_plugin_state",
        "State of a plugin, in a label; always 1.",
        labels=("group", "name", "state"),
    )
    for plugin in view.plugins:
        family.add_metric((plugin.group, plugin.name, plugin.state.value), 1)
    yield family


def _sessions(sessions: Sequence[SessionStatus]) -> Iterable[Metric]:
    registered = GaugeMetricFamily(
        "computility_platform_registered",
        "Whether the platform holds this node as registered, as far as we know.",
        labels=("platform",),
    )
    accepted = CounterMetricFamily(
        "computility_platform_keepalives_accepted",
        "Keepalives that the platform accepted.",
        labels=("platform",),
    )
    registrations = CounterMetricFamily(
        "computility_platform_registrations_accepted",
        "Registrations that the platform accepted.",
        labels=("platform",),
    )
    failures = CounterMetricFamily(
        "computility_platform_failures",
        "Exchanges with the platform that failed.",
        labels=("platform",),
    )
    worst = GaugeMetricFamily(
        "computility_platform_worst_gap_seconds",
        "Longest time between two contacts that the platform accepted, the running one included.",
        labels=("platform",),
    )
    last = GaugeMetricFamily(
        "computility_platform_last_contact_timestamp_seconds",
        "When the platform last accepted a contact, seconds since 1970.",
        labels=("platform",),
    )
    for session in sessions:
        labels = (session.name,)
        registered.add_metric(labels, 1 if session.is_registered else 0)
        accepted.add_metric(labels, session.keepalives_accepted)
        registrations.add_metric(labels, session.registrations_accepted)
        failures.add_metric(labels, session.failures)
        _add(worst, labels, session.worst_gap_seconds)
        if session.last_contact_at is not None:
            last.add_metric(labels, session.last_contact_at.timestamp())
    yield from (registered, accepted, registrations, failures, worst, last)


def _gauge(name: str, text: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(name, text)
    _add(family, (), value)
    return family


def _add(family: GaugeMetricFamily, labels: Sequence[str], value: float | None) -> None:
    if value is not None:
        family.add_metric(labels, value)
