"""Registers this node with one platform and keeps that alive (T/BAX 0006.5, clause 7).

Each session has a thread, an HTTP client and a token of its own and shares nothing with another:
no platform can delay the keepalive to the next one. When it acts, `cadence` decides.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from agent.errors import AgentError, PlatformRejected, TransientError
from agent.model.clock import Clock
from agent.model.secret import Secret
from agent.protocols.acsmp.cadence import EXCHANGE_DEADLINE_SECONDS, Action, Cadence
from agent.protocols.acsmp.exchanges import (
    Exchanges,
    PlatformClient,
    Registration,
    SealPassword,
)
from agent.protocols.acsmp.identity import DeviceIdentity, PlatformToken
from agent.protocols.acsmp.status import SessionState, SessionStatus

logger = logging.getLogger(__name__)

# A request that the platform sent just before it changed the token is still under way.
OLD_TOKEN_GRACE_SECONDS = 60.0
# How long past its due moment the loop may be, the longest exchange included, to count as alive.
LOOP_SLACK_SECONDS = 3 * EXCHANGE_DEADLINE_SECONDS
_QUIET_STOP_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class _HeldToken:
    """Is a token and how long it opens the device API; None for the current one."""

    token: Secret
    until_seconds: float | None = None


class PlatformSession:
    """Keeps this node registered with one platform.

    `start` makes the thread that works; everything else may be called from every thread.
    """

    def __init__(
        self,
        *,
        identity: DeviceIdentity,
        url: str,
        keepalive_seconds: float,
        client: PlatformClient,
        seal_password: SealPassword,
        clock: Clock,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.identity = identity
        self._client = client
        self._clock = clock
        self._exchanges = Exchanges(
            identity=identity, client=client, seal_password=seal_password, clock=clock
        )
        self._cadence = Cadence(
            keepalive_seconds=keepalive_seconds,
            start_seconds=clock.monotonic(),
            uniform=uniform,
        )
        # Written by the session's own thread, replaced as a whole, read by everybody.
        self._status = SessionStatus(
            name=identity.platform, url=url, computility_code=identity.computility_code
        )
        self._last_contact_seconds: float | None = None
        self._tokens: tuple[_HeldToken, ...] = ()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; the first registration is due at once."""
        self._thread = threading.Thread(
            target=self._run, name=f"acsmp-{self.identity.platform}", daemon=True
        )
        self._thread.start()

    def stop(self, *, timeout_seconds: float) -> bool:
        """End the thread, in the middle of an exchange too; returns whether it has ended.

        The platform is not told: whoever wants that calls `unregister_once`.
        """
        self._stopping.set()
        thread = self._thread
        if thread is None:
            return True
        thread.join(min(_QUIET_STOP_SECONDS, timeout_seconds))
        if thread.is_alive():
            self._client.close()
            thread.join(max(timeout_seconds - _QUIET_STOP_SECONDS, 0.0))
        return not thread.is_alive()

    def is_alive(self) -> bool:
        """Tell whether the thread runs and keeps its own times."""
        late_seconds = self._clock.monotonic() - self._cadence.due.at_seconds
        return (
            self._thread is not None
            and self._thread.is_alive()
            and late_seconds <= LOOP_SLACK_SECONDS
        )

    def status(self) -> SessionStatus:
        """Return how the session stands now, with the running gap in it."""
        now_seconds = self._clock.monotonic()
        due = self._cadence.due
        status = self._status
        last_seconds = self._last_contact_seconds
        running = None if last_seconds is None else max(now_seconds - last_seconds, 0.0)
        return replace(
            status,
            last_contact_seconds_ago=running,
            worst_gap_seconds=(
                None if running is None else max(status.worst_gap_seconds or 0.0, running)
            ),
            next_action=due.action.value,
            next_action_in_seconds=due.at_seconds - now_seconds,
        )

    def current_tokens(self) -> tuple[PlatformToken, ...]:
        """Return the tokens with which the platform may call the device API now.

        After a change the old one is among them for 60 s. A token that the platform itself refused
        is not.
        """
        now_seconds = self._clock.monotonic()
        return tuple(
            PlatformToken(platform=self.identity.platform, token=held.token)
            for held in self._tokens
            if held.until_seconds is None or now_seconds < held.until_seconds
        )

    def register_once(self, *, deadline_seconds: float = EXCHANGE_DEADLINE_SECONDS) -> Registration:
        """Register once, in the caller's thread, for a session that was not started.

        Raises:
            PlatformRejected: the platform said no.
            TransientError: there was no answer, or none that can be used.
            PermanentError: the key file or the password cannot be used.
        """
        return self._exchanges.register(deadline_seconds=deadline_seconds)

    def unregister_once(self, *, deadline_seconds: float = EXCHANGE_DEADLINE_SECONDS) -> None:
        """Unregister once, in the caller's thread, for a session that was not started or has ended.

        Raises:
            PlatformRejected: the platform said no.
            TransientError: there was no answer, or none that can be used.
            PermanentError: the key file or the password cannot be used.
        """
        self._exchanges.unregister(token=self._token(), deadline_seconds=deadline_seconds)
        self._tokens = ()

    def turn(self) -> None:
        """Do what is due, now, in the caller's thread: one exchange at most."""
        started_seconds = self._clock.monotonic()
        try:
            if self._cadence.due.action is Action.REGISTER:
                self._register(started_seconds)
            else:
                self._keep_alive(started_seconds)
        except Exception as error:
            # The service loop: a fault of ours must not end what keeps the node alive.
            logger.exception("session turn failed platform=%s", self.identity.platform)
            self._note_failure(f"internal error: {type(error).__name__}")

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait_seconds = self._cadence.due.at_seconds - self._clock.monotonic()
            if wait_seconds > 0 and self._stopping.wait(wait_seconds):
                break
            if self._clock.monotonic() >= self._cadence.due.at_seconds:
                self.turn()
        self._status = replace(self._status, state=SessionState.STOPPED)

    def _register(self, started_seconds: float) -> None:
        try:
            registration = self._exchanges.register(deadline_seconds=EXCHANGE_DEADLINE_SECONDS)
        except AgentError as error:
            self._note_failure(str(error), error=error)
            return
        self._note_contact(started_seconds)
        self._change_token(registration.token)
        self._status = replace(
            self._status,
            registrations_accepted=self._status.registrations_accepted + 1,
            registered_at=self._clock.now(),
            address=registration.address,
        )
        self._change_state(SessionState.REGISTERED, reason=f"address={registration.address}")

    def _keep_alive(self, started_seconds: float) -> None:
        try:
            new_token = self._exchanges.keep_alive(
                token=self._token(), deadline_seconds=EXCHANGE_DEADLINE_SECONDS
            )
        except AgentError as error:
            self._note_failure(str(error), error=error)
            return
        self._note_contact(started_seconds)
        if new_token is not None and new_token != self._token():
            self._change_token(new_token)
            self._status = replace(self._status, token_changes=self._status.token_changes + 1)
        self._status = replace(
            self._status, keepalives_accepted=self._status.keepalives_accepted + 1
        )
        moved_to = self._exchanges.moved_address(told=self._status.address)
        if moved_to is not None:
            logger.info(
                "own address changed platform=%s from=%s to=%s",
                self.identity.platform,
                self._status.address,
                moved_to,
            )
            self._cadence.address_changed(now_seconds=self._clock.monotonic())

    def _note_contact(self, started_seconds: float) -> None:
        now_seconds = self._clock.monotonic()
        status = self._status
        if status.misses_in_a_row:
            logger.info("keepalive accepted again platform=%s", self.identity.platform)
        worst = status.worst_gap_seconds
        if self._last_contact_seconds is not None:
            worst = max(worst or 0.0, now_seconds - self._last_contact_seconds)
        # The gap before the moment: a reader between the two lines sees it running, not gone.
        self._status = replace(
            status,
            worst_gap_seconds=worst,
            last_contact_at=self._clock.now(),
            misses_in_a_row=0,
        )
        self._last_contact_seconds = now_seconds
        self._cadence.contact_accepted(started_seconds=started_seconds)

    def _note_failure(self, reason: str, *, error: AgentError | None = None) -> None:
        """Take note of an exchange that was not accepted, and let the cadence go on from there."""
        if self._stopping.is_set():
            return
        now_seconds = self._clock.monotonic()
        refused = isinstance(error, PlatformRejected)
        wish = error.retry_after_seconds if isinstance(error, TransientError) else None
        was_registration = self._cadence.due.action is Action.REGISTER
        status = replace(self._status, last_error=reason, last_error_at=self._clock.now())
        if was_registration:
            self._status = replace(status, registrations_failed=status.registrations_failed + 1)
            self._cadence.registration_failed(
                now_seconds=now_seconds, refused=refused, retry_after_seconds=wish
            )
            self._change_state(
                SessionState.REFUSED if refused else SessionState.FAILING, reason=reason
            )
            return
        self._status = replace(status, keepalives_failed=status.keepalives_failed + 1)
        if refused:
            # A token that its own platform refuses opens no door here either.
            self._tokens = ()
            self._cadence.registration_lost(now_seconds=now_seconds)
        else:
            self._cadence.keepalive_missed(now_seconds=now_seconds)
        self._status = replace(self._status, misses_in_a_row=self._cadence.misses)
        if self._cadence.due.action is Action.REGISTER:
            self._change_state(SessionState.LOST, reason=reason)
        elif self._cadence.misses == 1:
            logger.warning("keepalive missed platform=%s reason=%s", status.name, reason)

    def _change_state(self, state: SessionState, *, reason: str) -> None:
        """Enter a state; only a change of state is worth a line in the log."""
        before = self._status.state
        if before is state:
            return
        self._status = replace(self._status, state=state)
        level = logging.INFO if state is SessionState.REGISTERED else logging.WARNING
        logger.log(
            level,
            "platform session changed platform=%s from=%s to=%s reason=%s",
            self.identity.platform,
            before.value,
            state.value,
            reason,
        )

    def _token(self) -> Secret | None:
        return next((held.token for held in self._tokens if held.until_seconds is None), None)

    def _change_token(self, token: Secret) -> None:
        until_seconds = self._clock.monotonic() + OLD_TOKEN_GRACE_SECONDS
        old = self._token()
        # One old token is enough: a platform that changes it faster does so for a reason.
        self._tokens = (
            _HeldToken(token=token),
            *(
                [_HeldToken(token=old, until_seconds=until_seconds)]
                if old is not None and old != token
                else []
            ),
        )
