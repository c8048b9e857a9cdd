"""What can be said of a meter at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agent.model.metering import MeterReading
from agent.model.view import PluginState


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterStatus:
    """Tells how a meter fares.

    `detail` says in words why it is not well, and what to do; None if it is. `reading` is what it
    said last, None before the first. `refused` is why that was not kept, None where it was.
    """

    name: str
    kind: str
    roles: tuple[str, ...]
    site: str | None
    state: PluginState
    detail: str | None = None
    since: datetime | None = None
    reading: MeterReading | None = None
    refused: str | None = None
