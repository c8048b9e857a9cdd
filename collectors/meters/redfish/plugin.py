"""The kind `redfish`: servers, chassis and PDUs by their management controllers."""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from agent.contracts import Meter
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.clock import Clock, SystemClock
from agent.model.metering import MeterReading, RegisterTraits
from collectors.meters.redfish import parse, walk
from collectors.meters.redfish.parse import Resource
from collectors.meters.secret_files import read_secret
from collectors.meters.web import WebAnswer, WebClient, WebServer

_SESSIONS = f"{walk.ROOT}/SessionService/Sessions"
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404
_MOST_QUESTIONS = 300
_GOODBYE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RedfishConfig:
    """Says which service is asked, what of it counts, and who asks.

    `members` names those of `source` that are added up; none means all that stand in no other.
    `power_control` names the entries of an old resource Power that are added up. Without `user`
    nothing is proved; `login: session` begins a session in place of sending the password each time.
    """

    url: str = ""
    source: Literal["chassis", "rack_pdus", "floor_pdus", "power_shelves", "switchgear"] = "chassis"
    members: Annotated[list[str], Meta(max_length=64)] | None = None
    power_control: Annotated[list[str], Meta(max_length=64)] | None = None
    user: str = ""
    password_file: str | None = None
    login: Literal["basic", "session"] = "basic"
    ca_file: str | None = None
    fingerprint_sha256: str | None = None
    timeout_seconds: Annotated[float, Meta(ge=0.1, le=120)] = 20.0


class RedfishMeter:
    """Reads the energy and the power of chassis or PDUs; all or nothing of what it adds up."""

    name: ClassVar[str] = "redfish"
    config_type: ClassVar[type[RedfishConfig]] = RedfishConfig

    def __init__(self, config: RedfishConfig, *, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._client = WebClient(
            WebServer(
                url=config.url,
                ca_file=config.ca_file,
                fingerprint_sha256=config.fingerprint_sha256,
            )
        )
        self._token: str | None = None
        self._session: str | None = None
        self._deadline = 0.0
        self._questions = 0

    def probe(self) -> None:
        """Return if address and password are there; asks nobody.

        Raises:
            NotPresent: they are not.
        """
        try:
            self._client.check()
            if self._config.user:
                self._password()
        except ReadingUnavailable as error:
            raise NotPresent(error.reason, hint=error.hint) from error

    def read(self) -> MeterReading:
        """Return register and power; raises ReadingUnavailable if neither is told in time."""
        self._deadline = time.monotonic() + self._config.timeout_seconds
        self._questions = 0
        self._client.check()
        taken_at = self._clock.now()
        told = walk.read(
            self._fetch,
            source=self._config.source,
            names=self._config.members or (),
            power_control=self._config.power_control or (),
        )
        return MeterReading(
            taken_at=taken_at,
            energy_joules=told.joules,
            power_watts=told.watts,
            reset_marker=told.marker,
            unknown={**told.unknown, "water_millilitres": "not told over Redfish"},
        )

    def traits(self) -> RegisterTraits:
        """Return what is known of the register: nothing that holds for every maker."""
        return RegisterTraits()

    def close(self) -> None:
        """End the session and close the connection."""
        token, self._token = self._token, None
        session, self._session = self._session, None
        if token is not None and session is not None:
            deadline = time.monotonic() + _GOODBYE_SECONDS
            # What is not ended here the service ends by itself after a while.
            with suppress(ReadingUnavailable):
                self._client.ask(
                    "DELETE", session, headers={"X-Auth-Token": token}, deadline=deadline
                )
        self._client.close()

    def _fetch(self, path: str) -> Resource:
        self._questions += 1
        if self._questions > _MOST_QUESTIONS:
            raise ReadingUnavailable(
                f"more than {_MOST_QUESTIONS} questions for one reading",
                hint="name in members what measures",
            )
        had_token = self._token is not None
        answer = self._get(path)
        if answer.status == _UNAUTHORIZED and had_token:
            # A session ends by itself after a while.
            self._token = self._session = None
            answer = self._get(path)
        if answer.status in {_UNAUTHORIZED, _FORBIDDEN}:
            raise ReadingUnavailable(
                f"{path}: refused (HTTP {answer.status})", hint="check user and password_file"
            )
        if answer.status == _NOT_FOUND:
            raise ReadingUnavailable(f"{path} is not there", hint="check source and members")
        if answer.status != _OK:
            raise ReadingUnavailable(f"{path}: HTTP {answer.status}")
        try:
            return parse.resource(answer.body)
        except ValueError as error:
            raise ReadingUnavailable(
                f"{path} is no JSON of Redfish", hint="is the url that of a Redfish service?"
            ) from error

    def _get(self, path: str) -> WebAnswer:
        headers = {"Accept": "application/json", "OData-Version": "4.0", **self._proof()}
        return self._client.ask("GET", path, headers=headers, deadline=self._deadline)

    def _proof(self) -> dict[str, str]:
        config = self._config
        if not config.user:
            return {}
        if config.login == "session":
            return {"X-Auth-Token": self._token or self._begin_session()}
        pair = f"{config.user}:{self._password()}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    def _begin_session(self) -> str:
        body = json.dumps({"UserName": self._config.user, "Password": self._password()}).encode()
        answer = self._client.ask(
            "POST",
            _SESSIONS,
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            deadline=self._deadline,
            body=body,
        )
        token = answer.headers.get("x-auth-token", "")
        if not 200 <= answer.status < 300 or not token or not token.isascii():
            raise ReadingUnavailable(
                f"no session is begun (HTTP {answer.status})",
                hint="check user and password_file, or set login: basic",
            )
        location = answer.headers.get("location", "")
        self._session = parse.link({"@odata.id": location[location.find("/redfish") :]})
        self._token = token
        return token

    def _password(self) -> str:
        if self._config.password_file is None:
            raise ReadingUnavailable("a user without a password", hint="set password_file")
        return read_secret(self._config.password_file).reveal()


_conforms: type[Meter] = RedfishMeter
