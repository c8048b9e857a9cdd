"""The agent's own reporting against the platform, over real connections."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.errors import PermanentError, PlatformRejected, TransientError
from agent.model.metering import Figure, Quality
from agent.model.secret import Secret
from agent.protocols.tc609.figures_file import Figures
from agent.protocols.tc609.month_report import Month
from agent.protocols.tc609.platform_client import Access, PlatformClient
from agent.protocols.tc609.report_map import DEFAULT_MAP
from agent.protocols.tc609.reporter import MonthReporter, ReportedCentre
from agent.protocols.tc609.sign import Signer
from agent.protocols.tc609.sign_options import SignOptions
from agent.protocols.tc609.sync import Declaration, EntityKind, PlatformSync, SyncAction
from agent.simulator.faults import Fault, FaultKind
from agent.simulator.monitoring.settings import SignSettings
from agent.simulator.run import Simulator
from agent.store.database import Database
from agent.store.outbox import OUTBOX, Outbox
from agent.store.platform_ids import PlatformIds
from agent.transport.client import HttpClient
from tests.agent.protocols.tc609.declarations import centre, project, totals
from tests.agent.simulator.monitoring.conftest import USERS, WallClock, control, events_of

JANUARY, FEBRUARY = Month(year=2025, month=1), Month(year=2025, month=2)
DECLARED = Declaration(projects=(project(),), centres=(centre(),))
FIGURES = Figures(always={"racks": 1200, "users": 3, "domestic_ratio": 0.5})


class Agent:
    """Is the agent's side of one platform, with its database."""

    def __init__(
        self, simulator: Simulator, *, clock: WallClock, folder: Path, sign: SignOptions | None
    ) -> None:
        self.http = HttpClient(base_url=simulator.url, user_agent="test/1")
        self.database = Database(folder, schema=OUTBOX)
        self.client = PlatformClient(
            self.http,
            access=Access(username="city", password=Secret(USERS["city"])),
            signer=None if sign is None else Signer(sign, clock=clock),
            clock=clock,
            investment_group="computePowerInvestment",
        )
        self.outbox = Outbox(self.database, clock=clock, jitter=lambda: 0.0)
        self.sync = self.sync_of(DECLARED, clock=clock)
        self.reporter = MonthReporter(
            "city",
            centre=ReportedCentre(
                name=centre().name,
                identifier=lambda: self.sync.identifier_of(EntityKind.CENTRE, centre().name),
            ),
            report_map=DEFAULT_MAP,
            client=self.client,
            outbox=self.outbox,
        )

    def sync_of(self, declaration: Declaration, *, clock: WallClock) -> PlatformSync:
        return PlatformSync(
            "city",
            declaration=declaration,
            client=self.client,
            identifiers=PlatformIds(self.database),
            clock=clock,
        )

    def submit(self, month: Month, **changed: Any) -> Any:
        figures = totals(month.year, month.month, **changed)
        report = self.reporter.render(month, totals=figures, figures=FIGURES)
        self.reporter.submit(report)
        return report

    def deliver(self) -> None:
        while self.reporter.deliver_due():
            pass

    def close(self) -> None:
        self.http.close()
        self.database.close()


@pytest.fixture
def agent_of(wall: WallClock, tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    made: list[Agent] = []

    def make(simulator: Simulator, *, sign: SignOptions | None = None) -> Agent:
        agent = Agent(simulator, clock=wall, folder=tmp_path, sign=sign)
        made.append(agent)
        return agent

    yield make
    for agent in made:
        agent.close()


def kilowatt_hours(count: int) -> Figure:
    return Figure(value=3_600_000 * count, coverage_ratio=1.0, quality=Quality.MEASURED)


def fault(kind: FaultKind, operation: str, **changed: Any) -> Fault:
    return Fault(kind=kind, operation=operation, **{"count": 1, **changed})


def notes_of(simulator: Simulator, operation: str) -> list[Any]:
    return [finding for event in events_of(simulator, operation) for finding in event["findings"]]


def test_project_and_centre_are_made_once_and_kept_as_declared(platform, agent_of):
    simulator = platform()
    agent = agent_of(simulator)

    assert [plan.action for plan in agent.sync.apply()] == [SyncAction.CREATE] * 2
    assert [plan.action for plan in agent.sync.apply()] == [SyncAction.UNCHANGED] * 2

    state = control(simulator)
    assert [each["projectName"] for each in state["projects"]] == [project().name]
    assert state["projects"][0]["computePowerInvestment"] == dict(project().investment)
    assert state["centres"][0]["projectId"] == "1"
    assert state["centres"][0]["user"] == "city"
    # The strict platform has nothing to say about what the agent sent.
    for operation in ("createProject", "createCenter", "queryProject", "queryCenter"):
        assert notes_of(simulator, operation) == []


def test_what_was_declared_anew_is_changed_on_the_platform(platform, agent_of, wall):
    simulator = platform()
    agent = agent_of(simulator)
    agent.sync.apply()
    other = Declaration(
        projects=(project(hub="12"),), centres=(centre(description="二期", longitude=113.6),)
    )

    changed = agent.sync_of(other, clock=wall)
    assert [plan.action for plan in changed.apply()] == [SyncAction.CHANGE] * 2
    assert [plan.action for plan in changed.apply()] == [SyncAction.UNCHANGED] * 2

    state = control(simulator)
    assert state["projects"][0]["hubId"] == "12"
    assert (state["centres"][0]["description"], state["centres"][0]["longitude"]) == ("二期", 113.6)
    assert notes_of(simulator, "changeProject") + notes_of(simulator, "changeCenter") == []


def test_a_month_is_reported_and_one_that_changed_takes_its_place(platform, agent_of):
    simulator = platform()
    agent = agent_of(simulator)
    agent.sync.apply()

    first = agent.submit(JANUARY)
    agent.deliver()
    assert agent.reporter.verify(first).is_there
    assert agent.reporter.verify(first).differences == ()

    second = agent.submit(JANUARY, facility=kilowatt_hours(7))
    assert agent.reporter.verify(second).differences != ()
    agent.deliver()

    assert agent.reporter.verify(second).differences == ()
    (month,) = control(simulator)["months"]
    assert (month["reportMonth"], month["times"]) == ("2025-01", 2)
    (body,) = control(simulator, "/months", params={"reportMonth": "2025-01"})["months"]
    assert body == json.loads(second.body)
    assert body["computeElectricitySynergy"]["electricityConsume"] == 7
    assert notes_of(simulator, "monthReport") == []


def test_after_an_outage_every_month_arrives_in_order(platform, agent_of, wall):
    simulator = platform()
    agent = agent_of(simulator)
    agent.sync.apply()
    agent.submit(JANUARY)
    agent.submit(FEBRUARY)
    # On a kept connection the first is nothing but a connection that went idle.
    simulator.apply(fault(FaultKind.DROP, "monthReport", count=2))
    simulator.apply(fault(FaultKind.ERROR, "monthReport", status=500))
    simulator.apply(fault(FaultKind.GARBAGE, "monthReport"))
    simulator.apply(fault(FaultKind.REFUSE, "monthReport", status=200, code=99999))

    for _ in range(4):
        agent.deliver()
        assert control(simulator)["months"] == []
        wall.advance(3600)
    agent.deliver()

    assert [each["reportMonth"] for each in control(simulator)["months"]] == ["2025-01", "2025-02"]
    assert [each["times"] for each in control(simulator)["months"]] == [1, 1]
    faults = [each for each in events_of(simulator, "monthReport") if each["kind"] == "fault"]
    met = [each["details"]["fault"] for each in faults]
    assert met == ["drop", "drop", "error", "garbage", "refuse"]


@pytest.mark.parametrize(
    ("operation", "kind"), [("createProject", "projects"), ("createCenter", "centres")]
)
def test_a_lost_answer_makes_no_second_one(platform, agent_of, operation, kind):
    simulator = platform()
    agent = agent_of(simulator)
    simulator.apply(fault(FaultKind.LOSE_ANSWER, operation))

    agent.sync.apply()
    assert [plan.action for plan in agent.sync.apply()] == [SyncAction.UNCHANGED] * 2

    assert len(control(simulator)[kind]) == 1
    assert len([each for each in events_of(simulator, operation) if each["accepted"]]) == 1


def test_a_lost_answer_to_a_month_sends_the_same_month_again(platform, agent_of, wall):
    simulator = platform()
    agent = agent_of(simulator)
    agent.sync.apply()
    report = agent.submit(JANUARY)
    simulator.apply(fault(FaultKind.LOSE_ANSWER, "monthReport"))

    agent.deliver()
    wall.advance(3600)
    agent.deliver()

    (month,) = control(simulator)["months"]
    assert month["times"] == 2
    assert agent.reporter.verify(report).differences == ()
    assert agent.outbox.due("city") is None


def test_a_token_that_ends_or_is_refused_is_fetched_anew(platform, agent_of):
    simulator = platform()
    agent = agent_of(simulator)
    agent.sync.apply()
    simulator.apply(fault(FaultKind.EXPIRE_TOKEN, "queryProject"))
    simulator.apply(fault(FaultKind.REFUSE, "queryCenter", status=200, code=10002))

    assert [plan.action for plan in agent.sync.apply()] == [SyncAction.UNCHANGED] * 2

    assert len(events_of(simulator, "token")) == 3


def test_a_refused_login_is_permanent_and_a_refused_field_is_put_aside(platform, agent_of):
    simulator = platform()
    agent = agent_of(simulator)
    simulator.apply(fault(FaultKind.REFUSE, "token", status=200, code=10001))
    with pytest.raises(PermanentError):
        agent.sync.apply()
    agent.sync.apply()

    agent.submit(JANUARY)
    simulator.apply(
        fault(FaultKind.REFUSE, "monthReport", status=200, code=10005, message="必填字段缺失")
    )
    agent.deliver()

    (aside,) = agent.outbox.refused("city")
    assert (aside.key, aside.code, aside.reason) == ("2025-01", 10005, "必填字段缺失")


def test_a_slow_platform_is_waited_for(platform, agent_of):
    simulator = platform()
    agent = agent_of(simulator)
    simulator.apply(fault(FaultKind.DELAY, "createProject", delay_seconds=0.2))

    assert [plan.action for plan in agent.sync.apply()] == [SyncAction.CREATE] * 2


def test_a_signed_report_is_taken_and_an_unsigned_one_is_not(platform, agent_of):
    simulator = platform(sign=SignSettings(secret="geheim"))
    with pytest.raises(PermanentError, match="10006"):
        agent_of(simulator).sync.apply()

    agent = agent_of(simulator, sign=SignOptions(secret=Secret("geheim")))
    agent.sync.apply()
    report = agent.submit(JANUARY)
    agent.deliver()

    assert agent.reporter.verify(report).differences == ()


def test_what_the_platform_does_not_take_is_told_with_its_table(platform, agent_of):
    agent = agent_of(platform())
    with pytest.raises(PlatformRejected, match=r"A\.5-1 row 3") as refused:
        agent.client.create_centre(centre(), project_ids=[7])
    assert refused.value.code == 99999
    with pytest.raises(PlatformRejected, match=r"A\.8-1"):
        agent.client.send_month_report(b'{"centerId": 1, "reportMonth": "2025-1"}')


def test_a_platform_that_is_gone_is_no_verdict(platform, agent_of):
    simulator = platform()
    agent = agent_of(simulator)
    simulator.stop()

    with pytest.raises(TransientError):
        agent.sync.apply()
