"""The monitoring platform of the demonstration: what it reads of the centre, and is told of it.

The platform is the simulator of TC609. It asks the agent for the past hour (annex B), and the agent
declares the centre and reports the month (annex A), each over HTTP with a token.
"""

from __future__ import annotations

import contextlib
import queue
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from agent.app.monitoring.parts import Reporting, is_settled
from agent.app.wiring import Wiring
from agent.errors import AgentError
from agent.metering.roles import WHOLE_RATIO
from agent.model.metering import CentreHour, Figure, Quality
from agent.protocols.tc609.month_report import Month
from agent.protocols.tc609.report_map import Group
from agent.simulator.monitoring.settings import AskedCentre
from agent.simulator.monitoring.settings import MonitoringSettings as PlatformSettings
from agent.simulator.simulator import Simulator, SimulatorSettings
from agent.store.outbox_view import MessageState

CENTRE = "示例算力中心"
_USER = "demo"
_HOURLY = "querySupervisionSystemData"
_DELIVERY_SECONDS = 60.0
_JOULES_PER_KWH = 3_600_000
# The platform is told kWh with three decimals, PUE and WUE with four.
_KWH_STEP, _RATIO_STEP = 0.001, 0.0001
_WORDS = {
    "electricityConsume": "electricity",
    "greenElectricityConsume": "green",
    "pue": "PUE",
    "wue": "WUE",
}
_LONGEST_REASON = 100


class MonitoringPlatform:
    """Is the platform, from `with` on; `faults` holds all that was not as it should be."""

    def __init__(self, folder: Path) -> None:
        self.faults: list[str] = []
        self.hours = 0
        self.months = 0
        self._password = secrets.token_urlsafe(12)
        self._password_file = folder / "monitoring.password"
        self._events: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._simulator = Simulator(
            SimulatorSettings(
                listen=("127.0.0.1", 0),
                control_listen=None,
                poll_seconds=None,
                monitoring=PlatformSettings(users={_USER: self._password}),
            ),
            on_event=self._events.put,
        )
        self._asked: int | None = None

    def __enter__(self) -> MonitoringPlatform:
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(self._password + "\n", encoding="ascii")
        self._simulator.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._simulator.stop()

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._simulator.url

    def sections(self) -> dict[str, Any]:
        """Return the sections of the agent's configuration that concern it."""
        password = str(self._password_file)
        return {
            "centre": {
                "name": CENTRE,
                "listen": "127.0.0.1:0",
                "users": [{"username": _USER, "password_file": password}],
            },
            "monitoring": [
                {
                    "name": "platform",
                    "url": self.url,
                    "username": _USER,
                    "password_file": password,
                    "projects": [{"name": "示例项目", "province": "110000"}],
                    "centre": {
                        "name": CENTRE,
                        "projects": ["示例项目"],
                        "province": "110000",
                        "city": "110100",
                        "longitude": 116.4,
                        "latitude": 39.9,
                    },
                    # Time is the demonstration's: it says when the month is over.
                    "report": {"enabled": False},
                }
            ],
        }

    def declare(self, wiring: Wiring) -> Iterator[str]:
        """Let the agent make the platform what is declared; yield what was done."""
        server = wiring.query_server
        if server is not None:
            self._asked = self._simulator.monitoring.asking.add(
                AskedCentre(
                    url=f"http://{server.address}:{server.port}",
                    centre_name=CENTRE,
                    username=_USER,
                    password=self._password,
                    period_seconds=None,
                )
            )
        for reporting in wiring.reporting:
            try:
                for plan in reporting.platform.apply():
                    yield f"{plan.kind.value} {plan.name}: {plan.action.value}"
            except AgentError as error:
                self._fault(f"the centre could not be declared: {error}")
        yield from self._news()

    def ask(self, hour: CentreHour) -> Iterator[str]:
        """Ask the agent for its past hour, which is this one; yield what the platform reads."""
        if self._asked is None:
            return
        for record in self._simulator.monitoring.asking.ask(self._asked):
            if record["failure"] is not None:
                self._fault(f"{record['question']}: {record['failure']}")
            if record["data"] is None:
                continue
            if record["question"] != _HOURLY:
                # Load and scale are those of this machine now; once is enough.
                if self.hours == 0:
                    yield f"reads (B.1) {', '.join(_flat(record['data']))}"
                continue
            self.hours += 1
            told = _told(record["data"], hour)
            yield "reads (B.2) " + ", ".join(
                f"{_WORDS[name]} {'unknown' if value is None else value}"
                for name, value, *_ in told
            )
            for name, value, expected, step in told:
                if not _is_near(value, expected, step=step):
                    self._fault(f"{name} was read as {value}, and the agent has {expected}")

    def report(self, month: Month, *, wiring: Wiring) -> Iterator[str]:
        """Let the agent report a month; yield what the platform was told, and what not."""
        for reporting in wiring.reporting:
            try:
                yield from self._report(month, reporting)
            except AgentError as error:
                self._fault(f"{month} was not reported: {error}")
        yield from self._news()

    def _report(self, month: Month, reporting: Reporting) -> Iterator[str]:
        rendered = reporting.platform.render(month)
        reporting.platform.submit(rendered)
        reporting.wake()
        fate = reporting.await_fate(month, seconds=_DELIVERY_SECONDS, is_told=is_settled)
        if fate.state is not MessageState.DELIVERED:
            self._fault(f"{month} is {fate.state.value}: {fate.reason}")
            return
        yield from self._news()
        for group, members in rendered.groups.items():
            if members:
                told = ", ".join(f"{name} {value}" for name, value in members.items())
                yield f"{month} {group.value}: {told}"
        for missing in rendered.missing:
            if missing.group is Group.ELECTRICITY:
                yield f"{month} is not told {missing.wire_name}: {_cut(missing.reason)}"
        found = reporting.platform.verify(month)
        if not found.is_there or found.differences:
            names = ", ".join(each.name for each in found.differences) or "all of it"
            self._fault(f"the platform has {month} otherwise: {names}")
            return
        self.months += 1
        yield f"{month} read back (A.9): the platform has it as it was sent"

    def _news(self) -> Iterator[str]:
        """Yield what the platform noted since the last time."""
        with contextlib.suppress(queue.Empty):
            while True:
                event = self._events.get_nowait()
                if event["kind"] != "request":
                    continue
                if not event["accepted"]:
                    self._fault(event["text"])
                else:
                    yield str(event["text"])

    def _fault(self, text: str) -> None:
        self.faults.append(text)


def _flat(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the members of groups as words."""
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield f"{name} {'unknown' if value is None else value}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + "…"


def _told(
    data: Mapping[str, Any], hour: CentreHour
) -> Sequence[tuple[str, float | None, float | None, float]]:
    """Return each figure of table B.2-3 as it was read, as it ought to be, and how near."""
    return (
        ("electricityConsume", data.get("electricityConsume"), _kwh(hour.facility), _KWH_STEP),
        (
            "greenElectricityConsume",
            data.get("greenElectricityConsume"),
            _kwh(hour.green),
            _KWH_STEP,
        ),
        ("pue", data.get("pue"), hour.pue, _RATIO_STEP),
        ("wue", data.get("wue"), hour.wue_litres_per_kwh, _RATIO_STEP),
    )


def _is_near(value: float | None, expected: float | None, *, step: float) -> bool:
    if value is None or expected is None:
        return value is expected
    return abs(value - expected) <= step


def _kwh(figure: Figure) -> float | None:
    if figure.value is None or figure.quality in (Quality.PARTIAL, Quality.UNKNOWN):
        return None
    if figure.coverage_ratio < WHOLE_RATIO:
        return None
    return figure.value / _JOULES_PER_KWH
