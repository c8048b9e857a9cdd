"""What the parts of the running agent know of each other, and nothing more.

Parts come and go with a reload, so they hold questions ("the latest view", "the tokens that are
good now") and never each other.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import agent
from agent.app.centre import documents as centre_documents
from agent.app.centre.answer_counts import AnswerCounts
from agent.app.collect import timestamp
from agent.app.workloads import documents as workload_documents
from agent.config.settings import Settings
from agent.errors import AgentError, TransientError
from agent.model.clock import Clock
from agent.model.view import AgentView
from agent.protocols.acsmp.identifiers import AcceleratorIdentifiers
from agent.protocols.acsmp.identity import AUTO, DeviceIdentity, PlatformToken
from agent.protocols.acsmp.session import PlatformSession
from agent.protocols.acsmp.status import SessionStatus
from agent.sampling.sampler import Sampler
from agent.transport.server import HttpServer

if TYPE_CHECKING:
    from agent.app.centre.operational_sources import OperationalSources
    from agent.app.centre.parts import CentreService
    from agent.app.monitoring.outbox_service import OpenOutbox, OutboxService
    from agent.app.monitoring.parts import Reporting
    from agent.app.workloads.parts import Workloads

# How late the sampler's loop may be; it waits for no device, so only a starved machine delays it.
SAMPLER_SLACK_SECONDS = 30.0


class Wiring:
    """Answers the parts' questions about each other.

    The main thread alone changes it; questions come from every thread, and each reads one
    reference, which Python does at once.
    """

    def __init__(self, *, clock: Clock) -> None:
        self.clock = clock
        self.identify = AcceleratorIdentifiers().standard_identifier
        self.settings: Settings | None = None
        self.sampler: Sampler | None = None
        self.device_server: HttpServer | None = None
        self.metrics_server: HttpServer | None = None
        self.query_server: HttpServer | None = None
        self.query_answers = AnswerCounts()
        self.operational_sources: OperationalSources | None = None
        self.sessions: tuple[PlatformSession, ...] = ()
        self.workloads: Workloads | None = None
        self.centre: CentreService | None = None
        self.outbox: OutboxService | None = None
        self.reporting: tuple[Reporting, ...] = ()
        self._started_seconds = clock.monotonic()
        self._started_at = clock.now()

    def view(self) -> AgentView:
        """Return the latest view; an empty one before the sampler runs."""
        sampler = self.sampler
        if sampler is not None:
            return sampler.latest()
        return AgentView(
            taken_at=self.clock.now(),
            taken_monotonic_seconds=self.clock.monotonic(),
            unknown=dict.fromkeys(("host", "cpu", "memory", "disks"), "not sampled yet"),
        )

    def tokens(self) -> tuple[PlatformToken, ...]:
        """Return the tokens with which platforms may call the device API now."""
        return tuple(token for session in self.sessions for token in session.current_tokens())

    def address(self, identity: DeviceIdentity) -> str | None:
        """Return the address that a platform is told, None while none is known."""
        if identity.address != AUTO:
            return identity.address
        for session in self.sessions:
            if session.identity.platform == identity.platform:
                return session.status().address
        return None

    def session_statuses(self) -> tuple[SessionStatus, ...]:
        """Return how each platform's session stands, also of those that are still to be started."""
        running = {status.name: status for status in (each.status() for each in self.sessions)}
        settings = self.settings
        if settings is None:
            return tuple(running.values())
        # Left out, a platform that nobody has spoken to yet would pass for a good one.
        for platform in settings.acsmp:
            running.setdefault(
                platform.name,
                SessionStatus(
                    name=platform.name,
                    url=platform.url,
                    computility_code=platform.code or settings.node.code,
                ),
            )
        return tuple(running.values())

    def stale_loops(self) -> tuple[str, ...]:
        """Return the names of the loops that have stopped working; empty while all is well."""
        stale = [
            f"keepalive-{each.identity.platform}" for each in self.sessions if not each.is_alive()
        ]
        if self.sampler is not None and not self.sampler.is_alive(
            within_seconds=SAMPLER_SLACK_SECONDS
        ):
            stale.append("sampler")
        if self.workloads is not None and not self.workloads.is_alive():
            stale.append("workloads")
        stale += [
            f"listener-{server.port}"
            for server in (self.device_server, self.metrics_server, self.query_server)
            if server is not None and not server.is_alive
        ]
        if self.operational_sources is not None and not self.operational_sources.is_alive:
            stale.append("operational-sources")
        return tuple(stale)

    def summary(self) -> str:
        """Return one line on what runs."""
        parts = [f"{len(self.sessions)} platforms"]
        if self.device_server is not None:
            parts.append(f"device API on {_place(self.device_server)}")
        if self.metrics_server is not None:
            parts.append(f"metrics on {_place(self.metrics_server)}")
        if self.query_server is not None:
            parts.append(f"query API on {_place(self.query_server)}")
        return ", ".join(parts)

    def status_document(self) -> dict[str, Any]:
        """Return the document of `computility-agent status --json`."""
        settings, view = self.settings, self.view()
        return {
            "version": agent.__version__,
            "pid": os.getpid(),
            "started_at": timestamp(self._started_at),
            "uptime_seconds": round(self.clock.monotonic() - self._started_seconds, 1),
            "node": {
                "computility_code": settings.node.code if settings else None,
                "type": settings.node.type if settings else None,
            },
            "device_api": _place(self.device_server),
            "metrics": _place(self.metrics_server),
            "query_api": _place(self.query_server),
            "sampled_at": timestamp(view.taken_at),
            "platforms": [self._platform(each) for each in self.session_statuses()],
            "plugins": [
                {
                    "group": plugin.group,
                    "name": plugin.name,
                    "state": plugin.state.value,
                    "detail": plugin.detail,
                }
                for plugin in view.plugins
            ],
            "meters": self._meters(),
            "operational_sources": self._operational_sources(),
            "monitoring": self._monitoring(),
            "workloads": self._workloads(),
            "stale_loops": list(self.stale_loops()),
        }

    def _platform(self, status: SessionStatus) -> dict[str, Any]:
        return {
            "name": status.name,
            "url": status.url,
            "computility_code": status.computility_code,
            "address": status.address,
            "state": status.state.value,
            "is_registered": status.is_registered,
            "registered_at": status.registered_at and timestamp(status.registered_at),
            "last_contact_at": status.last_contact_at and timestamp(status.last_contact_at),
            "last_contact_seconds_ago": _rounded(status.last_contact_seconds_ago),
            "worst_gap_seconds": _rounded(status.worst_gap_seconds),
            "next_action": status.next_action,
            "next_action_at": (
                None
                if status.next_action_in_seconds is None
                else timestamp(self.clock.now() + timedelta(seconds=status.next_action_in_seconds))
            ),
            "misses_in_a_row": status.misses_in_a_row,
            "registrations_accepted": status.registrations_accepted,
            "registrations_failed": status.registrations_failed,
            "keepalives_accepted": status.keepalives_accepted,
            "keepalives_failed": status.keepalives_failed,
            "token_changes": status.token_changes,
            "last_error": status.last_error,
            "last_error_at": status.last_error_at and timestamp(status.last_error_at),
        }

    def _meters(self) -> dict[str, Any] | None:
        """Return how the meters fare; None where none are configured."""
        if self.centre is None:
            return None
        now = self.clock.now()
        try:
            centre = self.centre.centre
            meters = [centre_documents.meter(each, now=now) for each in centre.meters()]
        except AgentError as error:
            return {"meters": None, "unknown": str(error)}
        return {"meters": meters, "unknown": centre.trouble}

    def _monitoring(self) -> dict[str, Any] | None:
        """Return how the reporting fares; None where nothing is reported, nor ever was."""
        if self.outbox is None and not self.reporting:
            if self.settings is None or not self.settings.monitoring:
                return None
            return {"platforms": [], "removed": [], "unknown": "not started yet"}
        # It weighs, and most nodes report nothing.
        from agent.app.monitoring.answers import MonitoringAnswers

        return MonitoringAnswers(
            reporting=lambda: self.reporting, outbox=self.opened_outbox, clock=self.clock
        ).list()

    def _operational_sources(self) -> list[dict[str, Any]] | None:
        """Return how the other sources of the operational data fare; None without a centre."""
        if self.operational_sources is None:
            return None
        return [
            {
                "name": each.name,
                "age_seconds": _rounded(each.age_seconds),
                "unknown": each.reason,
            }
            for each in self.operational_sources.statuses()
        ]

    def _workloads(self) -> dict[str, Any] | None:
        """Return how packages and services fare; None where none are taken, or not now."""
        if self.workloads is None:
            return None
        try:
            packages, services = self.workloads.packages.list(), self.workloads.seen()
            orphans = self.workloads.orphans()
        except AgentError as error:
            return {"packages": None, "services": None, "orphans": None, "unknown": str(error)}
        return {
            "packages": [workload_documents.package(each) for each in packages],
            "services": [workload_documents.service(each) for each in services],
            "orphans": workload_documents.orphans(orphans),
            "unknown": None,
        }

    def opened_outbox(self) -> OpenOutbox:
        """Return the outbox.

        Raises:
            TransientError: there is none, or its file cannot be used now.
        """
        if self.outbox is None:
            raise TransientError("nothing is reported: there is no section monitoring")
        return self.outbox.opened

    def add_reporting(self, one: Reporting) -> None:
        """Let the reporting to a platform be asked."""
        self.reporting = (*self.reporting, one)

    def remove_reporting(self, one: Reporting) -> None:
        """Ask it no more."""
        self.reporting = tuple(each for each in self.reporting if each is not one)

    def add_session(self, session: PlatformSession) -> None:
        """Let a platform's session be asked."""
        self.sessions = (*self.sessions, session)

    def remove_session(self, session: PlatformSession) -> None:
        """Ask a session no more."""
        self.sessions = tuple(each for each in self.sessions if each is not session)


def _place(server: HttpServer | None) -> str | None:
    if server is None:
        return None
    host = f"[{server.address}]" if ":" in server.address else server.address
    return f"{host}:{server.port}"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
