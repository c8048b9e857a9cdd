"""The way to one platform, step by step: name, route, connection, TLS, and who answers there."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

from agent.app import platforms
from agent.app.doctor import clock as clocks
from agent.app.doctor.check import Check, Finding, failed, ok, skipped, warning
from agent.errors import AgentError, PlatformRejected, TransientError
from agent.model.clock import Clock
from agent.protocols.acsmp import wire
from agent.transport import client as http
from agent.transport import exchange, failures
from agent.transport.answer import HttpAnswer

DNS, ROUTE, CONNECT, TLS = "dns", "route", "connect", "tls"
ANSWER, DATE = "platform answer", "clock against platform"
SOON = timedelta(days=30)
_STEP_SECONDS = 8.0
# No node has it: what a platform does with it touches no registration.
NOBODY = "0" * 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Is a platform to be reached; `speaks_acsmp` where it is one of T/BAX 0006.5."""

    subject: str
    url: str
    ca_file: str | None = None
    client_certificate: str | None = None
    client_private_key: str | None = None
    address: str = "auto"
    speaks_acsmp: bool = True

    @property
    def host(self) -> str:
        """Return the host of the URL."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Return the port of the URL."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)


@dataclass(slots=True, kw_only=True)
class Way:
    """Is what the steps have found so far; each is written by one step and read by later ones."""

    target: Target
    clock: Clock
    resolve: exchange.Resolver = exchange.resolve
    addresses: Sequence[tuple[Any, ...]] = field(default_factory=list)
    answer: HttpAnswer | None = None

    def dns(self) -> Finding:
        """Find the addresses of the platform's host."""
        host, port = self.target.host, self.target.port
        try:
            self.addresses = list(self.resolve(host, port))
        except OSError as error:
            return failed(
                f"the name {host} was not found ({error.strerror or error})",
                advice="look at url and at /etc/resolv.conf; where there is no DNS server, put "
                "the address into /etc/hosts",
            )
        texts = list(dict.fromkeys(str(each[4][0]) for each in self.addresses))
        if not any(each[0] == socket.AF_INET for each in self.addresses):
            return warning(
                f"{host} has no IPv4 address: {', '.join(texts)}",
                advice="the standard's field IP is an IPv4 address: set node.address",
            )
        return ok(f"{host} is {', '.join(texts)}")

    def route(self) -> Finding:
        """Find our own address on the way, which the platform is told."""
        address = _ipv4(self.addresses)
        if address is None:
            return skipped(f"{self.target.host} has no IPv4 address")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((address, self.target.port))
            except OSError as error:
                return failed(
                    f"no route to {address} ({error.strerror})",
                    advice="connect the network, or set a gateway: ip route; ip address",
                )
            own = str(probe.getsockname()[0])
        if self.target.address == "auto":
            return ok(f"our address on the way is {own}")
        if self.target.address == own:
            return ok(f"our address on the way is {own}, as node.address says")
        return warning(
            f"our address on the way is {own}, the platform is told {self.target.address}",
            advice="right behind a NAT; otherwise remove node.address",
        )

    def connect(self) -> Finding:
        """Open a TCP connection, and close it again."""
        began = self.clock.monotonic()
        try:
            with self._connected():
                taken = self.clock.monotonic() - began
        except OSError as error:
            return self._unreachable(error, stage="connecting")
        return ok(f"{self.target.host}:{self.target.port} accepts in {taken * 1000:.0f} ms")

    def tls(self) -> Finding:
        """Agree on TLS and look at the certificate, as the agent itself does."""
        target = self.target
        if not target.url.startswith("https:"):
            return warning(
                "plain HTTP: the token and what is reported are readable on the way",
                advice="ask the platform for its https:// address, or use a tunnel",
            )
        context = http.tls_context(
            ca_file=target.ca_file,
            certificate=target.client_certificate,
            private_key=target.client_private_key,
        )
        try:
            with (
                self._connected() as sock,
                context.wrap_socket(sock, server_hostname=target.host) as secured,
            ):
                certificate, version = secured.getpeercert(), secured.version()
        except OSError as error:
            return self._unreachable(error, stage="agreeing on TLS")
        return judge_certificate(certificate, version=version, now=self.clock.now())

    def ask(self) -> Finding:
        """Send a keepalive of nobody: what speaks the standard refuses it."""
        target = self.target
        if not target.speaks_acsmp:
            return skipped("how this platform answers is seen at the next report only")
        client = http.HttpClient(
            base_url=target.url,
            user_agent=platforms.USER_AGENT,
            ca_file=target.ca_file,
            client_certificate=target.client_certificate,
            client_private_key=target.client_private_key,
        )
        try:
            self.answer = client.exchange(
                "POST",
                wire.KEEPALIVE_PATH,
                body=wire.encode_keepalive_request(computility_code=NOBODY),
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                deadline_seconds=_STEP_SECONDS,
            )
        finally:
            client.close()
        return judge_answer(self.answer)

    def date(self) -> Finding:
        """Compare our clock with the Date of the platform's answer."""
        date = None if self.answer is None else self.answer.headers.get("date")
        return clocks.against(date, now=self.clock.now(), whose="the platform")

    def _connected(self) -> socket.socket:
        """Return a connection to the first address that takes one."""
        fault: OSError | None = None
        for family, kind, protocol, _, address in self.addresses:
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(_STEP_SECONDS / 2)
            try:
                sock.connect(address)
            except OSError as error:
                sock.close()
                fault = error
            else:
                return sock
        raise fault or OSError("no address")

    def _unreachable(self, error: Exception, *, stage: str) -> Finding:
        host, port = self.target.host, self.target.port
        words = failures.describe(error, host=host, port=port, stage=stage)
        if isinstance(error, ssl.SSLError):
            return failed(words, advice="look at url, ca_file and client_certificate")
        return failed(
            words,
            advice="ask for the right address and port, and whether a firewall stands between: "
            f"curl -v {self.target.url}",
        )


def chain(
    target: Target, *, clock: Clock, resolve: exchange.Resolver = exchange.resolve
) -> list[Check]:
    """Return the checks of one platform, in the order in which each needs the one before."""
    way = Way(target=target, clock=clock, resolve=resolve)

    def step(name: str, look: Callable[[], Finding], *needs: str) -> Check:
        return Check(
            name=name,
            subject=target.subject,
            look=look,
            needs=needs,
            deadline_seconds=_STEP_SECONDS + 1,
        )

    return [
        step(DNS, way.dns),
        step(ROUTE, way.route, DNS),
        step(CONNECT, way.connect, DNS),
        step(TLS, way.tls, CONNECT),
        step(ANSWER, way.ask, CONNECT, TLS),
        step(DATE, way.date, ANSWER),
    ]


def judge_certificate(certificate: object, *, version: str | None, now: datetime) -> Finding:
    """Return how long a certificate that was verified is still good. Pure."""
    ends = certificate.get("notAfter") if isinstance(certificate, dict) else None
    if not isinstance(ends, str):
        return ok(f"{version}, verified")
    moment = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), timezone.utc)
    found = f"{version}, verified, certificate good until {moment:%Y-%m-%d}"
    if moment - now < SOON:
        return warning(found, advice="it ends soon: whoever runs that server has to renew it")
    return ok(found)


def judge_answer(answer: HttpAnswer) -> Finding:
    """Return whether an answer to a keepalive of nobody comes from a platform. Pure."""
    try:
        wire.decode_keepalive_response(answer.body, status=answer.status)
    except PlatformRejected as refusal:
        return ok(f"it speaks the standard: an unknown node is refused ({refusal.message})")
    except TransientError as error:
        advice = "is url the address of the platform, without /ACSMP, and not that of a web page?"
        if answer.status >= 500:
            advice = "the platform, or a proxy before it, is in trouble: ask its operator"
        return failed(error.reason, advice=advice)
    except AgentError as error:
        return failed(str(error), advice=None)
    return ok("it speaks the standard")


def _ipv4(addresses: Sequence[tuple[Any, ...]]) -> str | None:
    for each in addresses:
        if each[0] == socket.AF_INET:
            return str(each[4][0])
    return None
