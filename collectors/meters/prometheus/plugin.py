"""The kind `prometheus`: what a Prometheus-compatible server knows, by one PromQL query."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlencode

from msgspec import Meta

from agent.contracts import Meter
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.clock import Clock, SystemClock
from agent.model.metering import MeterReading, RegisterTraits
from collectors.meters import amounts
from collectors.meters.prometheus import parse
from collectors.meters.prometheus.parse import Sample
from collectors.meters.secret_files import read_secret
from collectors.meters.web import WebClient, WebServer

_POWER = {"w", "kw"}
_WATER = {"litres", "m3"}
_REFUSED = {401, 403}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusConfig:
    """Says which server is asked what.

    `query` gives one series: a register (`unit` wh, kwh, joules, litres, m3), as it stands and
    not its `increase`, or a power (w, kw). A sample older than `max_age_seconds` is not taken.
    `authorization_file` holds the value of the header Authorization, such as `Bearer …`.
    """

    url: str = ""
    query: Annotated[str, Meta(max_length=8192)] = ""
    unit: Literal["wh", "kwh", "joules", "w", "kw", "litres", "m3"] = "kwh"
    max_age_seconds: Annotated[float, Meta(ge=1, le=86400)] = 300.0
    authorization_file: str | None = None
    ca_file: str | None = None
    fingerprint_sha256: str | None = None
    timeout_seconds: Annotated[float, Meta(ge=0.1, le=120)] = 10.0


class PrometheusMeter:
    """Reads one register or one power, with the time at which the server scraped it.

    An instant query is answered with the time of asking; the time of the sample itself is asked
    for with `timestamp()`, which knows it of a plain selector. For a sum or another expression it
    gives the time of asking, and how old what is summed may be is the server's own limit.
    """

    name: ClassVar[str] = "prometheus"
    config_type: ClassVar[type[PrometheusConfig]] = PrometheusConfig

    def __init__(self, config: PrometheusConfig, *, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._client = WebClient(
            WebServer(
                url=config.url,
                ca_file=config.ca_file,
                fingerprint_sha256=config.fingerprint_sha256,
            )
        )
        self._deadline = 0.0

    def probe(self) -> None:
        """Return if address, query and secret are there; asks nobody.

        Raises:
            NotPresent: they are not.
        """
        try:
            self._check()
            self._proof()
        except ReadingUnavailable as error:
            raise NotPresent(error.reason, hint=error.hint) from error

    def read(self) -> MeterReading:
        """Return the register or the power; raises ReadingUnavailable if there is no fresh one."""
        self._check()
        self._deadline = time.monotonic() + self._config.timeout_seconds
        query = self._config.query
        found = self._ask({"query": query})
        asked_at = found.evaluated_at
        # At the same moment, so that both are of one sample.
        seconds = self._ask({"query": f"timestamp({query})", "time": str(asked_at.timestamp())})
        taken_at = parse.moment(seconds.value)
        limit = self._config.max_age_seconds
        if abs((self._clock.now() - asked_at).total_seconds()) > limit:
            raise ReadingUnavailable(
                f"the clocks of server ({asked_at.isoformat()}) and this machine differ",
                hint="set both by a time server",
            )
        age = (asked_at - taken_at).total_seconds()
        if age > limit:
            raise ReadingUnavailable(
                f"the last sample is {age:.0f} s old", hint="is the exporter up and scraped?"
            )
        return self._reading(found.value, taken_at=min(taken_at, asked_at))

    def traits(self) -> RegisterTraits:
        """Return what is known of the register: nothing, a query may be anything."""
        return RegisterTraits()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _reading(self, value: Decimal, *, taken_at: datetime) -> MeterReading:
        unit = self._config.unit
        energy = water = power = None
        try:
            if unit in _POWER:
                power = amounts.watts(value, unit=unit)
            elif unit in _WATER:
                water = amounts.millilitres(value, unit=unit)
            else:
                energy = amounts.joules(value, unit=unit)
        except (ValueError, OverflowError) as error:
            raise ReadingUnavailable(
                f"{value:.6g} {unit} is no value of a meter", hint="check query and unit"
            ) from error
        values = {"energy_joules": energy, "water_millilitres": water, "power_watts": power}
        return MeterReading(
            taken_at=taken_at,
            energy_joules=energy,
            water_millilitres=water,
            power_watts=power,
            unknown={
                name: "not what the query asks for"
                for name, amount in values.items()
                if amount is None
            },
        )

    def _check(self) -> None:
        self._client.check()
        if not self._config.query.strip():
            raise ReadingUnavailable("no query is given", hint="set query: meter_energy_wh_total")

    def _ask(self, question: dict[str, str]) -> Sample:
        answer = self._client.ask(
            "GET",
            f"{self._client.path}/api/v1/query?{urlencode(question)}",
            headers={"Accept": "application/json", **self._proof()},
            deadline=self._deadline,
        )
        if answer.status in _REFUSED:
            raise ReadingUnavailable(
                f"refused (HTTP {answer.status})", hint="check authorization_file"
            )
        return parse.sample(answer.body, status=answer.status)

    def _proof(self) -> dict[str, str]:
        path = self._config.authorization_file
        if path is None:
            return {}
        secret = read_secret(path).reveal()
        if not secret.isascii():
            raise ReadingUnavailable(f"{path} holds what fits in no header")
        return {"Authorization": secret}


_conforms: type[Meter] = PrometheusMeter
