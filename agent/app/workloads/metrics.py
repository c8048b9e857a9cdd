"""The metrics of algorithm packages and services; conventions as in `metrics`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from agent.model.workloads import ContainerState, Package, Service, ServiceState

_SERVICE_LABELS = ("service", "package")
_USAGE = {
    "cpu_ratio": "CPUs that are busy for a service; 1.5 is one and a half.",
    "memory_used_bytes": "Memory that the containers of a service use.",
    "accelerator_memory_total_bytes": "Memory of the accelerators that a service was given.",
    "accelerator_memory_used_bytes": "Memory that a service uses on its accelerators.",
    "accelerator_utilization_ratio": "Busy share of a service's accelerators by itself, 0 to 1.",
}


def families(
    packages: Sequence[Package], services: Sequence[Service], *, orphans: int | None
) -> Iterable[Metric]:
    """Yield the families of one scrape; `orphans` None where the engine is not asked."""
    yield from _packages(packages)
    yield from _services(services)
    family = GaugeMetricFamily(
        "computility_orphaned_containers",
        "Containers of algorithm services that this agent did not make and does not touch.",
    )
    if orphans is not None:
        family.add_metric((), orphans)
    yield family


def _packages(packages: Sequence[Package]) -> Iterable[Metric]:
    info = GaugeMetricFamily(
        "computility_package_info",
        "What an algorithm package is and how far it is; always 1.",
        labels=("package", "name", "version", "type", "state"),
    )
    progress = GaugeMetricFamily(
        "computility_package_progress_ratio",
        "Share of an algorithm package that is here, 0 to 1.",
        labels=("package",),
    )
    for each in packages:
        manifest = each.manifest
        described = (
            ("", "", "")
            if manifest is None
            else (manifest.name, manifest.version, manifest.type.value)
        )
        info.add_metric((each.package_id, *described, each.state.value), 1)
        if each.progress_ratio is not None:
            progress.add_metric((each.package_id,), each.progress_ratio)
    yield info
    yield progress


def _services(services: Sequence[Service]) -> Iterable[Metric]:
    info = GaugeMetricFamily(
        "computility_service_info",
        "How an algorithm service fares; always 1.",
        labels=(*_SERVICE_LABELS, "state"),
    )
    replicas = GaugeMetricFamily(
        "computility_service_replicas", "Replicas that were asked for.", labels=_SERVICE_LABELS
    )
    running = GaugeMetricFamily(
        "computility_service_replicas_running", "Replicas that run.", labels=_SERVICE_LABELS
    )
    restarts = CounterMetricFamily(
        "computility_service_restarts",
        "Restarts of a service's containers since these were made.",
        labels=_SERVICE_LABELS,
    )
    usage = {
        name: GaugeMetricFamily(f"computility_service_{name}", text, labels=_SERVICE_LABELS)
        for name, text in _USAGE.items()
    }
    for each in services:
        labels = (each.desired.service_id, each.desired.package_id)
        info.add_metric((*labels, each.state.value), 1)
        replicas.add_metric(labels, each.desired.replicas)
        if each.state is not ServiceState.UNSPECIFIED:
            running.add_metric(
                labels, sum(replica.state is ContainerState.RUNNING for replica in each.replicas)
            )
            restarts.add_metric(labels, sum(replica.restarts for replica in each.replicas))
        for name, family in usage.items():
            value = getattr(each.usage, name)
            if value is not None:
                family.add_metric(labels, value)
    yield from (info, replicas, running, restarts, *usage.values())
