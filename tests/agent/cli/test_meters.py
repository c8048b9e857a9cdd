"""What an operator does with meters: with a running agent, and without one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from agent.app import build
from agent.app.centre import meter_kinds
from agent.app.centre import parts as centre_parts
from agent.app.parts import Parts
from agent.app.wiring import Wiring
from agent.cli import meters
from agent.config.load import load
from agent.errors import TransientError
from agent.model.clock import SystemClock
from tests.agent.centre.conftest import wait_until
from tests.agent.cli.conftest import Operator

METERS = [
    {"name": "总进线", "kind": "fake", "role": "facility_total", "site": "hall-1"},
    {"name": "pdu", "kind": "fake", "role": "it"},
    {"name": "water", "kind": "fake", "role": "water", "answers": "false"},
]


@pytest.fixture(autouse=True)
def fake_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"fake": "tests.agent.cli.fake_meter:FakeKind"}
    monkeypatch.setattr(meter_kinds, "installed", lambda: found)


@pytest.fixture
def config(operator: Operator) -> Path:
    return operator.configure(meters=METERS, runtime={"kind": "none"})


@pytest.fixture
def agent(config: Path) -> Iterator[Wiring]:
    """Run the agent's socket and its meters."""
    settings = load(config, environment={}).settings
    wiring = Wiring(clock=SystemClock())
    parts = Parts()
    wanted = {"local socket", "meters"}
    parts.start([each for each in build.plan(settings, wiring=wiring) if each.name in wanted])
    yield wiring
    parts.stop()


def full_hour(hours_ago: int) -> datetime:
    now = datetime.now(timezone.utc)
    return now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours_ago)


def a_file(folder: Path, *, hours: int = 4) -> Path:
    rows = ["meter,time,energy_kwh,water_litres,power_kw"]
    for minute in range(0, hours * 60 + 1, 5):
        at = (full_hour(hours + 1) + timedelta(minutes=minute)).isoformat()
        rows.append(f"总进线,{at},{minute * 2.5:.2f},,")
        rows.append(f"pdu,{at},{minute * 2},,")
        rows.append(f"water,{at},,{minute * 3},")
    path = folder / "readings.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def check_hours(operator: Operator, config: Path) -> None:
    found = operator("meters", "hours", "--config", config, "--json").document["hours"]
    hours = {each["start_at"]: each for each in found}
    start = full_hour(4).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert hours[start]["pue"] == 1.25
    assert hours[start]["wue_litres_per_kwh"] == 1.5
    assert hours[start]["facility"]["kwh"] == 150.0
    assert hours[start]["green"]["kwh"] is None
    table = operator("meters", "hours", "--config", config).out
    assert "150.000" in table
    assert "1.250" in table
    assert "unknown" in table


def test_a_file_is_imported_without_an_agent_and_twice_changes_nothing(
    operator: Operator, config: Path
) -> None:
    file = a_file(operator.folder)
    first = operator("meters", "import", file, "--config", config)
    assert (first.status, first.out) == (0, "accepted 147, repeated 0, refused 0\n")
    again = operator("meters", "import", file, "--config", config)
    assert (again.status, again.out) == (0, "accepted 0, repeated 147, refused 0\n")
    check_hours(operator, config)


def test_a_file_is_imported_by_the_running_agent(
    operator: Operator, config: Path, agent: Wiring
) -> None:
    file = a_file(operator.folder)
    done = operator("meters", "import", file, "--config", config, "--json")
    assert (done.status, done.document["accepted"]) == (0, 147)
    assert agent.centre is not None
    wait_until(
        lambda: any(each.pue for each in agent.centre.centre.hours(count=24))  # type: ignore[union-attr]
    )
    agent.centre.centre.close_due()
    check_hours(operator, config)


def test_the_last_reading_of_a_meter_that_is_imported_is_listed(
    operator: Operator, config: Path, agent: Wiring
) -> None:
    def water() -> dict[str, Any]:
        listed = operator("meters", "list", "--config", config, "--json").document["meters"]
        return next(each for each in listed if each["name"] == "water")  # type: ignore[no-any-return]

    assert water()["reading"] is None
    operator("meters", "import", a_file(operator.folder), "--config", config)
    found = water()
    assert found["reading"]["water_litres"] == 720
    assert found["state"] != "active"
    assert agent.centre is not None
    (status,) = [each for each in agent.centre.centre.meters() if each.name == "water"]
    assert status.reading is None, "what was imported is none of its own readings"


def test_a_device_without_an_end_is_no_file_of_readings(operator: Operator, config: Path) -> None:
    refused = operator("meters", "import", "/dev/zero", "--config", config)
    assert refused.status == 2
    assert "/dev/zero is a device" in refused.complaints[0]


def test_refused_rows_are_told_with_their_lines(operator: Operator, config: Path) -> None:
    at = full_hour(3).isoformat()
    file = operator.folder / "bad.csv"
    file.write_text(
        "meter,time,energy_kwh\n"
        f"pdu,{at},1\n"
        f"pdu,{at},2\n"
        f"nobody,{at},1\n"
        "pdu,yesterday,1\n"
        "pdu,1999-01-01T00:00:00Z,1\n"
    )
    done = operator("meters", "import", file, "--config", config)
    assert (done.status, done.out) == (1, "accepted 1, repeated 0, refused 4\n")
    assert [line.split(":")[0] for line in done.complaints] == [f"line {n}" for n in (3, 4, 5, 6)]
    assert "other values" in done.err


def corrections(folder: Path) -> Path:
    path = folder / "corrections.csv"
    path.write_text(f"meter,time,energy_kwh\n总进线,{full_hour(4).isoformat()},100\n")
    return path


def test_a_reading_that_was_wrong_is_corrected_when_that_is_said(
    operator: Operator, config: Path
) -> None:
    operator("meters", "import", a_file(operator.folder), "--config", config)
    file = corrections(operator.folder)
    done = operator("meters", "import", file, "--config", config)
    assert (done.status, done.out) == (1, "accepted 0, repeated 0, refused 1\n")
    assert "--correct" in done.err
    words = ("meters", "import", file, "--correct", "--config", config)
    done = operator(*words)
    assert (done.status, done.out) == (0, "accepted 0, repeated 0, corrected 1, refused 0\n")
    assert operator(*words).out == "accepted 0, repeated 1, corrected 0, refused 0\n"
    told = operator("meters", "explain", full_hour(4).isoformat(), "--config", config).out
    assert told.startswith("Electricity in J (1 kWh = 3600000 J), water in ml")
    assert "The reading of 总进线" in told
    assert "it was 540000000 J, now it is 360000000 J" in told
    assert "Version 2 was closed" in told


def test_the_running_agent_corrects_and_who_waits_sees_it_read(
    monkeypatch: pytest.MonkeyPatch, operator: Operator, config: Path, agent: Wiring
) -> None:
    operator("meters", "import", a_file(operator.folder), "--config", config)
    is_shown = threading.Event()
    shown: list[str] = []

    def show(progress: meters._Progress, text: str) -> None:
        shown.append(text)
        if text == "100 % of 0.0 MB":
            is_shown.set()

    monkeypatch.setattr(meters._Progress, "_show", show)
    centre = agent.centre.centre  # type: ignore[union-attr]
    keep = centre._ledger.keep

    def slow(*arguments: Any, **options: Any) -> Any:
        if options.get("corrects") is not None:
            assert is_shown.wait(30)
        return keep(*arguments, **options)

    monkeypatch.setattr(centre._ledger, "keep", slow)
    file = corrections(operator.folder)
    done = operator("meters", "import", file, "--correct", "--config", config, "--json")
    assert (done.status, done.document["corrected"]) == (0, 1)
    assert "100 % of 0.0 MB" in shown


def test_progress_is_shown_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for is_terminal in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda is_terminal=is_terminal: is_terminal)
        progress = meters._Progress()
        progress.reading(0, 0)
        progress.end()
        progress = meters._Progress()
        progress.reading(430_000_000, 1_000_000_000)
        progress.end()
        told = capsys.readouterr().err
        assert ("43 % of 1000.0 MB" in told) == is_terminal
        assert bool(told) == is_terminal


def test_a_file_of_something_else_is_refused(operator: Operator, config: Path) -> None:
    file = operator.folder / "other.csv"
    file.write_text("a,b,c\n1,2,3\n")
    done = operator("meters", "import", file, "--config", config)
    assert done.status == 2
    assert "columns" in done.err
    assert operator("meters", "import", "/no/such", "--config", config).status == 2


def test_the_way_to_an_hour_is_shown(operator: Operator, config: Path) -> None:
    operator("meters", "import", a_file(operator.folder), "--config", config)
    done = operator("meters", "explain", full_hour(4).isoformat(), "--config", config)
    assert done.status == 0
    assert "PUE (interim): 540000000 ÷ 432000000 = 1.2500." in done.out
    assert "facility_total: meter 总进线." in done.out
    local = full_hour(4).astimezone(timezone(timedelta(hours=8))).strftime("%Y-%m-%dT%H:%M")
    assert operator("meters", "explain", local, "--config", config).out == done.out


@pytest.mark.parametrize(
    ("hour", "status"),
    [("yesterday", 2), ("2026-01-01T08:30", 2), ("2020-01-01T08:00", 1)],
)
def test_an_hour_that_is_none_is_told(
    operator: Operator, config: Path, hour: str, status: int
) -> None:
    assert operator("meters", "explain", hour, "--config", config).status == status


def test_meters_are_read_now_and_nothing_is_kept(operator: Operator, config: Path) -> None:
    done = operator("meters", "read", "pdu", "--config", config)
    assert (done.status, done.out) == (
        0,
        "pdu              fake         1.000 kWh, 1.500 kW  (serial 1)\n",
    )
    everything = operator("meters", "read", "--config", config)
    assert everything.status == 1
    assert "it is silent; wake it" in everything.out
    assert operator("meters", "read", "nobody", "--config", config).status == 2
    assert not (operator.folder / "ledger.db").exists()


def test_the_running_agent_lists_its_meters(
    operator: Operator, config: Path, agent: Wiring
) -> None:
    def states() -> list[str]:
        done = operator("meters", "list", "--config", config, "--json")
        return [each["state"] for each in done.document["meters"]]

    wait_until(lambda: states() == ["active", "active", "failing"])
    shown = operator("meters", "list", "--config", config).out
    assert "hall-1" in shown
    assert "it is silent; wake it" in shown
    status = operator("status", "--config", config, "--json").document["meters"]
    assert [each["name"] for each in status["meters"]] == ["总进线", "pdu", "water"]
    assert "meters       2 active, 1 failing" in operator("status", "--config", config).out


def test_an_accelerator_is_a_meter_that_needs_no_plugin(
    monkeypatch: pytest.MonkeyPatch, operator: Operator
) -> None:
    view = object()
    monkeypatch.undo()
    kinds = meter_kinds.MeterKinds(meter_kinds.installed(), view=lambda: view)  # type: ignore[arg-type,return-value]
    config = operator.configure(meters=[{"name": "card", "kind": "accelerator_energy"}])
    (settings,) = load(config, environment={}).settings.meters
    meter = kinds.open(settings)
    assert meter.name == "accelerator_energy"
    assert meter._view() is view  # type: ignore[attr-defined]


def test_without_meters_nothing_is_asked(operator: Operator) -> None:
    config = operator.configure()
    for words in (["list"], ["hours"], ["explain", "2026-01-01T08:00"]):
        done = operator("meters", *words, "--config", config)
        assert done.status == 1
        assert "no meter is configured" in done.err


def test_settings_of_a_kind_are_checked(operator: Operator) -> None:
    config = operator.configure(
        meters=[
            {"name": "a", "kind": "fake", "answer": "true"},
            {"name": "b", "kind": "fakes"},
        ]
    )
    done = operator("check-config", "--config", config)
    assert done.status == 2
    assert 'did you mean "answers"' in done.err
    assert "did you mean fake?" in done.err


def test_a_ledger_that_cannot_be_used_stops_nothing_else(operator: Operator, config: Path) -> None:
    (operator.folder / "ledger.db").write_bytes(b"this is no database" * 100)
    settings = load(config, environment={}).settings
    service = centre_parts.CentreService(
        settings,
        kinds=meter_kinds.MeterKinds(meter_kinds.installed()),
        clock=SystemClock(),
        retry_seconds=0.02,
    )
    service.start()
    with pytest.raises(TransientError, match="cannot be used"):
        _ = service.centre
    (operator.folder / "ledger.db").unlink()

    def is_up() -> bool:
        try:
            return service.centre is not None
        except TransientError:
            return False

    wait_until(is_up)
    service.stop(timeout_seconds=5)
