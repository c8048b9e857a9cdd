"""The demonstration: good when all is well, and only then."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys

import pytest

from agent.app.demo import node as demo

CHECKS = [
    "the platform accepted the registration",
    "the platform decrypted the right password",
    "the platform accepted ",
    "nothing was refused and nothing broke the standard's tables",
    "what was read back agrees with the operating system's own figures",
    "the platform accepted the unregistration",
]


def summary(out):
    """Return the words of each check with its verdict."""
    lines = out.split("\nsummary\n")[1].splitlines()
    return {line[8:]: line[:8].strip() for line in lines if line.startswith("  ")}


def start(*words):
    # What is started in the background of a shell hears no Ctrl-C, and hands that on.
    hearing = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL)"
    return subprocess.Popen(
        [
            *(sys.executable, "-c", f"{hearing}; os.execv(sys.executable, sys.argv[1:])"),
            *(sys.executable, "-I", "-m", "agent", "demo", *words),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
def test_a_good_demonstration_ends_with_0_and_a_summary():
    process = start("--seconds", "16")
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, out + err
    # The agent warns of http://, and of nothing else.
    assert [line for line in err.splitlines() if "acsmp[0].url: http://" not in line] == []
    verdicts = summary(out)
    assert set(verdicts.values()) == {"ok"}
    assert len(verdicts) == len(CHECKS)
    for text, words in zip(verdicts, CHECKS, strict=True):
        assert text.startswith(words)
    assert "keepalives, worst gap " in out
    assert "DIFFERS" not in out
    for shown in ("registered", "issued a token", "as the platform reads it", "memory", "disk /"):
        assert shown in out
    assert demo.PASSWORD not in out


@pytest.mark.slow
def test_ctrl_c_stops_the_agent_unregisters_and_sums_up():
    process = start()
    seen = []
    while not seen or "issued a token" not in seen[-1]:
        seen.append(process.stdout.readline())
        assert seen[-1], process.stderr.read()
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    verdicts = summary(out)
    assert "Traceback" not in err
    # Too early for two keepalives, and it says so.
    assert process.returncode == 1
    assert [verdict for text, verdict in verdicts.items() if "keepalives" in text] == ["FAIL"]
    assert verdicts["the platform accepted the unregistration"] == "ok"


@pytest.mark.slow
def test_one_figure_that_differs_fails_the_demonstration(monkeypatch, capsys):
    right = demo.compare

    def wrong(device):
        first, *others = right(device)
        return (dataclasses.replace(first, agrees=False), *others)

    monkeypatch.setattr(demo, "compare", wrong)
    monkeypatch.setattr(demo, "KEEPALIVE_SECONDS", 1)
    monkeypatch.setattr(demo, "READ_BACK_SECONDS", 0.5)
    assert demo.run(seconds=5.0) == 1
    out = capsys.readouterr().out
    assert [text for text, verdict in summary(out).items() if verdict == "FAIL"] == [
        "what was read back agrees with the operating system's own figures"
    ]
    assert "DIFFERS" in out


GOOD = {
    "registrations": 1,
    "keepalives": 2,
    "password_agrees": True,
    "unregistered": True,
}
AGREEING = (demo.Comparison(name="memory", platform_says=1, system_says=1, agrees=True),)


def test_the_summary_of_all_that_is_wanted_is_good(capsys):
    assert demo._summary(demo.Seen(**GOOD), AGREEING) == 0
    assert set(summary(capsys.readouterr().out).values()) == {"ok"}


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ({"registrations": 0}, CHECKS[0]),
        ({"password_agrees": False}, CHECKS[1]),
        ({"keepalives": 1}, "the platform accepted 1 keepalives"),
        ({"refusals": 1}, CHECKS[3]),
        ({"findings": 1}, CHECKS[3]),
        ({"unregistered": False}, CHECKS[5]),
    ],
)
def test_each_thing_that_is_missing_fails_the_summary(capsys, change, failed):
    assert demo._summary(demo.Seen(**{**GOOD, **change}), AGREEING) == 1
    verdicts = summary(capsys.readouterr().out)
    (text,) = (text for text, verdict in verdicts.items() if verdict == "FAIL")
    assert text.startswith(failed)


def test_nothing_read_back_fails_the_summary(capsys):
    assert demo._summary(demo.Seen(**GOOD), ()) == 1
    assert summary(capsys.readouterr().out)[CHECKS[4]] == "FAIL"
