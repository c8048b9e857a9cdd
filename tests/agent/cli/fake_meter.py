"""A kind of meter that counts 1 kWh each time that it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import ClassVar

from agent.errors import ReadingUnavailable
from agent.model.metering import MeterReading


@dataclass(frozen=True)
class FakeConfig:
    """Says what the meter does."""

    answers: bool = True


class FakeKind:
    """Is a meter without a device."""

    name: ClassVar[str] = "fake"
    config_type: ClassVar[type[FakeConfig]] = FakeConfig

    def __init__(self, config: FakeConfig) -> None:
        self._config = config
        self._count = 0

    def probe(self) -> None:
        """Is always here."""

    def read(self) -> MeterReading:
        if not self._config.answers:
            raise ReadingUnavailable("it is silent", hint="wake it")
        self._count += 1
        return MeterReading(
            taken_at=datetime.now(timezone.utc),
            energy_joules=self._count * 3_600_000,
            power_watts=1500.0,
            reset_marker="serial 1",
        )

    def close(self) -> None:
        """Hold nothing."""
