"""The kind `snmp`: PDUs, and whatever else a profile describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from agent.contracts import Meter
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.clock import Clock, SystemClock
from agent.model.metering import MeterReading, RegisterTraits
from agent.model.secret import Secret
from collectors.meters.secret_files import read_secret
from collectors.meters.snmp import parse, profile
from collectors.meters.snmp.exchange import Exchange, Login
from collectors.meters.snmp.parse import Value
from collectors.meters.snmp.profile import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class SnmpConfig:
    """Says which device is asked, by which profile, and who asks.

    `profile` is the name of one that comes with the agent, or the path of a file; `pdu` and
    `inlet` fill its places of these names. Without `community_file` the community is `public`.
    Version 3 takes a user; without `auth_password_file` nothing is authenticated, without
    `priv_password_file` nothing encrypted. A question is sent again `retries` times.
    """

    host: str = ""
    port: Annotated[int, Meta(ge=1, le=65535)] = 161
    profile: str = "apc-rpdu2"
    pdu: Annotated[int, Meta(ge=0, le=2_147_483_647)] = 1
    inlet: Annotated[int, Meta(ge=0, le=2_147_483_647)] = 1
    version: Literal["2c", "3"] = "2c"
    community_file: str | None = None
    user: str = ""
    auth_protocol: Literal["md5", "sha1"] = "sha1"
    auth_password_file: str | None = None
    priv_protocol: Literal["aes", "des"] = "aes"
    priv_password_file: str | None = None
    timeout_seconds: Annotated[float, Meta(ge=0.1, le=30)] = 2.0
    retries: Annotated[int, Meta(ge=0, le=5)] = 2


class SnmpMeter:
    """Reads one device over SNMP; one question a reading."""

    name: ClassVar[str] = "snmp"
    config_type: ClassVar[type[SnmpConfig]] = SnmpConfig

    def __init__(self, config: SnmpConfig, *, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._exchange = Exchange(
            config.host,
            port=config.port,
            timeout_seconds=config.timeout_seconds,
            retries=config.retries,
        )
        self._profile: Profile | None = None
        self._values: Mapping[str, Value] = {}

    def probe(self) -> None:
        """Return if profile and secrets are there; asks nobody.

        Raises:
            NotPresent: they are not, or the library that speaks SNMP is not installed.
        """
        try:
            import puresnmp  # noqa: F401

            self._load()
            self._login()
        except ImportError as error:
            raise NotPresent("puresnmp is not installed", hint="pip install puresnmp") from error
        except ReadingUnavailable as error:
            raise NotPresent(error.reason, hint=error.hint) from error

    def read(self) -> MeterReading:
        """Return register and power; raises ReadingUnavailable if the device gives neither."""
        profile_ = self._load()
        taken_at = self._clock.now()
        self._values = self._exchange.get(profile_.oids, login=self._login())
        return parse.reading(profile_, self._values, taken_at=taken_at)

    def traits(self) -> RegisterTraits:
        """Return resolution and modulus; some devices tell them only with a reading."""
        return parse.traits(self._load(), self._values)

    def close(self) -> None:
        """Forget the session."""
        self._exchange.close()

    def _load(self) -> Profile:
        if self._profile is None:
            config = self._config
            self._profile = profile.load(
                config.profile,
                places={"pdu": config.pdu, "inlet": config.inlet},
            )
        return self._profile

    def _login(self) -> Login:
        config = self._config
        if not config.host:
            raise ReadingUnavailable("no host is given", hint="set host: the device's address")
        if config.version == "3" and not config.user:
            raise ReadingUnavailable("version 3 takes a user", hint="set user: NAME")
        if config.version == "3" and config.priv_password_file and not config.auth_password_file:
            raise ReadingUnavailable(
                "what is encrypted has to be authenticated, too", hint="set auth_password_file"
            )
        is_old = config.version == "2c"
        return Login(
            version=config.version,
            community=_secret(config.community_file if is_old else None) or Secret("public"),
            user=config.user,
            auth_protocol=config.auth_protocol,
            auth_password=_secret(None if is_old else config.auth_password_file),
            priv_protocol=config.priv_protocol,
            priv_password=_secret(None if is_old else config.priv_password_file),
        )


def _secret(path: str | None) -> Secret | None:
    return None if path is None else read_secret(path)


_conforms: type[Meter] = SnmpMeter
