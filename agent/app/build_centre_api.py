"""Builds the part of the agent that monitoring platforms ask about its centre (TC609 annex B)."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from agent.app import signing
from agent.app.centre import members as centre_members
from agent.app.centre import users as centre_users
from agent.app.centre.operational_sources import OperationalSources
from agent.app.held import Held
from agent.app.parts import PartPlan, Service
from agent.app.wiring import Wiring
from agent.config.centre_settings import CentreSettings
from agent.config.kinds import split_listen
from agent.config.settings import Settings
from agent.config.tls_settings import ServerTlsSettings
from agent.model.metering import CentreHour
from agent.model.operations import CentreLoad
from agent.protocols.tc609.query_api import (
    MAXIMUM_BODY_BYTES,
    QueryOptions,
    create_application,
    server_error_body,
)
from agent.protocols.tc609.question_rate import QuestionRate
from agent.protocols.tc609.questions import CentreNames
from agent.protocols.tc609.sign import Verifier
from agent.protocols.tc609.sign_options import Scheme, SignOptions
from agent.protocols.tc609.tokens import TokenStore
from agent.protocols.tc609.users import Users
from agent.security import tls
from agent.transport.server import HttpServer, ServerLimits

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LIMITS = ServerLimits(max_body_bytes=MAXIMUM_BODY_BYTES, connections=128)


def parts(settings: Settings, centre: CentreSettings, *, wiring: Wiring) -> tuple[PartPlan, ...]:
    """Return the sources of the operational data, and the listener of the questions.

    Raises:
        PermanentError: a key or the map of members cannot be used.
    """
    return (
        _sources(settings, centre, wiring=wiring),
        _query_api(centre, wiring=wiring),
    )


def _sources(settings: Settings, centre: CentreSettings, *, wiring: Wiring) -> PartPlan:
    codes = frozenset(
        {settings.node.code, *(each.code for each in settings.acsmp if each.code is not None)}
    )
    return PartPlan(
        name="operational sources",
        key=(centre.sources, codes),
        build=lambda: Held(
            OperationalSources(centre.sources, codes=codes, view=wiring.view, clock=wiring.clock),
            wiring=wiring,
            name="operational_sources",
        ),
    )


def _query_api(centre: CentreSettings, *, wiring: Wiring) -> PartPlan:
    sign = signing.options(centre.sign, section="centre.sign")
    # What a running listener could not take to must be known before it is asked to.
    centre_members.of(centre.members)
    for user in centre.users:
        centre_users.check(user)
    socket_key = (centre.listen, centre.tls)

    def build() -> Service:
        return _QueryApi(centre, sign=sign, key=socket_key, wiring=wiring)

    def update(service: Service) -> bool:
        # Another user or secret is no reason to close anybody's connection.
        if not isinstance(service, _QueryApi) or service.key != socket_key:
            return False
        service.change(centre, sign=sign)
        return True

    key = (
        socket_key,
        sign,
        centre.id,
        centre.name,
        centre.users,
        centre.token_seconds,
        centre.sign_login,
        centre.http_statuses,
        centre.hour,
        centre.members,
    )
    return PartPlan(name="query API", key=key, build=build, update=update)


class _QueryApi:
    """Is the listener of the questions, whose application can be changed while it serves.

    What the platforms have survives a change that does not concern it: tokens while users and
    their lifetime are the same, the nonces that were seen while the signature is.
    """

    def __init__(
        self, centre: CentreSettings, *, sign: SignOptions, key: object, wiring: Wiring
    ) -> None:
        self.key = key
        self._wiring = wiring
        self._centre, self._sign = centre, sign
        self._users = self._make_users(centre)
        self._tokens = self._make_tokens(centre)
        self._verifier = self._make_verifier(sign)
        self._rate = QuestionRate(clock=wiring.clock)
        self._application: Callable[..., Iterable[bytes]] = self._make_application()
        server = HttpServer(
            self._serve,
            listen=split_listen(centre.listen),
            limits=LIMITS,
            ssl_context=_ssl_context(centre.tls),
            error_body=server_error_body,
            name="query-api",
        )
        self._held = Held(server, wiring=wiring, name="query_server")

    def start(self) -> None:
        self._held.start()

    def stop(self, *, timeout_seconds: float) -> None:
        self._held.stop(timeout_seconds=timeout_seconds)

    def change(self, centre: CentreSettings, *, sign: SignOptions) -> None:
        """Serve by other settings from the next question on."""
        former, self._centre = self._centre, centre
        if centre.users != former.users:
            self._users = self._make_users(centre)
        # A token of a user who is gone, or whose password was changed, must not go on opening.
        if (centre.users, centre.token_seconds) != (former.users, former.token_seconds):
            self._tokens = self._make_tokens(centre)
        if sign != self._sign:
            self._sign, self._verifier = sign, self._make_verifier(sign)
        self._application = self._make_application()

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._application(environ, start_response)

    def _make_users(self, centre: CentreSettings) -> Users:
        return Users(centre_users.hashes(centre.users), clock=self._wiring.clock)

    def _make_tokens(self, centre: CentreSettings) -> TokenStore:
        return TokenStore(clock=self._wiring.clock, lifetime_seconds=centre.token_seconds)

    def _make_verifier(self, sign: SignOptions) -> Verifier | None:
        if sign.scheme is Scheme.NONE:
            return None
        return Verifier(sign, clock=self._wiring.clock)

    def _make_application(self) -> Callable[..., Iterable[bytes]]:
        centre, wiring = self._centre, self._wiring
        return create_application(
            options=QueryOptions(
                names=CentreNames(centre_id=centre.id, centre_name=centre.name),
                signs_token_request=centre.sign_login,
                uses_http_statuses=centre.http_statuses,
            ),
            users=self._users,
            tokens=self._tokens,
            verifier=self._verifier,
            members=centre_members.of(centre.members),
            latest_hour=lambda: _latest_hour(wiring, rolling=centre.hour == "rolling"),
            operational=lambda: _operational(wiring),
            answered=wiring.query_answers.add,
            rate=self._rate,
        )


def _latest_hour(wiring: Wiring, *, rolling: bool) -> CentreHour | None:
    service = wiring.centre
    return None if service is None else service.centre.latest_hour(rolling=rolling)


def _operational(wiring: Wiring) -> CentreLoad | None:
    sources = wiring.operational_sources
    return None if sources is None else sources.load()


def _ssl_context(settings: ServerTlsSettings | None) -> ssl.SSLContext | None:
    if settings is None:
        return None
    return tls.server_context(
        settings.certificate, private_key=settings.private_key, client_ca=settings.client_ca
    )
