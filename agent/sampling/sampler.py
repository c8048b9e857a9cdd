"""Samples this node at an interval and keeps the view that everybody else reads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.config.settings import Settings
from agent.model.clock import Clock
from agent.model.view import AgentView, PluginStatus
from agent.sampling import hosts, plugins, views
from agent.sampling.hardware import Hardware
from agent.sampling.hosts import Host, HostOptions, Hosts
from agent.sampling.plugins import FoundPlugin
from agent.sampling.views import Sample

_log = logging.getLogger(__name__)

# How long a view waits for the plugins that it asked; what is later makes a view of its own.
_SETTLE_SECONDS = 0.3
_FIRST_VIEW_SECONDS = 0.5

# The load of the CPUs is a difference: the second sample follows the first without a full interval.
_SECOND_SAMPLE_SECONDS = 1.0
_ONE_SHOT_GAP_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """Is a sample with its view, which holds until the next value of it grows too old."""

    sample: Sample
    view: AgentView
    expires_monotonic_seconds: float
    interval_seconds: float


class Sampler:
    """Asks every plugin at the interval and makes the `AgentView`; nobody else makes one.

    `latest` and `is_alive` are safe in every thread and never block. `start`, `reload` and `stop`
    belong to the main thread. `found` are the plugins to choose from; None looks for them.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        found: Sequence[FoundPlugin] | None = None,
        options: HostOptions | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._found = found
        self._options = options or HostOptions()
        self._hardware = Hardware(clock=clock)
        self._hosts = Hosts()
        self._news = threading.Event()
        self._first_view = threading.Event()
        self._is_settling = False
        self._ask_now = True
        self._stopping = False
        self._due_monotonic_seconds = clock.monotonic()
        self._shown = self._show(Hosts())
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        """Start the plugins and the loop; return with the first view, which waits for no card."""
        self._change_hosts(self._settings)
        self._shown = self._show(self._hosts)
        self._thread.start()
        if not self._first_view.wait(_FIRST_VIEW_SECONDS):
            _log.warning("sampler event=first_view_late")

    def stop(self, *, timeout_seconds: float) -> None:
        """End the loop and every plugin within the time given; may be called twice."""
        end = time.monotonic() + timeout_seconds
        self._stopping = True
        self._news.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        left_seconds = max(0.0, end - time.monotonic())
        hosts.stop_missing(self._hosts, Hosts(), timeout_seconds=left_seconds)

    def reload(self, settings: Settings, *, timeout_seconds: float = 5.0) -> None:
        """Take up changed settings; a plugin whose own settings are unchanged is left alone."""
        before = self._hosts
        self._settings = settings
        self._change_hosts(settings)
        self._ask_now = True
        self._news.set()
        hosts.stop_missing(before, self._hosts, timeout_seconds=timeout_seconds)

    def latest(self) -> AgentView:
        """Return what is known now: a value older than three intervals is None, with the reason."""
        shown, now = self._shown, self._clock.monotonic()
        view = shown.view
        if now > shown.expires_monotonic_seconds:
            view = views.make_view(shown.sample, now=now, interval_seconds=shown.interval_seconds)
        return view.at(now, max_age_seconds=views.MAX_AGE_INTERVALS * shown.interval_seconds)

    def is_alive(self, *, within_seconds: float) -> bool:
        """Return whether the loop runs and is at most this late for its next round."""
        late_seconds = self._clock.monotonic() - self._due_monotonic_seconds
        return self._thread.is_alive() and late_seconds <= within_seconds

    def sample_once(self, *, deadline_seconds: float) -> AgentView:
        """Return one view without the loop: for a command, on a sampler that was not started.

        Every plugin has until the deadline; the load of the CPUs is taken over half a second.
        """
        end = time.monotonic() + deadline_seconds
        self._change_hosts(self._settings)
        try:
            self._hosts.request()
            self._wait_until_idle(self._hosts.collectors, end=end)
            threading.Event().wait(min(_ONE_SHOT_GAP_SECONDS, max(0.0, end - time.monotonic())))
            for host in self._hosts.collectors:
                host.request()
            self._wait_until_idle(self._hosts, end=end)
            # Nothing is older than the call itself.
            return self._show(self._hosts, interval_seconds=deadline_seconds).view
        finally:
            self.stop(timeout_seconds=3.0)

    def inspect(self, *, deadline_seconds: float) -> tuple[PluginStatus, ...]:
        """Return the state of every plugin after one attempt; as `sample_once`."""
        end = time.monotonic() + deadline_seconds
        self._change_hosts(self._settings)
        try:
            self._hosts.request()
            self._wait_until_idle(self._hosts, end=end)
            return self._show(self._hosts).view.plugins
        finally:
            self.stop(timeout_seconds=3.0)

    def _change_hosts(self, settings: Settings) -> None:
        if self._found is None:
            self._found = plugins.discover()
        self._hosts = hosts.change(
            self._hosts,
            plugins.plan(settings, found=self._found),
            clock=self._clock,
            options=self._options,
            hardware=self._hardware.mark,
            on_done=self._plugin_done,
        )

    def _plugin_done(self) -> None:
        """Wake the loop for the last answer of a round, and for one that came after it."""
        if not self._is_settling or self._hosts.are_idle():
            self._news.set()

    def _wait_until_idle(self, waited_for: Iterable[Host], *, end: float) -> None:
        awaited = tuple(waited_for)
        while any(host.is_busy() for host in awaited):
            left_seconds = end - time.monotonic()
            if left_seconds <= 0:
                break
            self._news.wait(left_seconds)
            self._news.clear()

    def _run(self) -> None:
        next_round = self._clock.monotonic()
        settled = next_round
        rounds = 0
        while not self._stopping:
            now = self._clock.monotonic()
            if now >= next_round or self._ask_now:
                self._ask_now = False
                self._is_settling = True
                gap_seconds = self._gap_seconds(rounds)
                # Before the next round in any case: a plugin that hangs must not hold up views.
                settled = now + min(_SETTLE_SECONDS, gap_seconds / 2.0)
                next_round = now + gap_seconds
                rounds += 1
                self._hosts.request()
            if not self._is_settling or now >= settled or self._hosts.are_idle():
                self._is_settling = False
                self._shown = self._show(self._hosts)
                self._first_view.set()
            due = settled if self._is_settling else next_round
            self._due_monotonic_seconds = due
            self._news.wait(max(0.0, due - self._clock.monotonic()))
            self._news.clear()

    def _gap_seconds(self, rounds: int) -> float:
        interval_seconds = self._settings.collect.interval_seconds
        return min(interval_seconds, _SECOND_SAMPLE_SECONDS) if rounds == 0 else interval_seconds

    def _show(self, running: Hosts, *, interval_seconds: float | None = None) -> _Shown:
        if interval_seconds is None:
            interval_seconds = self._settings.collect.interval_seconds
        sample = running.sample(self._clock)
        now = sample.taken_monotonic_seconds
        return _Shown(
            sample=sample,
            view=views.make_view(sample, now=now, interval_seconds=interval_seconds),
            expires_monotonic_seconds=views.next_expiry(
                sample, now=now, interval_seconds=interval_seconds
            ),
            interval_seconds=interval_seconds,
        )
