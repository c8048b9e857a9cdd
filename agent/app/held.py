"""Lets the parts of the running agent ask each other's services while these run."""

from __future__ import annotations

from agent.app.parts import Service
from agent.app.wiring import Wiring


class Held:
    """Is a service that stands in the wiring under a name, from its start to its stop."""

    def __init__(self, service: Service, *, wiring: Wiring, name: str) -> None:
        self._service = service
        self._wiring = wiring
        self._name = name

    def start(self) -> None:
        """Start the service, then show it to the others."""
        self._service.start()
        setattr(self._wiring, self._name, self._service)

    def stop(self, *, timeout_seconds: float) -> None:
        """Hide the service from the others, then stop it."""
        setattr(self._wiring, self._name, None)
        self._service.stop(timeout_seconds=timeout_seconds)
