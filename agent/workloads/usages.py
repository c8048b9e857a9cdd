"""Measures, now and then, what the containers of each service use."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.contracts import Runtime
from agent.errors import AgentError, PermanentError, TransientError
from agent.model.clock import Clock
from agent.model.view import AgentView
from agent.model.workloads import Container, ContainerUsage, ServiceUsage
from agent.workloads import labels
from agent.workloads.usage import NO_CONTAINER, Measurement, service_usage, unknown_usage

_FIELDS = ("cpu_seconds", "memory_used_bytes", "process_ids")


class ServiceUsages:
    """Holds the last usage of each service; `measure` belongs to one thread, `of` to any.

    A usage older than `maximum_age_seconds` is shown as unknown: whoever measures has stopped.
    """

    def __init__(
        self,
        runtime: Callable[[], Runtime],
        *,
        view: Callable[[], AgentView],
        clock: Clock,
        maximum_age_seconds: float,
    ) -> None:
        self._runtime = runtime
        self._view = view
        self._clock = clock
        self._maximum_age_seconds = maximum_age_seconds
        self._measurements: Mapping[str, list[Measurement]] = {}
        self._shown: tuple[float, Mapping[str, ServiceUsage]] | None = None

    def measure(self, containers: tuple[Container, ...]) -> None:
        """Measure containers that run; with none the runtime is not asked and not even built."""
        measurements: dict[str, list[Measurement]] = {}
        lost: str | None = None
        for container in containers:
            usage = None
            if lost is None:
                try:
                    usage = self._runtime().usage(container.container_id)
                except PermanentError as error:  # this container: it has just gone
                    usage = _unknown(error)
                except TransientError as error:
                    # Each further question would wait for a deadline, too.
                    lost = error.reason
            measurements.setdefault(container.labels[labels.SERVICE], []).append(
                Measurement(
                    container=container,
                    usage=usage or ContainerUsage(unknown=dict.fromkeys(_FIELDS, lost or "")),
                    monotonic_seconds=self._clock.monotonic(),
                )
            )
        view = self._view()
        usages = {
            service_id: service_usage(
                found, earlier=self._measurements.get(service_id, ()), view=view
            )
            for service_id, found in measurements.items()
        }
        self._measurements = measurements
        self._shown = (self._clock.monotonic(), usages)

    def of(self, service_id: str) -> ServiceUsage:
        """Return what a service used when it was last measured."""
        if self._shown is None:
            return unknown_usage("it was not measured yet")
        measured_at, usages = self._shown
        age_seconds = self._clock.monotonic() - measured_at
        if age_seconds > self._maximum_age_seconds:
            return unknown_usage(f"last measured {age_seconds:.0f} s ago")
        return usages.get(service_id) or unknown_usage(NO_CONTAINER)


def _unknown(error: AgentError) -> ContainerUsage:
    return ContainerUsage(unknown=dict.fromkeys(_FIELDS, str(error)))
