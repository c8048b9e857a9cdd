"""What the running agent says of itself, judged."""

from __future__ import annotations

import agent
from agent.app.doctor import meters, reporting, runner, running
from agent.app.doctor.check import State


def platform(**changes):
    return {
        "name": "city",
        "state": "registered",
        "is_registered": True,
        "keepalives_accepted": 12,
        "worst_gap_seconds": 30.2,
        "last_error": None,
        **changes,
    }


def status(**changes):
    return {
        "version": agent.__version__,
        "pid": 7,
        "uptime_seconds": 500.0,
        "stale_loops": [],
        "platforms": [platform()],
        "plugins": [{"name": "cpu", "state": "active", "detail": None}],
        "workloads": None,
        "meters": None,
        **changes,
    }


def examine(clock, told, why=None):
    results = runner.run([running.chain(told, why=why)], clock=clock)
    return {(each.name, each.subject): each for each in results}


def test_an_agent_that_fares_well(clock):
    results = examine(clock, status())
    assert {key: each.state for key, each in results.items()} == {
        (running.AGENT, ""): State.OK,
        (running.REGISTRATION, "city"): State.OK,
        (running.PLUGINS, ""): State.OK,
        (running.WORKLOADS, ""): State.SKIPPED,
        (running.LEDGER, ""): State.SKIPPED,
        (reporting.REPORTING, ""): State.SKIPPED,
        (reporting.SOURCES, ""): State.SKIPPED,
    }
    assert "worst gap 30 s" in results[running.REGISTRATION, "city"].found


def test_without_an_agent_the_reason_is_told_and_the_rest_skipped(clock, tmp_path):
    told, why = running.ask(tmp_path)
    assert told is None
    results = examine(clock, None, why)
    assert results[running.AGENT, ""].state is State.WARNING
    assert "no agent answers on" in results[running.AGENT, ""].found
    assert sum(each.state is State.SKIPPED for each in results.values()) == 6


def test_a_stuck_loop_and_an_old_version_are_told():
    assert running.judge_agent(status(stale_loops=["sampler"])).state is State.FAILED
    assert running.judge_agent(status(version="0.0.1")).state is State.WARNING


def test_a_platform_that_does_not_hold_the_node_fails():
    lost = platform(is_registered=False, state="refused", last_error="HTTP 403: unknown")
    (found,) = running.judge_registrations(status(platforms=[lost]))
    assert (found.state, found.subject) == (State.FAILED, "city")
    assert "HTTP 403: unknown" in found.found
    new = status(platforms=[platform(is_registered=False, state="starting")], uptime_seconds=2.0)
    (found,) = running.judge_registrations(new)
    assert found.state is State.WARNING


def test_a_plugin_that_fails_in_the_service_is_told():
    bad = {"name": "ascend", "state": "failing", "detail": "permission denied"}
    found = running.judge_plugins(status(plugins=[bad]))
    assert (found.state, found.found) == (State.FAILED, "ascend failing: permission denied")


def test_workloads_and_ledger_that_cannot_be_read_fail():
    broken = {"unknown": "the disk is full", "packages": None, "services": None}
    assert running.judge_workloads(status(workloads=broken)).state is State.FAILED
    sick = {
        "unknown": None,
        "packages": [{"package_id": "1", "error": "SHA-256 differs"}],
        "services": [{"service_id": "2", "reason": None}],
    }
    found = running.judge_workloads(status(workloads=sick))
    assert (found.state, "SHA-256 differs" in found.found) == (State.WARNING, True)
    trouble = {"meters": None, "unknown": "the disk is full"}
    assert running.judge_ledger(status(meters=trouble)).state is State.FAILED
    assert running.judge_ledger(status(meters={"meters": [1], "unknown": None})).state is State.OK


def test_a_meter_is_judged_by_what_the_agent_says_of_it():
    def meter(state, **more):
        return meters.judge_told({"state": state, "detail": None, "refused": None, **more})

    assert meter("active").state is State.OK
    assert meter("active", refused="it ran backwards").state is State.WARNING
    assert meter("starting").state is State.WARNING
    assert meter("failing", detail="no answer from 192.0.2.20").state is State.FAILED


def test_a_reading_of_our_own_is_judged():
    assert meters.judge_read({"error": None}).state is State.OK
    assert meters.judge_read({"error": "no answer"}).state is State.FAILED


def monitored(**changes):
    return {
        "name": "region",
        "waiting": 0,
        "last_delivered_month": "2025-12",
        "refused": [],
        "last_error": None,
        "trouble": None,
        "figures_error": None,
        "unknown": None,
        **changes,
    }


def report_on(*platforms, removed=(), unknown=None):
    told = {"platforms": list(platforms), "removed": list(removed), "unknown": unknown}
    return reporting.judge_reporting({"monitoring": told})


def test_reporting_that_fares_well_is_told_with_its_last_month():
    (found,) = report_on(monitored())
    assert (found.state, found.found) == (State.OK, "0 waiting, last taken 2025-12")


def test_a_refused_month_says_how_to_send_it_again():
    refused = {"month": "2025-11", "reason": "energy is missing"}
    (found,) = report_on(monitored(refused=[refused]))
    assert found.state is State.FAILED
    assert "2025-11: energy is missing" in found.found
    assert "monitoring release region 2025-11" in found.advice


def test_trouble_with_reports_is_told():
    states = [
        report_on(monitored(trouble="no such centre"))[0].state,
        report_on(monitored(unknown="the disk is full"))[0].state,
        report_on(monitored(last_error="no answer"))[0].state,
        report_on(unknown="the disk is full")[0].state,
        report_on(removed=[{"name": "old", "waiting": 2}])[0].state,
    ]
    assert states == [State.FAILED, State.FAILED, State.WARNING, State.FAILED, State.WARNING]


def test_a_source_of_figures_that_does_not_answer_fails():
    good, bad = reporting.judge_sources(
        {
            "operational_sources": [
                {"name": "a", "age_seconds": 3.0, "unknown": None},
                {"name": "b", "age_seconds": None, "unknown": "no answer"},
            ]
        }
    )
    assert (good.state, bad.state) == (State.OK, State.FAILED)
