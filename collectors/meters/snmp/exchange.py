"""Questions over SNMP, with puresnmp's messages and datagrams of our own that keep to a deadline.

Its own transport waits on a loop and repeats ten times; here one connected socket serves one
question, so that an answer that comes late cannot be taken for the next one's.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.errors import AgentError, ReadingUnavailable
from agent.model.secret import Secret
from collectors.meters.snmp import privacy
from collectors.meters.snmp.parse import Value

if TYPE_CHECKING:
    from puresnmp.credentials import Credentials

_LARGEST_DATAGRAM = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Is who asks: a community (version 2c), or a user with passwords (version 3)."""

    version: str
    community: Secret
    user: str = ""
    auth_protocol: str = "sha1"
    auth_password: Secret | None = None
    priv_protocol: str = "aes"
    priv_password: Secret | None = None


class Exchange:
    """Asks one device; one thread at a time.

    A session of version 3 is kept, because it costs two questions more to begin one; it is begun
    anew after every fault.
    """

    def __init__(self, host: str, *, port: int, timeout_seconds: float, retries: int) -> None:
        self._host = host
        self._port = port
        self._timeout_seconds = timeout_seconds
        self._retries = retries
        self._client: Any = None
        self._login: Login | None = None

    def get(self, oids: Sequence[str], *, login: Login) -> dict[str, Value]:
        """Return the values of objects; None for those that the device has not.

        Raises:
            ReadingUnavailable: the device does not answer, refuses, or cannot be understood.
        """
        is_old_session = self._client is not None and login == self._login
        try:
            return self._ask(oids, login=login)
        except ReadingUnavailable:
            # A device that started again refuses the session that it had.
            if not is_old_session or login.version != "3":
                raise
            return self._ask(oids, login=login)

    def close(self) -> None:
        """Forget the session."""
        self._client = self._login = None

    def _ask(self, oids: Sequence[str], *, login: Login) -> dict[str, Value]:
        from puresnmp.exc import SnmpError

        place = f"{self._host}:{self._port}"
        try:
            if self._client is None or login != self._login:
                self._client, self._login = self._begin(login), login
            return asyncio.run(self._get(self._client, oids))
        except AgentError:
            self.close()
            raise
        except SnmpError as error:
            self.close()
            raise ReadingUnavailable(
                f"{place} refuses: {_words(error)}",
                hint="check user, protocols and passwords, and what the device lets this user read",
            ) from error
        except OSError as error:
            self.close()
            raise ReadingUnavailable(
                f"{place}: {error.strerror or error}", hint="check host and port"
            ) from error
        except Exception as error:
            # The library says anything of bytes that it cannot read.
            self.close()
            raise ReadingUnavailable(
                f"{place} answered what is no SNMP ({type(error).__name__})",
                hint="check port, version, protocols and passwords",
            ) from error

    def _begin(self, login: Login) -> Any:
        from puresnmp import Client

        sender: Any = self._send
        return Client(self._host, _credentials(login), port=self._port, sender=sender)

    async def _get(self, client: Any, oids: Sequence[str]) -> dict[str, Value]:
        from x690.types import ObjectIdentifier

        answers = await client.multiget([ObjectIdentifier(oid) for oid in oids])
        return {oid: _value(answer) for oid, answer in zip(oids, answers, strict=True)}

    async def _send(self, endpoint: Any, packet: bytes, **_: Any) -> bytes:
        """Send a question until it is answered; takes the arguments of puresnmp's senders."""
        family = socket.AF_INET6 if endpoint.ip.version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as line:
            line.connect((str(endpoint.ip), endpoint.port))
            for _attempt in range(self._retries + 1):
                line.send(packet)
                deadline = time.monotonic() + self._timeout_seconds
                line.settimeout(max(0.001, deadline - time.monotonic()))
                try:
                    return line.recv(_LARGEST_DATAGRAM)
                except TimeoutError:
                    continue
        waited = self._timeout_seconds * (self._retries + 1)
        raise ReadingUnavailable(
            f"{self._host}:{self._port} did not answer within {waited:g} s",
            hint="check the address, the community or user (a wrong one is not answered), "
            "and that the device lets this machine ask",
        )


def _credentials(login: Login) -> Credentials:
    from puresnmp import V2C, V3, Auth, Priv

    if login.version != "3":
        return V2C(login.community.reveal())
    auth = priv = None
    if login.auth_password is not None:
        auth = Auth(login.auth_password.reveal().encode(), login.auth_protocol)
    if login.priv_password is not None:
        privacy.offer_to_puresnmp()
        method = f"computility-{login.priv_protocol}"
        priv = Priv(login.priv_password.reveal().encode(), method)
    return V3(login.user, auth, priv)


def _value(answer: Any) -> Value:
    """Return a whole number or bytes; None for everything else, absence above all."""
    value = answer.pythonize()
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, int | bytes) else None


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
