"""The metrics of reporting to monitoring platforms; conventions as in `metrics`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from agent.app.monitoring.parts import Reporting
from agent.app.monitoring.platform import PlatformState
from agent.errors import AgentError

_LABELS = ("platform",)


def families(running: Sequence[Reporting], *, now: datetime) -> Iterable[Metric]:
    """Yield the families of one scrape; of an outbox that cannot be read there is no series."""
    waiting = GaugeMetricFamily(
        "computility_outbox_messages", "Reports that wait for a platform.", labels=_LABELS
    )
    size = GaugeMetricFamily(
        "computility_outbox_bytes", "Size of what waits for a platform.", labels=_LABELS
    )
    age = GaugeMetricFamily(
        "computility_outbox_oldest_age_seconds",
        "For how long the oldest report waits for a platform; 0 where none does.",
        labels=_LABELS,
    )
    refused = GaugeMetricFamily(
        "computility_outbox_refused_messages",
        "Reports that a platform refused and that are put aside.",
        labels=_LABELS,
    )
    outcomes = CounterMetricFamily(
        "computility_monitoring_reports",
        "Reports that a platform took or refused, or that were given up for their age.",
        labels=(*_LABELS, "outcome"),
    )
    last = GaugeMetricFamily(
        "computility_monitoring_last_success_timestamp_seconds",
        "When a platform last took a report, seconds since 1970.",
        labels=_LABELS,
    )
    figures = GaugeMetricFamily(
        "computility_monitoring_figures_usable",
        "Whether the file of figures of a platform can be used.",
        labels=_LABELS,
    )
    for each in running:
        labels = (each.platform.name,)
        if each.platform.settings.figures_file is not None:
            figures.add_metric(labels, 1 if each.platform.figures_trouble is None else 0)
        try:
            state = each.platform.state()
        except AgentError:
            continue
        stream = state.stream
        waiting.add_metric(labels, stream.waiting)
        size.add_metric(labels, stream.waiting_bytes)
        age.add_metric(labels, _age(state, now=now))
        refused.add_metric(labels, stream.refused)
        for outcome in ("delivered", "refused", "expired"):
            outcomes.add_metric((*labels, outcome), getattr(stream, f"{outcome}_total"))
        if state.last_delivery is not None:
            last.add_metric(labels, state.last_delivery.at.timestamp())
    yield from (waiting, size, age, refused, outcomes, last, figures)


def _age(state: PlatformState, *, now: datetime) -> float:
    oldest_at = state.stream.oldest_at
    return 0.0 if oldest_at is None else max(0.0, (now - oldest_at).total_seconds())
