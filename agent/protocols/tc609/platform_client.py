"""Calls one monitoring platform (TC609 annex A)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from agent.errors import PermanentError, RequestError, TransientError
from agent.model.clock import Clock
from agent.model.secret import Secret
from agent.protocols.tc609 import wire_answers, wire_reports
from agent.protocols.tc609.declared import DeclaredCentre, DeclaredProject
from agent.protocols.tc609.wire_answers import (
    FoundCentre,
    FoundProject,
    FoundReport,
    TokenRefused,
)

_RENEWAL_RATIO = 0.8
BEARER = "Authorization: Bearer {token}"


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


class Http(Protocol):
    """Speaks HTTP with one platform."""

    def exchange(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None,
        headers: Mapping[str, str],
        deadline_seconds: float,
        is_repeatable: bool = True,
    ) -> Answer:
        """Ask once, within the deadline for everything together; raises TransientError."""

    def close(self) -> None:
        """Give up what runs and close the connections."""


class Signs(Protocol):
    """Signs requests."""

    def headers(self, *, query: str = "", body: bytes = b"") -> Mapping[str, str]:
        """Return the headers that sign a request; raises RequestError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Is how a platform lets us in.

    Each of `token_headers` is "Name: text" with `{token}` where the token stands; the standard
    names no header. `signs_login` says that A.1 is signed, too.
    """

    username: str
    password: Secret
    token_headers: Sequence[str] = (BEARER,)
    signs_login: bool = False


@dataclass(slots=True, kw_only=True)
class _Token:
    secret: Secret
    renew_at: float = field(default=0.0)


class PlatformClient:
    """Asks one monitoring platform; safe in every thread.

    The token is renewed after 80 % of its time, and once where the platform refuses it. Every
    method raises TransientError where there was no verdict, PermanentError where user, permission
    or signature have to be mended, and PlatformRejected where this one request was refused.
    `investment_group` is the name of 算力投入 on the wire; None where its members stand in the
    project itself.
    """

    def __init__(
        self,
        http: Http,
        *,
        access: Access,
        signer: Signs | None,
        clock: Clock,
        investment_group: str | None,
        deadline_seconds: float = 30.0,
    ) -> None:
        self._http = http
        self._access = access
        self._signer = signer
        self._clock = clock
        self._investment_group = investment_group
        self._deadline_seconds = deadline_seconds
        self._lock = threading.Lock()
        self._token: _Token | None = None

    def find_projects(
        self, *, name: str | None = None, identifier: int | None = None
    ) -> tuple[FoundProject, ...]:
        """Return the projects of a name or an id (A.4), or all that the user may see."""
        query = {"projectName": name, "id": identifier}
        fields = self._get(wire_reports.PROJECT_PATH, query)
        return wire_answers.decode_projects(fields, group=self._investment_group)

    def create_project(self, project: DeclaredProject) -> int | None:
        """Create a project (A.2) and return its id, None where the answer holds none.

        Sent once; after a TransientError the project may have come to be.
        """
        body = wire_reports.encode_project_creation(project, group=self._investment_group)
        fields = self._send("POST", wire_reports.PROJECT_PATH, body=body, is_repeatable=False)
        return wire_answers.decode_identifier(fields)

    def change_project(self, project: DeclaredProject, *, identifier: int | None) -> None:
        """Change a project (A.3), found by its id, or by its name where that is None."""
        body = wire_reports.encode_project_change(
            project, identifier=identifier, group=self._investment_group
        )
        self._send("PUT", wire_reports.PROJECT_PATH, body=body)

    def find_centres(
        self, *, name: str | None = None, identifier: int | None = None
    ) -> tuple[FoundCentre, ...]:
        """Return the centres of a name or an id (A.7), or all that the user may see."""
        fields = self._get(wire_reports.CENTRE_PATH, {"name": name, "id": identifier})
        return wire_answers.decode_centres(fields)

    def create_centre(self, centre: DeclaredCentre, *, project_ids: Sequence[int]) -> int | None:
        """Create a centre (A.5) and return its id, None where the answer holds none.

        Sent once; after a TransientError the centre may have come to be.
        """
        body = wire_reports.encode_centre_creation(centre, project_ids=project_ids)
        fields = self._send("POST", wire_reports.CENTRE_PATH, body=body, is_repeatable=False)
        return wire_answers.decode_identifier(fields)

    def change_centre(
        self, centre: DeclaredCentre, *, identifier: int | None, project_ids: Sequence[int]
    ) -> None:
        """Change a centre (A.6), found by its id, or by its name where that is None."""
        body = wire_reports.encode_centre_change(
            centre, identifier=identifier, project_ids=project_ids
        )
        self._send("PUT", wire_reports.CENTRE_PATH, body=body)

    def send_month_report(self, body: bytes) -> None:
        """Report a month (A.8); the same month again takes the place of the earlier report."""
        self._send("POST", wire_reports.REPORT_PATH, body=body)

    def find_month_reports(
        self, *, centre_id: int | None = None, month: str | None = None
    ) -> tuple[FoundReport, ...]:
        """Return the months of a centre (A.9); without id and month all that the user may see."""
        query = {"centerId": centre_id, "reportMonth": month}
        return wire_answers.decode_reports(self._get(wire_reports.REPORT_QUERY_PATH, query))

    def close(self) -> None:
        """Give up what runs and close the connections."""
        self._http.close()

    def _get(self, path: str, query: Mapping[str, object]) -> Mapping[str, Any]:
        given = {name: str(value) for name, value in query.items() if value is not None}
        # A blank as %20: not every platform takes a plus for one.
        return self._send("GET", path, query=urlencode(given, quote_via=quote))

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: bytes | None = None,
        is_repeatable: bool = True,
    ) -> Mapping[str, Any]:
        end_seconds = self._clock.monotonic() + self._deadline_seconds

        def attempt(token: _Token) -> Mapping[str, Any]:
            headers = dict(self._signature(query=query, body=body))
            for template in self._access.token_headers:
                name, _, value = template.partition(":")
                headers[name.strip()] = value.strip().replace("{token}", token.secret.reveal())
            return self._ask(
                method,
                path,
                query=query,
                body=body,
                headers=headers,
                end_seconds=end_seconds,
                is_repeatable=is_repeatable,
            )

        token = self._current_token(end_seconds=end_seconds)
        try:
            return attempt(token)
        except TokenRefused:
            # It was refused before anything was done, so this may be sent again whatever it is.
            self._drop(token)
        token = self._current_token(end_seconds=end_seconds)
        try:
            return attempt(token)
        except TokenRefused as error:
            self._drop(token)
            raise TransientError(
                f"the platform refuses the token that it gave just now ({error}): is token_header "
                "the one that it reads?"
            ) from error

    def _current_token(self, *, end_seconds: float) -> _Token:
        # One login at a time: the others wait for its token.
        with self._lock:
            if self._token is None or self._clock.monotonic() >= self._token.renew_at:
                self._token = None
                self._token = self._log_in(end_seconds=end_seconds)
            return self._token

    def _drop(self, token: _Token) -> None:
        with self._lock:
            if self._token is token:
                self._token = None

    def _log_in(self, *, end_seconds: float) -> _Token:
        asked_at = self._clock.monotonic()
        body = wire_reports.encode_token_request(
            username=self._access.username, password=self._access.password.reveal()
        )
        headers = self._signature(query="", body=body) if self._access.signs_login else {}
        try:
            fields = self._ask(
                "POST",
                wire_reports.TOKEN_PATH,
                query="",
                body=body,
                headers=headers,
                end_seconds=end_seconds,
                is_repeatable=True,
            )
        except TokenRefused as error:
            raise PermanentError(
                f"the platform refuses the login ({error}): check username and password_file"
            ) from error
        granted = wire_answers.decode_token(fields)
        return _Token(
            secret=Secret(granted.token), renew_at=asked_at + granted.seconds * _RENEWAL_RATIO
        )

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: str,
        body: bytes | None,
        headers: Mapping[str, str],
        end_seconds: float,
        is_repeatable: bool,
    ) -> Mapping[str, Any]:
        left_seconds = end_seconds - self._clock.monotonic()
        if left_seconds <= 0:
            raise TransientError(f"no answer within {self._deadline_seconds:g} s")
        kinds = {"Accept": "application/json"}
        if body is not None:
            kinds["Content-Type"] = "application/json; charset=utf-8"
        answer = self._http.exchange(
            method,
            f"{path}?{query}" if query else path,
            body=body,
            headers={**kinds, **headers},
            deadline_seconds=left_seconds,
            is_repeatable=is_repeatable,
        )
        return wire_answers.decode_answer(
            answer.body, status=answer.status, retry_after_seconds=answer.retry_after_seconds
        )

    def _signature(self, *, query: str, body: bytes | None) -> Mapping[str, str]:
        if self._signer is None:
            return {}
        try:
            return self._signer.headers(query=query, body=body or b"")
        except RequestError as error:
            raise PermanentError(f"the request cannot be signed: {error.reason}") from error
