"""The command `simulate` as an integrator starts it, with an agent's commands against it."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys

import pytest

CODE = "11010800005020000001"
WORDS = ("--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--poll-seconds", "0")


@pytest.fixture
def simulate(tmp_path):
    """Return a function that starts the simulator; it tells what it said of its start."""
    started = []

    def start(*words):
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "agent", "simulate", "--json", *WORDS, *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        for line in process.stdout:
            document = json.loads(line)
            if document["kind"] == "start":
                return process, document
        raise AssertionError(process.stderr.read())

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def end(process):
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    return process.returncode, [json.loads(line) for line in out.splitlines()], err


def point(box, facts):
    box.settings["acsmp"] = [
        {
            "name": "city",
            "url": facts["platform"],
            "sm2_public_key_file": str(box.folder / facts["public_key_file"]),
        }
    ]
    box.settings["device_api"]["advertise_port"] = 8123
    box.write()


def test_it_is_a_platform_for_the_commands_and_keeps_its_state(box, simulate):
    process, facts = simulate("--state", "platform.db")
    assert facts["control"].startswith("http://127.0.0.1:")
    assert stat.S_IMODE((box.folder / "platform.sm2.pem").stat().st_mode) == 0o600
    point(box, facts)
    assert box.run("register").returncode == 0
    probed = box.run("sm2", "probe", "--private-key", str(box.folder / "platform.sm2.pem"))
    assert probed.returncode == 0
    assert f"fingerprint  {facts['fingerprint']}\n" in probed.stdout
    status, events, err = end(process)
    assert (status, err) == (0, "")
    (registered,) = (event for event in events if event["operation"] == "Register")
    assert (registered["accepted"], registered["code"]) == (True, CODE)
    assert registered["findings"] == []

    process, again = simulate("--state", "platform.db")
    assert again["fingerprint"] == facts["fingerprint"]
    point(box, again)
    gone = box.run("unregister")
    assert (gone.returncode, gone.stdout) == (0, f"city: unregistered {CODE}\n")
    assert end(process)[0] == 0

    _, forgetful = simulate()
    point(box, forgetful)
    assert box.run("unregister").returncode == 1


def test_a_fault_on_its_command_line_reaches_the_operator(box, simulate):
    _, facts = simulate("--fault", "refuse:Register,count=1,message=maintenance until noon")
    point(box, facts)
    refused = box.run("register")
    assert refused.returncode == 1
    assert "maintenance until noon" in refused.stderr
    assert box.run("register").returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--listen", "8088"], "'8088' is not ADDRESS:PORT"),
        (["--fault", "explode"], "explode"),
        (["--lost-after", "-1"], "from 0 to 86400"),
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["--key", "."], "simulate: "),
        (["--state", "/nonexistent/platform.db"], "/nonexistent/platform.db"),
    ],
    ids=str,
)
def test_a_bad_word_ends_with_2(tmp_path, words, says):
    ended = subprocess.run(
        [sys.executable, "-I", "-m", "agent", "simulate", *WORDS, *words],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_in_use_ends_with_2_and_is_named(tmp_path, simulate):
    _, facts = simulate()
    place = facts["platform"].removeprefix("http://")
    ended = subprocess.run(
        [sys.executable, "-I", "-m", "agent", "simulate", "--listen", place, "--no-control"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert place in ended.stderr
    assert "Traceback" not in ended.stderr


def test_its_meters_are_read_with_the_section_that_it_prints(box, simulate):
    script = box.folder / "meters.yaml"
    script.write_text(
        "start: 2026-03-01T00:00:00+08:00\n"
        'flows: {hall: {unit: kw, day: {"00:00": 36}}}\n'
        "meters:\n"
        "  - {name: a, layout: sunspec, measures: [hall], start: 500}\n"
        "  - {name: b, layout: apc-rpdu2, role: it, measures: [hall], start: 500}\n"
        "  - {name: c, layout: environment-metrics, role: it, measures: [hall], start: 500}\n"
    )
    process, facts = simulate("--meters", str(script), "--speed", "3600")
    box.settings["meters"] = facts["meters"]
    box.write()
    read = box.run("meters", "read", "--json")
    assert read.returncode == 0, read.stderr
    for each in json.loads(read.stdout)["meters"]:
        # Each second is an hour.
        assert 500 < each["reading"]["energy_kwh"] < 500 + 36 * 600
    assert end(process)[0] == 0


def test_meters_that_cannot_be_played_end_it_with_2(tmp_path):
    for words in (["--meters", "nowhere.yaml"], ["--meters", "--speed", "0"]):
        ended = subprocess.run(
            [sys.executable, "-I", "-m", "agent", "simulate", *WORDS, *words],
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "Traceback" not in ended.stderr
