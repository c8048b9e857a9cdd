"""The demonstration of a centre: good when every hour is true, and only then."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import signal
import subprocess
import sys
from fractions import Fraction

import pytest

from agent.app.demo import centre as demo_centre
from agent.simulator.meters import script as script_module
from agent.simulator.meters import script_file

SCRIPT = """\
start: 2026-03-01T00:00:00+08:00
flows:
  hall: {unit: kw, day: {"00:30": 36, "12:30": 60}}
  water: {unit: litres_per_hour, day: {"00:00": 90}}
meters:
  - name: incomer
    layout: sunspec
    role: facility_total
    measures: [hall, hall]
    events: [{wrap: "00:20"}]
  - name: pdu
    layout: acrel-adl3000e
    role: it
    measures: [hall]
    events: [{reset: "01:10"}]
  - name: servers
    layout: environment-metrics
    role: it
    measures: [hall]
    events: [{unplugged: "02:50", until: "03:20"}]
  - name: towers
    layout: water-counter
    role: water
    measures: [water]
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.yaml"
    path.write_text(SCRIPT)
    return path


@pytest.fixture(autouse=True)
def _log_stays_as_it_is():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def hours(monkeypatch):
    """Return a function that ends the demonstration after so many hours."""

    def end_after(count):
        class Counted:
            def __init__(self, _seconds):
                self.turns = 0

            def wait(self):
                self.turns += 1
                if self.turns == count:
                    raise KeyboardInterrupt

        monkeypatch.setattr(demo_centre, "Pace", Counted)

    return end_after


def summary(out):
    lines = out.split("\nsummary\n")[1].splitlines()
    return {line[8:]: line[:8].strip() for line in lines if line.startswith("  ")}


def test_hours_agree_with_the_truth_or_are_unknown_for_a_reason(hours, script, capsys):
    hours(5)
    assert demo_centre.run(script_file.load(script), seconds=None) == 0
    out = capsys.readouterr().out
    assert set(summary(out).values()) == {"ok"}
    assert "5 hours were closed" in out
    # The hour of the wrap is known; the reset takes one hour, and the silence both beside it.
    first, reset, before, after, last = (
        next(line for line in out.splitlines() if line.startswith(f"03-01 0{hour}:00"))
        for hour in range(5)
    )
    assert "measured" in first
    assert "00:20 incomer: its register wraps (翻转)" in out
    assert re.search(r"agent: From 00:15 \([0-9]+\) to 00:25 \([0-9]+\), a wrap: ", out)
    assert "platform  reads (B.1) " in out
    for line in (reset, before, after):
        assert "partial" in line
    assert "partial" not in last
    assert "it unknown (未知): pdu: from 01:05 to 01:10: falls by" in out


def test_a_figure_that_differs_from_the_truth_fails_the_demonstration(
    hours, script, capsys, monkeypatch
):
    right = script_module.CentreScript.truth

    def wrong(self, start_at, end_at):
        found = right(self, start_at, end_at)
        return dataclasses.replace(found, facility=found.facility * Fraction(101, 100))

    hours(3)
    monkeypatch.setattr(script_module.CentreScript, "truth", wrong)
    assert demo_centre.run(script_file.load(script), seconds=None) == 1
    out = capsys.readouterr().out
    assert "DIFFERS" in out
    assert summary(out)["no hour shows a figure that is wrong"] == "FAIL"


def test_a_month_that_is_over_is_told_to_the_platform_as_it_was(hours, tmp_path, capsys):
    path = tmp_path / "script.yaml"
    path.write_text(
        SCRIPT.replace("2026-03-01T00:00", "2026-02-28T22:00").replace(
            "layout: ", "start: 90000\n    layout: "
        )
    )
    hours(3)
    assert demo_centre.run(script_file.load(path), seconds=None) == 0
    out = capsys.readouterr().out
    assert "import    2680 readings of the days before, hour by hour; 0 refused" in out
    month = out[out.index("month     2026-02 is over") :]
    (electricity,) = (line for line in month.splitlines() if line.startswith("  electricity kWh"))
    found, truth = (float(each) for each in (electricity.split()[3], electricity.split()[-1]))
    # 36 to 60 kW and back each day, twice, for 28 days.
    assert truth == 2 * 48 * 24 * 28
    assert abs(found - truth) < 0.01
    assert "monthReport of 'demo' at 127.0.0.1: took 2026-02 of centre 1" in month
    assert f"2026-02 electricity: electricityConsume {found}" in month
    assert "2026-02 is not told powerCapacity: not in the file of figures" in month
    assert "2026-02 read back (A.9): the platform has it as it was sent" in month
    last = list(summary(out))[-1]
    assert last == "the monitoring platform read 3 hours as they were closed, and was told 1 months"


def test_a_platform_that_reads_another_figure_fails_the_demonstration(
    hours, script, capsys, monkeypatch
):
    from agent.protocols.tc609 import wire

    right = wire.encode_supervision
    monkeypatch.setattr(
        wire, "encode_supervision", lambda hour: right(dataclasses.replace(hour, pue=1.5))
    )
    hours(3)
    assert demo_centre.run(script_file.load(script), seconds=None) == 1
    out = capsys.readouterr().out
    assert "pue was read as 1.5, and the agent has 1.0" in out
    assert "FAIL" in summary(out).values()


@pytest.mark.slow
def test_the_command_ends_by_itself_with_0(script):
    ended = subprocess.run(
        [sys.executable, "-I", "-m", "agent", "demo", "--centre", str(script), "--seconds", "2"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    assert set(summary(ended.stdout).values()) == {"ok"}
    assert "truth 真值" in ended.stdout


@pytest.mark.slow
def test_ctrl_c_ends_it_with_a_summary():
    hearing = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL)"
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", f"{hearing}; os.execv(sys.executable, sys.argv[1:])"),
            *(sys.executable, "-I", "-m", "agent", "demo", "--centre"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    seen = []
    while not seen or "01-31 01:00" not in seen[-1]:
        seen.append(process.stdout.readline())
        assert seen[-1], process.stderr.read()
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert set(summary(out).values()) == {"ok"}


def test_a_script_that_cannot_be_played_ends_it_with_2(tmp_path):
    (tmp_path / "bad.yaml").write_text(SCRIPT.replace("sunspec", "sunspecs"))
    ended = subprocess.run(
        [sys.executable, "-I", "-m", "agent", "demo", "--centre", str(tmp_path / "bad.yaml")],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "meters[0].layout: expected one of sunspec" in ended.stderr
    assert "Traceback" not in ended.stderr
