"""Reads meters once, for the command `meters read`; nothing is kept of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from agent.app.centre import documents as centre_documents
from agent.app.centre.meter_kinds import MeterKinds
from agent.config.meter_settings import MeterSettings
from agent.errors import AgentError
from agent.model.clock import Clock

READ_SECONDS = 60.0


def read(
    meters: Sequence[MeterSettings], *, kinds: MeterKinds, clock: Clock
) -> list[dict[str, Any]]:
    """Return what each meter says now, or why it says nothing; all are asked at the same time."""
    found: dict[str, dict[str, Any]] = {}

    def ask(settings: MeterSettings) -> None:
        found[settings.name] = _one(settings, kinds=kinds, clock=clock)

    threads = [threading.Thread(target=ask, args=(each,), daemon=True) for each in meters]
    for thread in threads:
        thread.start()
    ends = clock.monotonic() + READ_SECONDS
    for thread in threads:
        thread.join(max(0.0, ends - clock.monotonic()))
    return [
        dict(found).get(each.name, _document(each, error=f"no answer within {READ_SECONDS:.0f} s"))
        for each in meters
    ]


def _one(settings: MeterSettings, *, kinds: MeterKinds, clock: Clock) -> dict[str, Any]:
    try:
        meter = kinds.open(settings)
        try:
            meter.probe()
            reading = meter.read()
        finally:
            meter.close()
    except AgentError as error:
        hint = getattr(error, "hint", None)
        return _document(settings, error=f"{error}; {hint}" if hint else str(error))
    except Exception as error:  # noqa: BLE001 - the border to code of somebody else
        return _document(settings, error=f"{type(error).__name__}: {error}")
    return _document(settings, reading=centre_documents.reading(reading, now=clock.now()))


def _document(
    settings: MeterSettings, *, reading: dict[str, Any] | None = None, error: str | None = None
) -> dict[str, Any]:
    return {
        "name": settings.name,
        "kind": settings.kind,
        "roles": list(settings.roles),
        "site": settings.site,
        "reading": reading,
        "error": error,
    }
