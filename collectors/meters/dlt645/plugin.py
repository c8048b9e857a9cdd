"""A meter that speaks DL/T 645-2007."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, ClassVar

from msgspec import Meta

from agent.contracts import HasTraits, Meter
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.clock import Clock, SystemClock
from agent.model.metering import MeterReading, RegisterTraits
from collectors.meters.dlt645 import frames, values
from collectors.meters.dlt645.frames import Frame
from collectors.meters.gateway_turn import GatewayTurn
from collectors.meters.tcp_line import TcpLine

_POWER = "02030000"
_IDENTIFIER = r"^[0-9A-Fa-f]{8}$"
_MOST_BYTES = 8192
_HINT_LINE = "check address, the wiring behind the gateway, and its line: 2400 baud, 8E1 mostly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dlt645Config:
    """Says where the gateway is, and which meter behind it is meant.

    `address` has the 12 digits of the meter's plate; high digits may be A (any) with
    `allow_wildcard`, where this is the only meter of the line. `energy_identifier` is what is read:
    00010000 forward active energy, 00020000 reverse. `pt` and `ct` are the ratios of the
    transformers before a meter that counts on their secondary side. `timeout_seconds` bounds a
    whole read; `keep_connection` is false where the gateway serves one client at a time.
    `resolution_kwh` replaces the meter's smallest step, 0.01.
    """

    host: str = ""
    port: Annotated[int, Meta(ge=1, le=65535)] = 8899
    address: str = ""
    allow_wildcard: bool = False
    energy_identifier: Annotated[str, Meta(pattern=_IDENTIFIER)] = "00010000"
    read_power: bool = True
    pt: Annotated[float, Meta(gt=0, le=1_000_000)] = 1.0
    ct: Annotated[float, Meta(gt=0, le=1_000_000)] = 1.0
    timeout_seconds: Annotated[float, Meta(gt=0, le=60)] = 5.0
    keep_connection: bool = True
    resolution_kwh: Annotated[float | None, Meta(gt=0, le=1e6)] = None


class Dlt645Meter:
    """Reads the energy register and the power of one meter.

    One connection is kept, and opened anew after any fault. Answers of other meters, answers to
    other questions and noise are passed over. Meters behind one gateway take turns. One thread
    reads.
    """

    name: ClassVar[str] = "dlt645"
    config_type: ClassVar[type[Dlt645Config]] = Dlt645Config

    def __init__(self, config: Dlt645Config, *, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._line = TcpLine(config.host, port=config.port, clock=self._clock)
        self._turn = GatewayTurn(config.host, port=config.port, clock=self._clock)
        self._ratio = _exact(config.pt) * _exact(config.ct)

    def probe(self) -> None:
        """Return if the configuration can be read from; asks no meter.

        Raises:
            NotPresent: a setting is missing or wrong.
        """
        try:
            self._check()
        except ReadingUnavailable as error:
            raise NotPresent(error.reason, hint=error.hint) from error

    def read(self) -> MeterReading:
        """Return what the meter says now; takes `timeout_seconds` at most.

        Raises:
            ReadingUnavailable: it did not answer, or answered nothing that can be believed.
        """
        self._check()
        deadline = self._clock.monotonic() + self._config.timeout_seconds
        with self._turn.take(deadline=deadline):
            try:
                return self._read(deadline=deadline)
            finally:
                if not self._config.keep_connection:
                    self._line.close()

    def _read(self, *, deadline: float) -> MeterReading:
        config = self._config
        address, data = self._ask(config.energy_identifier.lower(), deadline=deadline)
        taken_at = self._clock.now()
        try:
            counts = values.energy_counts(data)
        except values.UnbelievableError as error:
            raise ReadingUnavailable(
                f"data {config.energy_identifier} of meter {address} {error}",
                hint="check energy_identifier, and the meter's display",
            ) from error
        unknown: dict[str, str] = {}
        power_watts = None
        if config.read_power:
            try:
                power_watts = self._power(address, deadline=deadline)
            except ReadingUnavailable as error:
                unknown["power_watts"] = error.reason
        else:
            unknown["power_watts"] = "not asked for: read_power is false"
        ratio = Decimal(self._ratio.numerator) / self._ratio.denominator
        return MeterReading(
            taken_at=taken_at,
            energy_joules=math.floor(counts * values.JOULES_PER_COUNT * self._ratio),
            power_watts=power_watts,
            reset_marker=f"meter {address}, {config.energy_identifier.lower()} x {ratio:f}",
            unknown=unknown,
        )

    def traits(self) -> RegisterTraits:
        """Return where the register rolls over and its smallest step: 8 digits, two after it."""
        config = self._config
        modulus = values.ENERGY_COUNTS * values.JOULES_PER_COUNT * self._ratio
        resolution = values.JOULES_PER_COUNT * self._ratio
        if config.resolution_kwh is not None:
            resolution = _exact(config.resolution_kwh) * 100 * values.JOULES_PER_COUNT
        return RegisterTraits(modulus=math.ceil(modulus), resolution=max(1, math.ceil(resolution)))

    def close(self) -> None:
        """Close the connection."""
        self._line.close()

    def _check(self) -> None:
        config = self._config
        if not config.host:
            raise ReadingUnavailable("the setting host is missing", hint="name the gateway")
        if frames.is_wildcard(config.address):
            if not config.allow_wildcard:
                raise ReadingUnavailable(
                    f"address {config.address} leaves open which meter answers",
                    hint="write all 12 digits; or, with one meter on the line, "
                    "allow_wildcard: true",
                )
        elif not frames.is_address(config.address):
            raise ReadingUnavailable(
                f"address {config.address!r} is no address of a meter",
                hint="it has 12 digits, as on the meter's plate, zeros in front included",
            )

    def _power(self, address: str, *, deadline: float) -> float:
        _, data = self._ask(_POWER, deadline=deadline, pattern=address)
        try:
            watts = values.watts(data)
        except values.UnbelievableError as error:
            raise ReadingUnavailable(f"data {_POWER} of meter {address} {error}") from error
        return float(watts * self._ratio)

    def _ask(
        self, identifier: str, *, deadline: float, pattern: str | None = None
    ) -> tuple[str, bytes]:
        """Return the meter that answered, and its data after the identifier."""
        pattern = pattern or self._config.address
        what = f"meter {pattern} at {self._line.place}"
        self._line.open(deadline=deadline)
        self._line.send(frames.question(pattern, identifier=identifier), deadline=deadline)
        received = 0
        buffer = b""
        while received < _MOST_BYTES:
            data = self._line.receive(deadline=deadline)
            if not data:
                break
            received += len(data)
            buffer += data
            while True:
                frame, buffer = frames.take_frame(buffer)
                if frame is None:
                    break
                answer = self._answer(frame, identifier=identifier, pattern=pattern)
                if answer is not None:
                    return frame.address, answer
        # An answer that is late must meet no question of later.
        self._line.close()
        if received:
            raise ReadingUnavailable(
                f"no answer from {what}: {received} bytes came that are none", hint=_HINT_LINE
            )
        raise ReadingUnavailable(f"no answer from {what}", hint=_HINT_LINE)

    @staticmethod
    def _answer(frame: Frame, *, identifier: str, pattern: str) -> bytes | None:
        """Return the data of the answer to this question, None if it is another frame."""
        if not frames.matches(frame.address, pattern=pattern):
            return None
        if frame.control == frames.REFUSAL:
            raise ReadingUnavailable(
                f"meter {frame.address} refuses data {identifier}: {values.refusal(frame.data)}",
                hint="check the identifier; not every meter has each",
            )
        answered, data = frames.split_answer(frame)
        if answered != identifier:
            return None
        if frame.control == frames.ANSWER_WITH_MORE:
            raise ReadingUnavailable(
                f"meter {frame.address} answers data {identifier} in parts",
                hint="check the identifier: it has to be one register, not a block",
            )
        return data if frame.control == frames.ANSWER else None


def _exact(number: float) -> Fraction:
    """Return the decimal that was written, not the binary fraction near it."""
    return Fraction(repr(number))


_conforms: type[Meter] = Dlt645Meter
_tells: type[HasTraits] = Dlt645Meter
