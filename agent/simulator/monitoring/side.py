"""Puts the monitoring platform together: database, users, signatures, operations, questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import falcon

from agent.errors import PermanentError
from agent.security import sm2
from agent.simulator.events import EventLog
from agent.simulator.monitoring import control
from agent.simulator.monitoring.accounts import Accounts
from agent.simulator.monitoring.api import build_monitoring_application
from agent.simulator.monitoring.asking import Asking
from agent.simulator.monitoring.centre_client import BadCentre
from agent.simulator.monitoring.centres import Centres
from agent.simulator.monitoring.months import Months
from agent.simulator.monitoring.projects import Projects
from agent.simulator.monitoring.service import MonitoringService
from agent.simulator.monitoring.settings import MonitoringSettings
from agent.simulator.monitoring.signing import Signing
from agent.simulator.monitoring.store import MonitoringStore


class MonitoringSide:
    """Is the monitoring platform of TC609; started once and stopped once.

    `state_file` None keeps everything in memory; `private_key` signs questions by `sm2`; `ca_file`
    checks centres under TLS, None checks nothing.

    Raises:
        PermanentError: the state file, the CA or a centre to ask cannot be used.
    """

    def __init__(
        self,
        settings: MonitoringSettings,
        *,
        state_file: Path | None,
        events: EventLog,
        private_key: sm2.PrivateKey,
        monotonic: Callable[[], float],
        now: Callable[[], datetime],
        strict_extra: bool,
        ca_file: Path | None,
    ) -> None:
        self._settings = settings
        self._store = MonitoringStore(state_file, answers_kept=settings.answers_kept)
        self._accounts = Accounts(
            settings.users, token_seconds=settings.token_seconds, monotonic=monotonic
        )
        signing = None
        if settings.sign is not None:
            signing = Signing(replace(settings.sign, private_key=private_key), now=now)

        def at() -> str:
            return now().isoformat(timespec="milliseconds")

        self.application = build_monitoring_application(
            MonitoringService(
                accounts=self._accounts,
                signing=signing,
                projects=Projects(self._store, maximum=settings.projects_maximum, now=at),
                centres=Centres(self._store, maximum=settings.centres_maximum, now=at),
                months=Months(self._store, maximum=settings.months_maximum, now=now),
                events=events,
                strict_extra=strict_extra,
                has_open_groups=settings.has_open_groups,
                uses_http_statuses=settings.uses_http_statuses,
            )
        )
        try:
            self.asking = Asking(
                settings.asked,
                signing=signing,
                store=self._store,
                events=events,
                monotonic=monotonic,
                now=at,
                timeout_seconds=settings.ask_timeout_seconds,
                ca_file=ca_file,
            )
        except (BadCentre, OSError) as error:
            self._store.close()
            raise PermanentError(f"a centre cannot be asked: {error}") from error

    @property
    def users(self) -> list[dict[str, str]]:
        """Return the users, with their passwords."""
        return self._accounts.as_json()

    def start(self) -> None:
        """Begin to ask centres."""
        self.asking.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """End what runs and close the database; may be called twice."""
        self.asking.stop(timeout_seconds=timeout_seconds)
        self._store.close()

    def add_control_routes(self, application: falcon.App[Any, Any]) -> None:
        """Add what the control endpoint shows and takes of the monitoring platform."""
        control.add_routes(
            application, store=self._store, asking=self.asking, users=self._accounts.as_json
        )
