"""Shows a small computing centre hour by hour: simulated meters, and an agent that reads them.

The agent is the whole one, in this process, so that its time can be moved; the meters are asked
over their real protocols. Each hour stands beside what the script of the meters knows to be true,
and a monitoring platform reads it; when a month is over, the platform is told of it.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from agent.app.demo import centre_check as demo_centre_check
from agent.app.demo import centre_text as demo_centre_text
from agent.app.demo import history as demo_history
from agent.app.demo import whole_agent as demo_agent
from agent.app.demo.centre_check import Judgement, Verdict
from agent.app.demo.clock import Pace, SteppedClock
from agent.app.demo.platforms import MonitoringPlatform
from agent.app.wiring import Wiring
from agent.centre.centre import Centre
from agent.config.meter_settings import LedgerSettings
from agent.errors import TransientError
from agent.metering.hours import HOUR
from agent.protocols.tc609.month_report import Month
from agent.simulator.meters.script import CentreScript
from agent.simulator.meters.simulator import MeterSimulator

HOURS_A_DAY = 24
# So slowly that a person can read, where nobody says how long it may take.
HOUR_SECONDS = 2.0
# A day and its end have to fit into the seconds that somebody gives.
_DAY_SHARE = 0.8
_GRACE = timedelta(seconds=LedgerSettings().close_after_seconds)
_ANSWER_SECONDS = 60.0
_WRITE_SECONDS = 60.0
_LEAST_HOURS = 2


class StuckError(Exception):
    """Says that time cannot go on, and why."""


def run(script: CentreScript, *, seconds: float | None) -> int:
    """Run the demonstration, for some seconds or until Ctrl-C; return the exit status."""
    clock = SteppedClock(script.start_at)
    judged: dict[datetime, Judgement] = {}
    trouble = None
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="computility-demo-")))
        meters = stack.enter_context(MeterSimulator(script, now=clock.now, free_ports=True))
        platform = stack.enter_context(MonitoringPlatform(folder))
        sections = [
            {**each, "interval_seconds": demo_agent.READ_SECONDS} for each in meters.section
        ]
        config = demo_agent.write_configuration(folder, {"meters": sections, **platform.sections()})
        _introduce(script, meters, platform=platform, config=config)
        wiring = stack.enter_context(demo_agent.running(config, clock=clock))
        days = _Days(wiring, script=script, clock=clock, platform=platform, judged=judged)
        try:
            days.begin()
            days.pass_by(seconds=seconds)
        except KeyboardInterrupt:
            _say("\nCtrl-C")
        except StuckError as error:
            trouble = str(error)
    faults = [*days.faults, *platform.faults]
    return _summary(judged, platform=platform, faults=faults, trouble=trouble)


class _Days:
    """Lets the days of a centre go by."""

    def __init__(
        self,
        wiring: Wiring,
        *,
        script: CentreScript,
        clock: SteppedClock,
        platform: MonitoringPlatform,
        judged: dict[datetime, Judgement],
    ) -> None:
        if wiring.centre is None:
            raise TransientError("the part of the meters does not run")
        self._wiring = wiring
        self._centre: Centre = wiring.centre.centre
        self._script = script
        self._clock = clock
        self._platform = platform
        self._judged = judged
        self.faults: list[str] = []
        self._month_end = demo_history.month_of(script.start_at)[1]

    def begin(self) -> None:
        """Bring in what was read before, and tell the platform of the centre."""
        history = demo_history.readings(self._script)
        imported = self._centre.import_file(io.BytesIO(history))
        if imported.accepted or imported.refused_count:
            _say(
                f"import    {imported.accepted} readings of the days before, hour by hour; "
                f"{imported.refused_count} refused"
            )
        self._tell(self._platform.declare(self._wiring))
        _say("")

    def pass_by(self, *, seconds: float | None) -> None:
        """Show hour after hour: a day and more in the seconds given, or without end for None."""
        begun = time.monotonic()
        pace = Pace(
            HOUR_SECONDS
            if seconds is None
            else min(HOUR_SECONDS, seconds * _DAY_SHARE / HOURS_A_DAY)
        )
        start = self._script.start_at
        whole = start.replace(minute=0, second=0, microsecond=0)
        close_at = whole + HOUR + _GRACE + (HOUR if whole < start else timedelta())
        _say(demo_centre_text.heading())
        while (
            seconds is None
            or len(self._judged) < _LEAST_HOURS
            or time.monotonic() < begun + seconds
        ):
            self._read_until(close_at)
            self._close()
            if close_at >= self._month_end:
                self._end_month()
            close_at += HOUR
            pace.wait()

    def _read_until(self, moment: datetime) -> None:
        """Let every meter be read each time that it is due, until some moment."""
        meters = len(self._script.meters)
        while True:
            if not self._clock.wait_until_idle(meters, timeout_seconds=_ANSWER_SECONDS):
                raise StuckError(f"a meter was not read within {_ANSWER_SECONDS:.0f} s")
            due = self._clock.next_due()
            if due is None or due > moment:
                self._clock.advance(moment)
                return
            self._clock.advance(due)

    def _close(self) -> None:
        """Close what is due and show it, an earlier hour too where it was closed again."""
        self._await_writing()
        self._centre.close_due()
        hours = self._centre.hours(count=HOURS_A_DAY)
        for hour in hours:
            before = self._judged.get(hour.start_at)
            is_known = before is not None and before.hour.version == hour.version
            if is_known or hour.start_at < self._script.start_at:
                continue
            judgement = demo_centre_check.judge(hour, script=self._script)
            self._judged[hour.start_at] = judgement
            if before is None or _says_more(before, judgement):
                self._show(judgement)
        self._tell(self._platform.ask(hours[-1]), indent="    ")

    def _show(self, judgement: Judgement) -> None:
        zone, start_at = self._centre.zone, judgement.hour.start_at
        for line in demo_centre_text.hour(judgement, script=self._script, zone=zone):
            _say(line)
        if any(demo_centre_check.happenings(self._script, start_at)):
            for line in demo_centre_text.explanation(self._centre.explain(start_at), zone=zone):
                _say(line)

    def _end_month(self) -> None:
        first, _ = demo_history.month_of(self._month_end - HOUR)
        month = Month(year=first.year, month=first.month)
        _say(f"\nmonth     {month} is over (月度上报)")
        totals = self._centre.month(month.year, month.month)
        truth = self._script.truth(totals.start_at, totals.end_at)
        for line in demo_centre_text.month(totals, true=truth):
            _say(f"  {line}")
        self.faults += demo_centre_check.judge_month(totals, script=self._script)
        self._tell(self._platform.report(month, wiring=self._wiring))
        _say("")
        self._month_end = demo_history.month_of(self._month_end)[1]

    def _await_writing(self) -> None:
        ends = time.monotonic() + _WRITE_SECONDS
        pause = threading.Event()
        while self._centre.waiting:
            if time.monotonic() >= ends:
                reason = self._centre.trouble or "no reason is known"
                raise StuckError(f"readings do not come to the disk: {reason}")
            pause.wait(0.01)

    def _tell(self, lines: Iterable[str], *, indent: str = "") -> None:
        for line in lines:
            _say(f"{indent}platform  {line}")


def _introduce(
    script: CentreScript, meters: MeterSimulator, *, platform: MonitoringPlatform, config: Path
) -> None:
    _say(f"centre    its time begins at {script.start_at:%Y-%m-%d %H:%M %z}; the meters are:")
    for each in meters.section:
        roles = each.get("role", "no role")
        shown = roles if isinstance(roles, str) else " ".join(roles)
        place = each.get("url") or f"{each['host']}:{each['port']}"
        profile = Path(str(each.get("profile", ""))).stem
        _say(f"  {each['name']:<11}{each['kind']:<8} {profile:<17} {place:<23} {shown}")
    _say(f"platform  the simulator of TC609 listens at {platform.url}")
    minutes = demo_agent.READ_SECONDS // 60
    _say(f"agent     starts with {config}; it reads each meter every {minutes} minutes")
    _say("time      stands still while meters are read, so every reading is of the very moment")


def _says_more(before: Judgement, after: Judgement) -> bool:
    """Tell whether an hour that was closed again differs in more than its reasons."""
    figures = ("facility", "it", "green", "water")
    return before.verdict is not after.verdict or any(
        getattr(before.hour, name).value != getattr(after.hour, name).value for name in figures
    )


def _summary(
    judged: dict[datetime, Judgement],
    *,
    platform: MonitoringPlatform,
    faults: list[str],
    trouble: str | None,
) -> int:
    counts = {
        verdict: sum(each.verdict is verdict for each in judged.values()) for verdict in Verdict
    }
    checks = (
        (trouble or "every meter was read each time that it was due", trouble is None),
        (f"{len(judged)} hours were closed", len(judged) >= _LEAST_HOURS),
        (
            f"{counts[Verdict.AGREES]} hours agree with the truth to the step of the meters",
            counts[Verdict.AGREES] > 0,
        ),
        (
            f"{counts[Verdict.UNKNOWN]} hours are unknown where a meter gave no way to know them, "
            "and nowhere else",
            counts[Verdict.DIFFERS] == 0,
        ),
        ("no hour shows a figure that is wrong", counts[Verdict.DIFFERS] == 0),
        (
            f"the monitoring platform read {platform.hours} hours as they were closed, and was "
            f"told {platform.months} months",
            platform.hours > 0 and not faults,
        ),
    )
    _say("\nsummary")
    for text, good in checks:
        _say(f"  {'ok  ' if good else 'FAIL'}  {text}")
    for fault in faults:
        _say(f"        {fault}")
    return 0 if all(good for _, good in checks) else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
