"""All meters of a script at work, each on a port of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from agent.simulator.meters import redfish
from agent.simulator.meters.layouts import TRAITS, Layout, Speech
from agent.simulator.meters.meter import MeterScript, Shown
from agent.simulator.meters.modbus import ModbusServer, Registers
from agent.simulator.meters.modbus_layouts import MAPS
from agent.simulator.meters.redfish import RedfishServer, Resources
from agent.simulator.meters.script import CentreScript
from agent.simulator.meters.snmp import SnmpServer
from agent.simulator.meters.snmp_layouts import TABLES
from agent.simulator.meters.snmp_messages import Objects
from agent.simulator.meters.tcp_server import Gone

WATER_PROFILE = Path(__file__).parent / "profiles" / "water-counter.yaml"
_FIRST_SERIAL = 260_001

Now = Callable[[], datetime]


class _Server(Protocol):
    """Is what speaks for one meter."""

    @property
    def port(self) -> int:
        """The port that is listened on."""

    def start(self) -> None:
        """Listen."""

    def stop(self) -> None:
        """Close."""


class MeterSimulator:
    """Serves the meters of a script from `start` to `stop`, as they are at the time of `now`.

    With `free_ports` each takes any port in place of the script's. `section` is known once all
    listen.
    """

    def __init__(
        self,
        script: CentreScript,
        *,
        now: Now,
        address: str = "127.0.0.1",
        free_ports: bool = False,
    ) -> None:
        self._script = script
        self._now = now
        self._address = address
        self._servers: tuple[tuple[MeterScript, _Server], ...] = tuple(
            (meter, self._server(meter, place=place, port=0 if free_ports else meter.port))
            for place, meter in enumerate(script.meters)
        )

    def __enter__(self) -> MeterSimulator:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Let every meter listen; raises PermanentError where one cannot."""
        try:
            for _, server in self._servers:
                server.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Close everything; may be called twice."""
        for _, server in self._servers:
            server.stop()

    @property
    def section(self) -> tuple[Mapping[str, Any], ...]:
        """The section `meters` of a configuration that reads these meters."""
        return tuple(self._settings(meter, server.port) for meter, server in self._servers)

    def section_text(self) -> str:
        """Return the section as YAML, a line for each meter."""
        lines = [f"  - {json.dumps(each, ensure_ascii=False)}\n" for each in self.section]
        return "meters:\n" + "".join(lines)

    def _settings(self, meter: MeterScript, port: int) -> Mapping[str, Any]:
        traits = TRAITS[meter.layout]
        found: dict[str, Any] = {"name": meter.name, "kind": traits.speech.value}
        if meter.roles:
            found["role"] = meter.roles[0] if len(meter.roles) == 1 else list(meter.roles)
        if traits.speech is Speech.REDFISH:
            found["url"] = f"http://{self._address}:{port}"
        else:
            profile = meter.layout.value
            if meter.layout is Layout.WATER:
                profile = str(WATER_PROFILE)
            found |= {"host": self._address, "port": port, "profile": profile}
        if meter.rated_kw is not None:
            found["rated_power_kw"] = _value(meter.rated_kw)
        return {**found, **{key: _value(value) for key, value in meter.options}}

    def _server(self, meter: MeterScript, *, place: int, port: int) -> _Server:
        listen = (self._address, port)
        base = _FIRST_SERIAL + place * 1000
        script, shown = self._script, self._shown

        def registers() -> Registers | None:
            seen = shown(meter)
            return None if seen is None else MAPS[meter.layout](seen, serial=_serial(base, seen))

        def objects() -> Objects | None:
            seen = shown(meter)
            if seen is None or seen.is_unplugged:
                return None
            return TABLES[meter.layout](seen, serial=_serial(base, seen), midnight=script.midnight)

        def resources() -> Resources | None:
            seen = shown(meter)
            if seen is None:
                return None
            return redfish.resources(seen, name=meter.name, serial=_serial(base, seen))

        kind = TRAITS[meter.layout].speech
        if kind is Speech.MODBUS:
            return ModbusServer(registers, listen=listen, name=meter.name)
        if kind is Speech.SNMP:
            return SnmpServer(objects, listen=listen, name=meter.name)
        return RedfishServer(resources, listen=listen, name=meter.name)

    def _shown(self, meter: MeterScript) -> Shown | None:
        """Return what a meter shows now, None where it does not answer.

        Raises:
            Gone: it is unplugged, and speaks over connections, which are closed then.
        """
        seen = meter.shown(self._script.second_of(self._now()))
        if seen.is_unplugged and TRAITS[meter.layout].speech is not Speech.SNMP:
            raise Gone
        return None if seen.is_silent else seen


def running_clock(script: CentreScript, *, speed: float) -> Now:
    """Return a clock that shows the script's start now, and runs `speed` times as fast as ours."""
    begun = time.monotonic()
    return lambda: script.start_at + timedelta(seconds=(time.monotonic() - begun) * speed)


def _serial(base: int, shown: Shown) -> str:
    return str(base + shown.serial)


def _value(text: object) -> object:
    """Return a text of a script as the number that it is, where it is one."""
    if not isinstance(text, str):
        return text
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
