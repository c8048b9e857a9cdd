"""A meter that speaks Modbus."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from agent.contracts import HasTraits, Meter
from agent.errors import NotPresent, PermanentError, ReadingUnavailable
from agent.model.clock import Clock, SystemClock
from agent.model.metering import MeterReading, RegisterTraits
from collectors.meters.gateway_turn import GatewayTurn
from collectors.meters.modbus import profile as profiles
from collectors.meters.modbus import quantities, sunspec
from collectors.meters.modbus.profile import Profile
from collectors.meters.modbus.quantities import Energy, Fetch, Ratios
from collectors.meters.modbus.registers import Register, RegisterType, bits, decode_text
from collectors.meters.modbus.session import RefusedError, Session
from collectors.meters.tcp_line import TcpLine

_log = logging.getLogger(__name__)

_JOULES_PER_KWH = 3_600_000
_FUNCTION = 3
_PROFILE_HINT = "docs/meters/modbus.md says what a profile holds"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusConfig:
    """Says where a meter is, and which registers it has.

    `framing` is `tcp` for Modbus TCP and `rtu` for a gateway that passes RTU frames on. `profile`
    is the name of a profile that comes with the agent, or the path of a file. `pt` and `ct` are
    the ratios of the transformers before the meter (10 for 10 kV/1 kV, 40 for 200 A/5 A), used
    where the profile says that values are those of the secondary side. `energy` chooses what
    counts: energy taken from the supply, or given back to it. `timeout_seconds` bounds a whole
    read; `keep_connection` is false where a gateway serves one client at a time. `resolution_kwh`
    replaces the smallest step that register and profile tell.
    """

    host: str = ""
    port: Annotated[int, Meta(ge=1, le=65535)] = 502
    unit: Annotated[int, Meta(ge=0, le=255)] = 1
    framing: Literal["tcp", "rtu"] = "tcp"
    profile: str = ""
    energy: Literal["import", "export"] = "import"
    pt: Annotated[float, Meta(gt=0, le=1_000_000)] = 1.0
    ct: Annotated[float, Meta(gt=0, le=1_000_000)] = 1.0
    timeout_seconds: Annotated[float, Meta(gt=0, le=60)] = 5.0
    keep_connection: bool = True
    resolution_kwh: Annotated[float | None, Meta(gt=0, le=1e6)] = None


class ModbusMeter:
    """Reads energy and power of one unit by the registers of a profile.

    One connection is kept, and opened anew after any fault. A figure that the meter does not give,
    or that cannot be believed, costs the other one nothing. Behind a gateway that passes RTU on,
    meters take turns. One thread reads.
    """

    name: ClassVar[str] = "modbus"
    config_type: ClassVar[type[ModbusConfig]] = ModbusConfig

    def __init__(self, config: ModbusConfig, *, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._line = TcpLine(config.host, port=config.port, clock=self._clock)
        self._turn = GatewayTurn(config.host, port=config.port, clock=self._clock)
        self._ratios = Ratios(pt=_exact(config.pt), ct=_exact(config.ct))
        self._profile: Profile | None = None
        self._session: Session | None = None
        self._found: sunspec.FoundModel | None = None
        self._last: Energy | None = None

    def probe(self) -> None:
        """Return if the configuration can be read from; asks no meter.

        Raises:
            NotPresent: a setting is missing or wrong, or pymodbus is not installed.
        """
        try:
            self._load()
        except ReadingUnavailable as error:
            raise NotPresent(error.reason, hint=error.hint) from error

    def read(self) -> MeterReading:
        """Return what the meter says now; takes `timeout_seconds` at most.

        Raises:
            ReadingUnavailable: it did not answer, or answered nothing that can be believed.
        """
        profile = self._load()
        deadline = self._clock.monotonic() + self._config.timeout_seconds
        if self._session is None:
            self._session = Session(
                self._line, unit=self._config.unit, framing=self._config.framing
            )
        # A gateway that speaks Modbus TCP lets the questions of its clients take turns itself.
        is_shared = self._config.framing == "rtu"
        try:
            with self._turn.take(deadline=deadline) if is_shared else contextlib.nullcontext():
                return self._ask(profile, self._session, deadline=deadline)
        except ReadingUnavailable:
            self._found = None
            raise

    def traits(self) -> RegisterTraits:
        """Return where the register rolls over, and its smallest step.

        A SunSpec meter tells its scale, and a float its step, with the first reading: before it
        they are not known.
        """
        span = self._last.span if self._last else self._span()
        modulus = span.modulus if span else None
        resolution = span.resolution if span else None
        if self._config.resolution_kwh is not None:
            resolution = max(1, int(_exact(self._config.resolution_kwh) * _JOULES_PER_KWH))
        return RegisterTraits(modulus=modulus, resolution=resolution)

    def close(self) -> None:
        """Close the connection."""
        self._line.close()

    def _span(self) -> quantities.Span | None:
        try:
            register = self._load().registers.get(f"energy_{self._config.energy}")
        except ReadingUnavailable:
            return None
        return None if register is None else quantities.span(register, ratios=self._ratios)

    def _load(self) -> Profile:
        if self._profile is not None:
            return self._profile
        config = self._config
        for key in ("host", "profile"):
            if not getattr(config, key):
                raise ReadingUnavailable(f"the setting {key} is missing", hint=_PROFILE_HINT)
        if config.framing == "rtu" and not 1 <= config.unit <= 247:
            raise ReadingUnavailable("with framing rtu, unit is 1 to 247")
        if importlib.util.find_spec("pymodbus") is None:
            raise ReadingUnavailable("pymodbus is not installed", hint="pip install pymodbus")
        try:
            profile = profiles.load(config.profile)
        except PermanentError as error:
            raise ReadingUnavailable(error.reason, hint=_PROFILE_HINT) from error
        for name, ratio in (("pt", self._ratios.pt), ("ct", self._ratios.ct)):
            if ratio != 1 and not any(getattr(each, name) for each in profile.every_register):
                raise ReadingUnavailable(
                    f"{name} is {ratio}, and the values of profile {profile.name} need no {name}",
                    hint=f"leave {name} out: this meter multiplies itself",
                )
        if profile.unconfirmed:
            _log.warning("modbus profile=%s unconfirmed=%s", profile.name, profile.unconfirmed)
        self._profile = profile
        return profile

    def _ask(self, profile: Profile, session: Session, *, deadline: float) -> MeterReading:
        try:
            if session.open(deadline=deadline):
                self._found = None
            if profile.sunspec is not None:
                return self._read_sunspec(profile.sunspec, session, deadline=deadline)
            return self._read_registers(profile, session, deadline=deadline)
        finally:
            if not self._config.keep_connection:
                self._line.close()

    def _read_registers(
        self, profile: Profile, session: Session, *, deadline: float
    ) -> MeterReading:
        serial = profile.registers.get("serial")
        number = None
        if serial is not None:
            try:
                number = _serial(serial, _fetch(session, serial, deadline=deadline))
            except RefusedError as error:
                # A meter without this register is as good a meter; silence is another matter.
                if not error.is_absent:
                    raise
        return self._reading(
            profile.registers,
            lambda register: _fetch(session, register, deadline=deadline),
            identity=number,
        )

    def _read_sunspec(
        self, layout: profiles.SunSpec, session: Session, *, deadline: float
    ) -> MeterReading:
        if self._found is None:
            self._found = sunspec.find(session, layout, deadline=deadline)
        found = self._found
        number = sunspec.read_serial(session, layout, found, deadline=deadline)
        # The whole model in one question: a value never meets the scale factor of another moment.
        words = session.read(
            found.base,
            count=sunspec.words_of(found.model),
            function=_FUNCTION,
            deadline=deadline,
        )
        if words[0] != found.number:
            raise ReadingUnavailable(
                f"register {found.base} held SunSpec model {found.number} and now {words[0]}",
                hint="the next reading looks for the meter again",
            )
        return self._reading(
            found.model.registers,
            lambda _: lambda address, count: words[address : address + count],
            identity=f"{number or '-'} model {found.number} at {found.base}",
        )

    def _reading(
        self,
        registers: Mapping[str, Register],
        fetch_for: Callable[[Register], Fetch],
        *,
        identity: str | None,
    ) -> MeterReading:
        unknown: dict[str, str] = {}
        failures: list[ReadingUnavailable] = []
        found: Energy | None = None
        watts: float | None = None
        chosen = registers.get(f"energy_{self._config.energy}")
        try:
            if chosen is None:
                raise ReadingUnavailable(
                    f"the profile has no register of energy {self._config.energy}"
                )
            found = quantities.energy(chosen, fetch_for(chosen), ratios=self._ratios)
        except ReadingUnavailable as error:
            failures.append(error)
            unknown["energy_joules"] = error.reason
        taken_at = self._clock.now()
        gauge = registers.get("power")
        try:
            if gauge is None:
                raise ReadingUnavailable("the profile has no register of power")
            watts = quantities.power(gauge, fetch_for(gauge), ratios=self._ratios)
        except ReadingUnavailable as error:
            failures.append(error)
            unknown["power_watts"] = error.reason
        if found is None and watts is None:
            raise failures[0]
        if found is not None:
            self._last = found
        return MeterReading(
            taken_at=taken_at,
            energy_joules=None if found is None else found.joules,
            power_watts=-watts if watts and self._config.energy == "export" else watts,
            reset_marker=None if chosen is None else self._marker(chosen, identity),
            unknown=unknown,
        )

    def _marker(self, register: Register, identity: str | None) -> str:
        """Return what makes this register the one it is: with another of these it is another."""
        worth = register.scale * self._ratios.of(register)
        decimal = format(Decimal(worth.numerator) / worth.denominator, "f")
        unit = register.unit.value if register.unit else ""
        place = f"register {register.address} {register.type.value}"
        return f"serial {identity or '-'}, {place} x {decimal} {unit}"


def _fetch(session: Session, register: Register, *, deadline: float) -> Fetch:
    return lambda address, count: session.read(
        address, count=count, function=register.function, deadline=deadline
    )


def _serial(register: Register, fetch: Fetch) -> str | None:
    words = fetch(register.address, register.words)
    if register.type is RegisterType.TEXT:
        return decode_text(words)
    number = bits(words, order=register.order)
    return None if number in (0, (1 << 16 * len(words)) - 1) else str(number)


def _exact(ratio: float) -> Fraction:
    """Return the decimal that was written, not the binary fraction near it."""
    return Fraction(repr(ratio))


_conforms: type[Meter] = ModbusMeter
_tells: type[HasTraits] = ModbusMeter
