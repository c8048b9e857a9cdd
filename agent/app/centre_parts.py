"""The meters and the ledger of the running agent, as one part of it.

A ledger that cannot be used stops nothing else: it is tried again until it can.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Protocol

from agent.centre.bills import spread_meters
from agent.centre.centre import Centre
from agent.centre.ledger import Ledger
from agent.centre.meter_threads import Pause
from agent.config.meter_settings import MeterSettings
from agent.config.settings import Settings
from agent.contracts import Meter
from agent.errors import NoRoomError, PermanentError, TransientError
from agent.model.clock import Clock

logger = logging.getLogger(__name__)

RETRY_SECONDS = 60.0


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
        self._settings = settings
        self._kinds = kinds
        self._clock = clock
        self._pause = pause
        self._retry_seconds = retry_seconds
        self._centre: Centre | None = None
        self._trouble: str | None = None
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def centre(self) -> Centre:
        """The centre that runs.

        Raises:
            TransientError: its ledger cannot be used now; with the reason.
        """
        centre = self._centre
        if centre is None:
            raise TransientError(
                f"the ledger of the meters cannot be used: {self._trouble or 'not opened yet'}",
                retry_after_seconds=self._retry_seconds,
            )
        return centre

    def start(self) -> None:
        """Open the ledger and read the meters; where it cannot be used, go on trying."""
        if not self._take_up():
            self._thread = threading.Thread(target=self._retry, name="ledger", daemon=True)
            self._thread.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """Stop reading; what was read is on the disk then. May be called twice."""
        self._stopping.set()
        with self._changing:
            centre, self._centre = self._centre, None
        if centre is not None:
            centre.stop(timeout_seconds=timeout_seconds)
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def _retry(self) -> None:
        while not self._stopping.wait(self._retry_seconds):
            try:
                if self._take_up():
                    return
            except Exception:  # the border of this thread: the next turn may be well
                logger.exception("event=ledger_failed")

    def _take_up(self) -> bool:
        with self._changing:
            if self._stopping.is_set():
                return True
            try:
                centre = open_centre(
                    self._settings, kinds=self._kinds, clock=self._clock, pause=self._pause
                )
            except (PermanentError, TransientError, NoRoomError) as error:
                if error.reason != self._trouble:
                    logger.error("event=ledger_unusable reason=%s", error)  # noqa: TRY400
                self._trouble = error.reason
                return False
            centre.start()
            self._centre, self._trouble = centre, None
            return True
