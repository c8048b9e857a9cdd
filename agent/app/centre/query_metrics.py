"""The metrics of the questions of monitoring platforms; conventions as in `metrics`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from agent.app.wiring import Wiring


def families(wiring: Wiring) -> Iterable[Metric]:
    """Yield the families of one scrape; none on a node that serves no centre."""
    sources = wiring.operational_sources
    if sources is None:
        return
    answers = CounterMetricFamily(
        "computility_query_answers",
        "Questions of monitoring platforms by the code that they were answered with.",
        labels=("question", "code"),
    )
    for (question, code), count in sorted(wiring.query_answers.counts().items()):
        answers.add_metric((question, str(code)), count)
    yield answers
    known = GaugeMetricFamily(
        "computility_operational_source_known",
        "Whether it is known what a source of the operational data tells.",
        labels=("source",),
    )
    age = GaugeMetricFamily(
        "computility_operational_source_age_seconds",
        "Time since a source of the operational data answered.",
        labels=("source",),
    )
    for status in sources.statuses():
        known.add_metric((status.name,), 0 if status.reason else 1)
        if status.age_seconds is not None:
            age.add_metric((status.name,), status.age_seconds)
    yield from (known, age)
