"""Lets nobody further without credentials, neither a request nor a large upload."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import falcon

from agent.model.clock import Clock
from agent.protocols.acsmp import multipart
from agent.protocols.acsmp.access import CHALLENGES, Access, HeaderLookup
from agent.protocols.acsmp.identity import DeviceIdentity, PlatformToken
from agent.security.login_guard import LoginGuard
from agent.transport.refusals import Refusal
from agent.transport.uploads import UploadAllowance

logger = logging.getLogger(__name__)

HEALTH_PATH = "/healthz"
# What the listener hands on of an upload that was let in at its headers.
_GRANTED_TO = "computility.granted_to"
# A gigabyte would take a day below this: no upload, but a way to keep a place.
UPLOAD_MINIMUM_BYTES_PER_SECOND = 12 * 1024
# Boundaries and fields around the file.
_FORM_BYTES = 1024 * 1024


class Gate:
    """Is the middleware that finds out who calls, or refuses; safe in every thread.

    It runs before routing: who may not enter does not learn which paths exist.
    """

    def __init__(
        self,
        identities: Sequence[DeviceIdentity],
        *,
        tokens: Callable[[], Iterable[PlatformToken]],
        clock: Clock,
    ) -> None:
        self._access = Access(identities, tokens=tokens)
        self._guard = LoginGuard(clock=clock)

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Find out who calls, or refuse."""
        # What a node has changes all the time; no proxy on the way may keep an answer.
        response.set_header("Cache-Control", "no-store")
        if request.path == HEALTH_PATH:
            return
        # An upload may outlast the token with which it began.
        granted_to = request.env.get(_GRANTED_TO)
        if granted_to is None:
            granted_to = self.identities(request.get_header, address=request.remote_addr)
        request.context.identities = granted_to

    def identities(self, header: HeaderLookup, *, address: str) -> tuple[DeviceIdentity, ...]:
        """Return as what this node is known to the caller with these headers; never none.

        Raises:
            HTTPUnauthorized: there are no credentials, or wrong ones.
            HTTPTooManyRequests: too many wrong ones came from this address.
        """
        if not self._access.has_credentials(header):
            raise _unauthorized("this needs the registered user and password, or the token")
        wait_seconds = self._guard.wait_seconds(address)
        if wait_seconds > 0:
            raise falcon.HTTPTooManyRequests(
                description="too many failed logins from this address; wait, then try again",
                retry_after=math.ceil(wait_seconds),
            )
        identities = self._access.identities_of(header)
        if not identities:
            if self._guard.failed(address):
                logger.warning("login to the device API failed address=%s", address)
            elif self._guard.wait_seconds(address) > 0:
                logger.warning("logins to the device API are slowed down address=%s", address)
            raise _unauthorized("wrong user, password or token")
        return identities


class UploadAdmission:
    """Decides who may send a package as a large form; asked at the end of the headers."""

    def __init__(self, gate: Gate, *, paths: Sequence[str], package_maximum_bytes: int) -> None:
        self._gate = gate
        self._paths = frozenset(paths)
        self._maximum_bytes = package_maximum_bytes + _FORM_BYTES

    def admit(
        self, method: str, path: str, headers: Mapping[str, str], peer: str
    ) -> UploadAllowance | Refusal | None:
        """Return the allowance; a refusal for wrong credentials; None for what is no upload."""
        if method != "POST" or path.removesuffix("/") not in self._paths:
            return None
        if not multipart.is_form(headers.get("CONTENT_TYPE")):
            return None
        try:
            identities = self._gate.identities(
                lambda name: headers.get(name.upper().replace("-", "_")), address=peer
            )
        except falcon.HTTPError as error:
            return Refusal(
                status=error.status_code,
                message=error.description or "",
                headers=tuple(dict(error.headers or {}).items()),
            )
        return UploadAllowance(
            maximum_bytes=self._maximum_bytes,
            minimum_bytes_per_second=UPLOAD_MINIMUM_BYTES_PER_SECOND,
            granted_to=identities,
        )


def _unauthorized(message: str) -> falcon.HTTPUnauthorized:
    return falcon.HTTPUnauthorized(description=message, challenges=CHALLENGES)
