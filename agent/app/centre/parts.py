"""The meters and the ledger of the running agent, as one part of it.

A ledger that cannot be used stops nothing else: it is tried again until it can.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol

from agent.app.retried_opening import RETRY_SECONDS, RetriedOpening
from agent.centre.bills import spread_meters
from agent.centre.centre import Centre
from agent.centre.ledger import Ledger
from agent.centre.meter_threads import Pause
from agent.config.meter_settings import MeterSettings
from agent.config.settings import Settings
from agent.contracts import Meter
from agent.model.clock import Clock


class OpensMeters(Protocol):
    """Builds meters of the kinds that are installed."""

    def open(self, settings: MeterSettings) -> Meter:
        """Return a meter, of which nothing has been asked yet."""


def open_centre(
    settings: Settings,
    *,
    kinds: OpensMeters,
    clock: Clock,
    pause: Pause = threading.Event.wait,
) -> Centre:
    """Return the centre of a configuration with its ledger open; nothing is read yet.

    Raises:
        PermanentError: the ledger cannot be used.
        TransientError: another process has it, or the disk does not work now.
    """
    ledger = Ledger(Path(settings.node.state_dir), spread=spread_meters(settings.meters))
    return Centre(
        ledger,
        meters=settings.meters,
        settings=settings.ledger,
        clock=clock,
        open_meter=kinds.open,
        pause=pause,
    )


class CentreService:
    """Runs the centre, from the moment on at which its ledger can be used."""

    def __init__(
        self,
        settings: Settings,
        *,
        kinds: OpensMeters,
        clock: Clock,
        pause: Pause = threading.Event.wait,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        def started() -> Centre:
            centre = open_centre(settings, kinds=kinds, clock=clock, pause=pause)
            centre.start()
            return centre

        self._opening = RetriedOpening(
            started,
            close=lambda centre, seconds: centre.stop(timeout_seconds=seconds),
            name="ledger",
            what="the ledger of the meters",
            retry_seconds=retry_seconds,
        )

    @property
    def centre(self) -> Centre:
        """The centre that runs.

        Raises:
            TransientError: its ledger cannot be used now; with the reason.
        """
        return self._opening.opened

    def start(self) -> None:
        """Open the ledger and read the meters; where it cannot be used, go on trying."""
        self._opening.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """Stop reading; what was read is on the disk then. May be called twice."""
        self._opening.stop(timeout_seconds=timeout_seconds)
