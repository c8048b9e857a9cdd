"""Reads each meter in a thread of its own, so that one that hangs costs its own hours only."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from agent.centre.clock_watch import ClockWatch
from agent.centre.keeper import ReadingKeeper
from agent.centre.ledger import Ledger
from agent.centre.status import MeterStatus
from agent.config.meter_settings import MeterSettings
from agent.contracts import HasTraits, Meter, RemembersReadings
from agent.errors import AgentError, ConfigError, NotPresent, ReadingUnavailable
from agent.model.clock import Clock
from agent.model.metering import MeterReading, MeterRole, RegisterTraits
from agent.model.view import PluginState
from agent.store.readings import Source

logger = logging.getLogger(__name__)

OpenMeter = Callable[[MeterSettings], Meter]
# Waits for an event, at most so many seconds of the centre's clock; tells whether it is set.
Pause = Callable[[threading.Event, float], bool]

# Meters have deadlines of their own that end sooner; a thread that is still busy then hangs.
STALLED_SECONDS = 60.0
_SEARCH_SECONDS = 60.0
_CHUNK_ROWS = 5000
_MOST_TOLD = 5


class MeterThread:
    """Reads one meter at its interval; every method returns at once but `stop`."""

    def __init__(
        self,
        settings: MeterSettings,
        *,
        open_meter: OpenMeter,
        ledger: Ledger,
        keeper: ReadingKeeper,
        watch: ClockWatch,
        clock: Clock,
        kept_for: timedelta,
        stalled_seconds: float = STALLED_SECONDS,
        pause: Pause = threading.Event.wait,
    ) -> None:
        self.settings = settings
        self._pause = pause
        self._open_meter = open_meter
        self._ledger = ledger
        self._keeper = keeper
        self._watch = watch
        self._clock = clock
        self._stalled_seconds = stalled_seconds
        self._meter: Meter | None = None
        self._traits: RegisterTraits | None = None
        self._earlier: Sequence[MeterReading] | None = None
        self._kept_for = kept_for
        self._reading: MeterReading | None = None
        # One value, replaced as a whole.
        self._state: tuple[PluginState, str | None, datetime] = (
            PluginState.STARTING,
            None,
            clock.now(),
        )
        self._busy_since: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"meter-{settings.name}", daemon=True
        )

    def start(self) -> None:
        """Start reading, now and then at each interval."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Let the thread end after the reading that is under way."""
        self._stopping.set()

    def stop(self, *, timeout_seconds: float) -> None:
        """End the thread, or leave it behind where it is stuck; may be called twice."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def status(self) -> MeterStatus:
        """Return how the meter fares now."""
        state, detail, since = self._state
        busy_since = self._busy_since
        if busy_since is not None:
            busy_seconds = self._clock.monotonic() - busy_since
            if busy_seconds >= self._stalled_seconds:
                state = PluginState.STALLED
                detail = f"no answer for {busy_seconds:.0f} s, and its deadline has passed"
        return MeterStatus(
            name=self.settings.name,
            kind=self.settings.kind,
            roles=self.settings.roles,
            site=self.settings.site,
            state=state,
            detail=detail,
            since=since,
            reading=self._reading,
            refused=self._keeper.refused(self.settings.name),
        )

    def _run(self) -> None:
        due = self._clock.monotonic()
        while not self._pause(self._stopping, max(0.0, due - self._clock.monotonic())):
            self._busy_since = self._clock.monotonic()
            try:
                pause_seconds = self._pass()
            except Exception as error:  # the border to code of somebody else
                self._set(PluginState.FAILING, f"{type(error).__name__}: {error}")
                logger.debug("event=meter_failed meter=%s", self.settings.name, exc_info=True)
                pause_seconds = self.settings.interval_seconds
            finally:
                self._busy_since = None
            # A reading that took long is followed by the next one in step, not by several at once.
            due = max(due + pause_seconds, self._clock.monotonic())
        if self._meter is not None:
            try:
                self._meter.close()
            except Exception:  # likewise
                logger.exception("event=meter_close_failed meter=%s", self.settings.name)

    def _pass(self) -> float:
        """Read once; return how long to wait."""
        interval = self.settings.interval_seconds
        meter = self._meter
        if meter is None:
            try:
                meter = self._open_meter(self.settings)
            except (ConfigError, ImportError, AgentError) as error:
                self._set(PluginState.BROKEN, str(error))
                return max(_SEARCH_SECONDS, interval)
            self._meter = meter
        try:
            if self._state[0] is not PluginState.ACTIVE:
                meter.probe()
            reading = meter.read()
        except NotPresent as error:
            self._set(PluginState.ABSENT, _with_hint(error.reason, error.hint))
            return max(_SEARCH_SECONDS, interval)
        except ReadingUnavailable as error:
            self._set(PluginState.FAILING, _with_hint(error.reason, error.hint))
            return interval
        self._watch.check()
        if not isinstance(reading, MeterReading):
            raise TypeError(f"it gave a {type(reading).__name__}, which is no reading of a meter")
        self._keep_traits(meter)
        self._keep_earlier(meter)
        self._reading = reading
        self._keeper.hand_in(self.settings.name, reading)
        self._set(PluginState.ACTIVE, self._unknown(reading))
        return interval

    def _keep_traits(self, meter: Meter) -> None:
        if not isinstance(meter, HasTraits):
            return
        traits = meter.traits()
        if traits != self._traits:
            self._ledger.keep_traits(self.settings.name, traits)
            self._traits = traits

    def _keep_earlier(self, meter: Meter) -> None:
        """Bring what a meter remembers into the ledger, once each time that it has changed."""
        if not isinstance(meter, RemembersReadings):
            return
        readings = meter.read_all()
        if readings is self._earlier:
            return
        now = self._clock.now()
        for first in range(0, len(readings), _CHUNK_ROWS):
            if self._stopping.is_set():
                return
            kept = self._ledger.keep(
                [(self.settings.name, each) for each in readings[first : first + _CHUNK_ROWS]],
                source=Source.IMPORT,
                now=now,
                not_before=now - self._kept_for,
            )
            for _, reason in kept.refused[:_MOST_TOLD]:
                logger.warning(
                    "event=reading_refused meter=%s reason=%s", self.settings.name, reason
                )
        self._earlier = readings

    def _unknown(self, reading: MeterReading) -> str | None:
        """Return why a reading lacks what its role needs; None where it does not."""
        is_water = any(role.endswith(MeterRole.WATER.value) for role in self.settings.roles)
        if is_water:
            return reading.unknown.get("water_millilitres")
        return None if reading.power_watts is not None else reading.unknown.get("energy_joules")

    def _set(self, state: PluginState, detail: str | None) -> None:
        before, _, since = self._state
        self._state = (state, detail, since if state is before else self._clock.now())
        if state is not before:
            logger.log(
                logging.INFO if state is PluginState.ACTIVE else logging.WARNING,
                "meter=%s state=%s before=%s detail=%s",
                self.settings.name,
                state.value,
                before.value,
                detail,
            )


class MeterThreads:
    """Runs a thread for each meter."""

    def __init__(self, threads: Sequence[MeterThread]) -> None:
        self._threads = tuple(threads)

    def start(self) -> None:
        """Start them all."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """End them all within the time given; those that hang are left behind."""
        for thread in self._threads:
            thread.ask_to_stop()
        each_seconds = timeout_seconds / max(1, len(self._threads))
        for thread in self._threads:
            thread.stop(timeout_seconds=each_seconds)

    def statuses(self) -> tuple[MeterStatus, ...]:
        """Return how each meter fares now."""
        return tuple(thread.status() for thread in self._threads)


def _with_hint(reason: str, hint: str | None) -> str:
    return f"{reason}; {hint}" if hint else reason
