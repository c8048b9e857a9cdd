"""The kind `ipmi`: the power of a server, as its management controller tells it by DCMI."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from agent.contracts import Meter
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.clock import Clock, SystemClock
from agent.model.metering import MeterReading, RegisterTraits
from collectors.meters.ipmi import parse
from collectors.meters.ipmi.tool import Program
from collectors.meters.secret_files import read_secret

_DEVICES = ("/dev/ipmi0", "/dev/ipmi/0", "/dev/ipmidev/0")
_COMMAND = ("dcmi", "power", "reading")


@dataclass(frozen=True, slots=True, kw_only=True)
class IpmiConfig:
    """Says which controller is asked: without `host` that of this machine, through its driver.

    Over the network (`lanplus`), `user` and `password_file` are needed; the file is handed to the
    tool, so that the password stands on no command line.
    """

    tool: str = "ipmitool"
    host: str = ""
    port: Annotated[int, Meta(ge=1, le=65535)] = 623
    user: str = ""
    password_file: str | None = None
    privilege: Literal["user", "operator", "administrator"] = "user"
    timeout_seconds: Annotated[float, Meta(ge=0.1, le=60)] = 10.0


class IpmiMeter:
    """Reads power in watts by one run of ipmitool; there is no register of energy in DCMI."""

    name: ClassVar[str] = "ipmi"
    config_type: ClassVar[type[IpmiConfig]] = IpmiConfig

    def __init__(
        self,
        config: IpmiConfig,
        *,
        clock: Clock | None = None,
        environment: Mapping[str, str] | None = None,
        devices: tuple[str, ...] = _DEVICES,
    ) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._devices = devices
        self._program = Program(
            config.tool, environment=os.environ if environment is None else environment
        )

    def probe(self) -> None:
        """Return if the tool is here, and what it takes to ask; runs nothing.

        Raises:
            NotPresent: something is missing.
        """
        self._program.find()
        if self._config.host:
            try:
                self._words()
            except ReadingUnavailable as error:
                raise NotPresent(error.reason, hint=error.hint) from error
        elif not any(Path(device).exists() for device in self._devices):
            raise NotPresent(
                "this machine has no IPMI device",
                hint="load ipmi_si and ipmi_devintf, or set host to the controller's address",
            )

    def read(self) -> MeterReading:
        """Return the power; raises ReadingUnavailable if the controller does not tell it."""
        taken_at = self._clock.now()
        status, text = self._program.run(
            self._words(), deadline_seconds=self._config.timeout_seconds
        )
        try:
            watts = parse.watts(text)
        except ValueError as error:
            if status != 0:
                raise ReadingUnavailable(
                    f"{self._config.tool} failed ({status}): {parse.complaint(text)}",
                    hint="not every controller offers DCMI; in-band it takes root, "
                    "over the network user, password and the right privilege",
                ) from error
            raise ReadingUnavailable(f"{self._config.tool}: {error}") from error
        if watts == 0 and not self._config.host:
            raise ReadingUnavailable(
                "the controller tells 0 W of a machine that runs: it does not measure"
            )
        return MeterReading(
            taken_at=taken_at,
            power_watts=watts,
            unknown={
                "energy_joules": "DCMI tells no energy",
                "water_millilitres": "DCMI tells no water",
            },
        )

    def traits(self) -> RegisterTraits:
        """Return nothing: there is no register."""
        return RegisterTraits()

    def close(self) -> None:
        """Release nothing: no process runs between readings."""

    def _words(self) -> tuple[str, ...]:
        config = self._config
        if not config.host:
            return _COMMAND
        if not config.user or config.password_file is None:
            raise ReadingUnavailable(
                "over the network a user is asked for", hint="set user and password_file"
            )
        # Checked here, because the tool would ask the terminal in its place.
        read_secret(config.password_file)
        return (
            *(
                "-I",
                "lanplus",
                "-N",
                "2",
                "-R",
                "1",
                "-H",
                config.host,
                "-p",
                str(config.port),
                "-U",
                config.user,
            ),
            *("-f", config.password_file, "-L", config.privilege.upper(), *_COMMAND),
        )


_conforms: type[Meter] = IpmiMeter
