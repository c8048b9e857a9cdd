"""Asks one centre: a token (A.1), its load (B.1), its hour (B.2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from agent.simulator.device_client import (
    Call,
    Device,
    DeviceClient,
    DeviceFailure,
    client_context,
)
from agent.simulator.monitoring import tables
from agent.simulator.monitoring.codes import Code
from agent.simulator.monitoring.judgement import Judged, judge
from agent.simulator.monitoring.settings import AskedCentre
from agent.simulator.monitoring.signing import Signing
from agent.simulator.rows import Table

ANSWER_BYTES_MAXIMUM = 1024 * 1024
QUESTIONS: Mapping[str, Table] = {
    "queryOperationalData": tables.OPERATIONAL_ANSWER,
    "querySupervisionSystemData": tables.SUPERVISION_ANSWER,
}
_RENEWAL_RATIO = 0.8
_PORTS = {"http": 80, "https": 443}


class BadCentre(ValueError):  # noqa: N818 - named by what the caller must mend
    """Says why a centre cannot be asked as it was described."""


@dataclass(slots=True)
class _Token:
    text: str
    renew_at_seconds: float


class CentreClient:
    """Asks one centre, one question at a time.

    The token is kept for 80 % of its time, and fetched anew once where the centre refuses it.

    Raises:
        BadCentre: the address is none, or neither id nor name is there.
    """

    def __init__(
        self,
        asked: AskedCentre,
        *,
        signing: Signing | None,
        monotonic: Callable[[], float],
        timeout_seconds: float,
        ca_file: Path | None,
    ) -> None:
        self._asked = asked
        self._signing = signing
        self._monotonic = monotonic
        self._token: _Token | None = None
        if asked.centre_id is None and not asked.centre_name:
            raise BadCentre("a centre needs an id or a name: centerId or centerName is mandatory")
        try:
            parts = urlsplit(asked.url)
            port = parts.port
        except ValueError as error:
            raise BadCentre(f"{asked.url[:60]!r} is no URL: {error}") from error
        if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment:
            raise BadCentre(f"{asked.url[:60]!r} is not http://ADDRESS:PORT")
        self._centre = Device(
            address=parts.hostname, port=port or _PORTS[parts.scheme], username="", password=""
        )
        self._client = DeviceClient(
            prefix=parts.path.rstrip("/"),
            timeout_seconds=timeout_seconds,
            body_bytes_maximum=ANSWER_BYTES_MAXIMUM,
            ssl_context=None
            if parts.scheme == "http"
            else client_context(ca_file=None if ca_file is None else str(ca_file)),
        )

    def ask(self, question: str) -> Judged:
        """Return the judged answer to one of `QUESTIONS`.

        Raises:
            DeviceFailure: there was none in time, it was no JSON, or the login gave no token.
        """
        judged = self._question(question, token=self._current_token())
        if judged.code == Code.TOKEN_INVALID:
            self._token = None
            judged = self._question(question, token=self._current_token())
        return judged

    def _question(self, question: str, *, token: str) -> Judged:
        named = {"centerId": self._asked.centre_id, "centerName": self._asked.centre_name}
        given = {name: str(value) for name, value in named.items() if value is not None}
        query = urlencode(given, quote_via=quote)
        # The standard names no header for the token.
        headers = {"Authorization": f"Bearer {token}", "token": token}
        if self._signing is not None:
            headers |= self._signing.headers(query=query, body=b"")
        call = Call(method="GET", path=f"/api/{question}?{query}", headers=headers)
        _, answer = self._client.call(self._centre, call)
        return judge(answer, QUESTIONS[question])

    def _current_token(self) -> str:
        if self._token is None or self._monotonic() >= self._token.renew_at_seconds:
            self._token = self._log_in()
        return self._token.text

    def _log_in(self) -> _Token:
        asked_at = self._monotonic()
        login = {"username": self._asked.username, "password": self._asked.password}
        body = json.dumps(login, ensure_ascii=False).encode()
        headers: Mapping[str, str] = {}
        if self._signing is not None and self._signing.signs_login:
            headers = self._signing.headers(query="", body=body)
        _, answer = self._client.call(
            self._centre, Call(method="POST", path="/api/token", body=body, headers=headers)
        )
        judged = judge(answer, tables.TOKEN_ANSWER)
        if not judged.is_valid:
            problems = "; ".join(str(each) for each in judged.findings if each.fatal)
            raise DeviceFailure(f"the answer to the login broke the tables: {problems[:1000]}")
        if not judged.is_success:
            raise DeviceFailure(f"refused the login with {judged.code}: {judged.message!r}")
        lifetime_seconds = judged.value["expiresIn"]
        token = judged.value["token"]
        if not all(32 < ord(each) < 127 for each in token):
            raise DeviceFailure("gave a token that no header can carry")
        return _Token(token, asked_at + lifetime_seconds * _RENEWAL_RATIO)
