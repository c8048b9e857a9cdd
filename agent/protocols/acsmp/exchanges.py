"""The three exchanges of clause 7 with one platform: each call asks once and decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from agent.errors import TransientError
from agent.model.clock import Clock
from agent.model.secret import Secret
from agent.protocols.acsmp import wire
from agent.protocols.acsmp.identity import AUTO, DeviceIdentity

SealPassword = Callable[[Secret], str]
_LEAST_DEADLINE_SECONDS = 0.1
_Decoded = TypeVar("_Decoded")


class Answer(Protocol):
    """Is what came back over HTTP."""

    @property
    def status(self) -> int:
        """Return the HTTP status."""

    @property
    def body(self) -> bytes:
        """Return the body."""

    @property
    def retry_after_seconds(self) -> float | None:
        """Return what the platform asked us to wait, None where it said nothing."""


class PlatformClient(Protocol):
    """Speaks HTTP with one platform."""

    def exchange(
        self,
        method: str,
        path: str,
        *,
        body: bytes,
        headers: Mapping[str, str],
        deadline_seconds: float,
    ) -> Answer:
        """Ask once, within the deadline for everything together; raises TransientError."""

    def local_address(self, *, deadline_seconds: float) -> str:
        """Return our address on the way to the platform; raises TransientError."""

    def route_address(self) -> str:
        """Return the same without waiting for anything; raises TransientError if unknown."""

    def close(self) -> None:
        """Give up what runs and close the connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Is what an accepted registration gave.

    `address` is what the platform was told.
    """

    token: Secret
    address: str


class Exchanges:
    """Asks one platform as one identity; one thread at a time."""

    def __init__(
        self,
        *,
        identity: DeviceIdentity,
        client: PlatformClient,
        seal_password: SealPassword,
        clock: Clock,
    ) -> None:
        self._identity = identity
        self._client = client
        self._seal_password = seal_password
        self._clock = clock

    def register(self, *, deadline_seconds: float) -> Registration:
        """Register (clause 7.1); a node that is registered already gets a new token.

        Raises:
            PlatformRejected: the platform said no.
            TransientError: there was no answer, or none that can be used.
            PermanentError: the key file or the password cannot be used.
        """
        end_seconds = self._clock.monotonic() + deadline_seconds
        identity = self._identity
        address = identity.address
        if address == AUTO:
            address = self._find_address(deadline_seconds=deadline_seconds / 2)
        body = wire.encode_register_request(
            computility_code=identity.computility_code,
            node_type=identity.node_type,
            address=address,
            port=identity.port,
            username=identity.username,
            password_text=self._seal_password(identity.password),
            supports_algorithm_services=identity.supports_algorithm_services,
        )
        # What the address and the encryption took is part of the same deadline.
        left_seconds = max(end_seconds - self._clock.monotonic(), _LEAST_DEADLINE_SECONDS)
        answer = self._post(
            wire.REGISTER_PATH, body=body, token=None, deadline_seconds=left_seconds
        )
        token = _with_wish(answer, wire.decode_register_response)
        return Registration(token=Secret(token), address=address)

    def keep_alive(self, *, token: Secret | None, deadline_seconds: float) -> Secret | None:
        """Keep alive (clause 7.3); returns the new token, None where the old one stays.

        Raises:
            PlatformRejected: the platform said no: register again.
            TransientError: there was no answer, or none that can be used.
        """
        body = wire.encode_keepalive_request(computility_code=self._identity.computility_code)
        answer = self._post(
            wire.KEEPALIVE_PATH, body=body, token=token, deadline_seconds=deadline_seconds
        )
        new_token = _with_wish(answer, wire.decode_keepalive_response)
        return None if new_token is None else Secret(new_token)

    def unregister(self, *, token: Secret | None, deadline_seconds: float) -> None:
        """Unregister (clause 7.2); without a token where none is at hand.

        Raises:
            PlatformRejected: the platform said no.
            TransientError: there was no answer, or none that can be used.
            PermanentError: the key file or the password cannot be used.
        """
        body = wire.encode_unregister_request(
            computility_code=self._identity.computility_code,
            username=self._identity.username,
            password_text=self._seal_password(self._identity.password),
        )
        answer = self._post(
            wire.UNREGISTER_PATH, body=body, token=token, deadline_seconds=deadline_seconds
        )
        _with_wish(answer, wire.decode_empty_response)

    def moved_address(self, *, told: str | None) -> str | None:
        """Return our address if it is no longer what the platform was told; None otherwise.

        Never waits. None for an address that was configured, and while no route is known.
        """
        if self._identity.address != AUTO:
            return None
        try:
            address = self._client.route_address()
        except TransientError:
            return None
        return None if address == told else address

    def _find_address(self, *, deadline_seconds: float) -> str:
        try:
            return self._client.local_address(deadline_seconds=deadline_seconds)
        except TransientError:
            # The resolver may be down while the platform's last address is still good.
            return self._client.route_address()

    def _post(
        self, path: str, *, body: bytes, token: Secret | None, deadline_seconds: float
    ) -> Answer:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token is not None:
            name, _, value = self._identity.token_header.partition(": ")
            headers[name] = value.replace("{token}", token.reveal())
        return self._client.exchange(
            "POST", path, body=body, headers=headers, deadline_seconds=deadline_seconds
        )


def _with_wish(answer: Answer, decode: Callable[..., _Decoded]) -> _Decoded:
    """Decode an answer, and hand on with an error how long the platform asks us to wait."""
    try:
        return decode(answer.body, status=answer.status)
    except TransientError as error:
        if answer.retry_after_seconds is None:
            raise
        raise TransientError(
            error.reason, retry_after_seconds=answer.retry_after_seconds
        ) from error
