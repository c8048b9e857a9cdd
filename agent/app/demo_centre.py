"""Shows a small computing centre hour by hour: simulated meters, and an agent that reads them.

The agent is the whole one, in this process, so that its time can be moved; the meters are asked
over their real protocols. Each hour stands beside what the script of the meters knows to be true.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from agent.app import build, demo_centre_check, demo_centre_text, logs, meter_kinds, named_files
from agent.app.centre_parts import CentreService
from agent.app.demo_centre_check import Judgement, Verdict
from agent.app.demo_clock import Pace, StampedMeters, SteppedClock
from agent.app.held import Held
from agent.app.parts import Parts
from agent.app.wiring import Wiring
from agent.centre.centre import Centre
from agent.config.meter_settings import LedgerSettings
from agent.config.settings import Settings
from agent.errors import TransientError
from agent.metering.hours import HOUR
from agent.model.clock import SystemClock
from agent.simulator.meters import script_file
from agent.simulator.meters.script import CentreScript
from agent.simulator.meters.simulator import MeterSimulator

CODE = "11010800005020000001"
READ_SECONDS = 300
HOURS_A_DAY = 24
# So slowly that a person can read, where nobody says how long it may take.
HOUR_SECONDS = 2.0
_GRACE = timedelta(seconds=LedgerSettings().close_after_seconds)
_ANSWER_SECONDS = 60.0
_WRITE_SECONDS = 60.0
_LEAST_HOURS = 2


class StuckError(Exception):
    """Says that time cannot go on, and why."""


def run(*, seconds: float | None, script_path: Path = script_file.SMALL_CENTRE) -> int:
    """Run the demonstration, for some seconds or until Ctrl-C; return the exit status.

    Raises:
        PermanentError: the script cannot be used.
    """
    script = script_file.load(script_path)
    clock = SteppedClock(script.start_at)
    judged: dict[datetime, Judgement] = {}
    trouble = None
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="computility-demo-")))
        simulator = stack.enter_context(MeterSimulator(script, now=clock.now, free_ports=True))
        config = _write_configuration(folder, simulator)
        _introduce(script, simulator, config=config)
        centre = stack.enter_context(_agent(config, clock=clock))
        days = _Days(centre, script=script, clock=clock, judged=judged)
        try:
            days.pass_by(seconds=seconds)
        except KeyboardInterrupt:
            _say("\nCtrl-C")
        except StuckError as error:
            trouble = str(error)
    return _summary(judged, trouble=trouble)


class _Days:
    """Lets the days of a centre go by."""

    def __init__(
        self,
        centre: Centre,
        *,
        script: CentreScript,
        clock: SteppedClock,
        judged: dict[datetime, Judgement],
    ) -> None:
        self._centre = centre
        self._script = script
        self._clock = clock
        self._judged = judged
        self._zone = centre.zone
        self._meters = len(script.meters)

    def pass_by(self, *, seconds: float | None) -> None:
        """Show hour after hour, a day of them within the seconds given, without end for None."""
        begun = time.monotonic()
        pace = Pace(HOUR_SECONDS if seconds is None else min(HOUR_SECONDS, seconds / HOURS_A_DAY))
        start = self._script.start_at
        whole = start.replace(minute=0, second=0, microsecond=0)
        close_at = whole + HOUR + _GRACE + (HOUR if whole < start else timedelta())
        _say(demo_centre_text.heading())
        while seconds is None or time.monotonic() < begun + seconds:
            self._read_until(close_at)
            self._close()
            close_at += HOUR
            pace.wait()

    def _read_until(self, moment: datetime) -> None:
        """Let every meter be read each time that it is due, until some moment."""
        while True:
            if not self._clock.wait_until_idle(self._meters, timeout_seconds=_ANSWER_SECONDS):
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
        for hour in self._centre.hours(count=HOURS_A_DAY):
            before = self._judged.get(hour.start_at)
            is_known = before is not None and before.hour.version == hour.version
            if is_known or hour.start_at < self._script.start_at:
                continue
            judgement = demo_centre_check.judge(hour, script=self._script)
            self._judged[hour.start_at] = judgement
            if before is None or _says_more(before, judgement):
                for line in demo_centre_text.hour(judgement, script=self._script, zone=self._zone):
                    _say(line)

    def _await_writing(self) -> None:
        ends = time.monotonic() + _WRITE_SECONDS
        pause = threading.Event()
        while self._centre.waiting:
            if time.monotonic() >= ends:
                reason = self._centre.trouble or "no reason is known"
                raise StuckError(f"readings do not come to the disk: {reason}")
            pause.wait(0.01)


@contextlib.contextmanager
def _agent(config: Path, *, clock: SteppedClock) -> Iterator[Centre]:
    """Run the agent until the end of the block, its meters and hours by the clock given."""
    settings = named_files.load_checked(config).settings
    logs.configure(settings.log)
    wiring = Wiring(clock=SystemClock())
    parts = Parts()
    plans = [
        dataclasses.replace(plan, build=lambda: _centre(settings, wiring=wiring, clock=clock))
        if plan.name == "meters"
        else plan
        for plan in build.plan(settings, wiring=wiring)
    ]
    parts.start(plans)
    try:
        if wiring.centre is None:
            raise TransientError("the part of the meters does not run")
        yield wiring.centre.centre
    finally:
        clock.end()
        parts.stop()


def _centre(settings: Settings, *, wiring: Wiring, clock: SteppedClock) -> Held:
    kinds = meter_kinds.MeterKinds(meter_kinds.installed(), view=wiring.view)
    service = CentreService(
        settings,
        kinds=StampedMeters(kinds.open, clock=clock),
        clock=clock,
        pause=clock.pause,
    )
    return Held(service, wiring=wiring, name="centre")


def _write_configuration(folder: Path, simulator: MeterSimulator) -> Path:
    config = folder / "config.yaml"
    meters = [{**each, "interval_seconds": READ_SECONDS} for each in simulator.section]
    document = {
        "node": {"code": CODE, "type": "AI_CLOUD", "state_dir": os.fspath(folder)},
        "runtime": {"kind": "none"},
        "meters": meters,
        "log": {"level": "error"},
    }
    # JSON is YAML.
    config.write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
    return config


def _introduce(script: CentreScript, simulator: MeterSimulator, *, config: Path) -> None:
    _say(f"centre    its time begins at {script.start_at:%Y-%m-%d %H:%M %z}; the meters are:")
    for each in simulator.section:
        roles = each.get("role", "no role")
        shown = roles if isinstance(roles, str) else " ".join(roles)
        place = each.get("url") or f"{each['host']}:{each['port']}"
        profile = Path(str(each.get("profile", ""))).stem
        _say(f"  {each['name']:<11}{each['kind']:<8} {profile:<17} {place:<23} {shown}")
    _say(f"agent     starts with {config}; it reads each meter every {READ_SECONDS // 60} minutes")
    _say("time      stands still while meters are read, so every reading is of the very moment\n")


def _says_more(before: Judgement, after: Judgement) -> bool:
    """Tell whether an hour that was closed again differs in more than its reasons."""
    figures = ("facility", "it", "green", "water")
    return before.verdict is not after.verdict or any(
        getattr(before.hour, name).value != getattr(after.hour, name).value for name in figures
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _summary(judged: Mapping[datetime, Judgement], *, trouble: str | None) -> int:
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
    )
    _say("\nsummary")
    for text, good in checks:
        _say(f"  {'ok  ' if good else 'FAIL'}  {text}")
    return 0 if all(good for _, good in checks) else 1
