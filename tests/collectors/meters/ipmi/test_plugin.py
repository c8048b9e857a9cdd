"""The IPMI meter: texts, a tool that misbehaves, and ipmitool against a controller of OpenIPMI.

OpenIPMI's simulator knows no DCMI: against it only the way there and the refusal can be seen.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import NotPresent, ReadingUnavailable
from collectors.meters.ipmi import parse
from collectors.meters.ipmi.plugin import IpmiConfig, IpmiMeter
from tests.conftest import missing

GUARD_SECONDS = 60
TEXT = """
    Instantaneous power reading:              {power}
    Minimum during sampling period:                 7 Watts
    Average power reading over sample period:     214 Watts
    IPMI timestamp: 11/21/26 08:00:00 UTC    Sampling period: 00000001 Seconds.
    Power reading state is:                   {state}

"""


def text(power="   220 Watts", state="activated"):
    return TEXT.format(power=power, state=state)


@pytest.fixture
def tool(tmp_path):
    """Return a function that writes a program in ipmitool's place and a meter that uses it."""

    def make(script, **settings):
        program = tmp_path / "ipmitool"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        device = tmp_path / "ipmi0"
        device.touch()
        config = IpmiConfig(tool=str(program), **settings)
        return IpmiMeter(config, devices=(str(device),))

    return make


def printing(printed, *, status=0):
    return f"cat <<'END'\n{printed}\nEND\nexit {status}"


def test_the_power_of_now_is_read(tool):
    meter = tool(printing(text()))
    meter.probe()

    reading = meter.read()

    assert reading.power_watts == 220.0
    assert reading.energy_joules is None
    assert set(reading.unknown) == {"energy_joules", "water_millilitres"}


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        (text(state="deactivated"), "deactivated"),
        (text(state=""), "no known state"),
        (text(power="N/A"), "not a number of watts"),
        (text(power="0 Watts"), "0 W of a machine that runs"),
        (text(power="-3 Watts"), "not a number of watts"),
        ("", "no instantaneous power"),
    ],
)
def test_a_controller_that_does_not_measure_gives_no_value(tool, printed, words):
    with pytest.raises(ReadingUnavailable, match=words):
        tool(printing(printed)).read()


def test_a_failure_is_told_in_the_tools_own_words(tool):
    meter = tool(printing("Could not open device at /dev/ipmi0", status=1))

    with pytest.raises(ReadingUnavailable, match=r"failed \(1\): Could not open") as caught:
        meter.read()
    assert "root" in caught.value.hint


def test_a_tool_that_hangs_is_ended_with_what_it_started(tool, tmp_path):
    meter = tool(f"sleep 600 & echo $! > {tmp_path}/child; wait", timeout_seconds=0.5)

    with pytest.raises(ReadingUnavailable, match=r"did not end within 0\.5 s"):
        meter.read()

    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + GUARD_SECONDS
    while _lives(child):
        assert time.monotonic() < deadline, "the tool's child lives on"
        time.sleep(0.01)


def _lives(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_tool_that_never_stops_printing_is_ended(tool):
    with pytest.raises(ReadingUnavailable):
        tool("exec yes", timeout_seconds=0.3).read()


def test_over_the_network_the_password_stands_in_its_file_alone(tool, tmp_path):
    password = tmp_path / "password"
    password.write_text("hidden\n")
    script = f'echo "$@" > {tmp_path}/words\n' + printing(text(power="0 Watts"))
    meter = tool(script, host="bmc", user="reader", password_file=str(password))
    meter.probe()

    assert meter.read().power_watts == 0.0
    words = (tmp_path / "words").read_text()
    assert words.startswith("-I lanplus -N 2 -R 1 -H bmc -p 623 -U reader -f ")
    assert words.endswith(" -L USER dcmi power reading\n")
    assert "hidden" not in words


def test_what_is_missing_is_told_without_running_anything(tool, tmp_path):
    ran = f"touch {tmp_path}/ran"
    with pytest.raises(NotPresent, match="a user is asked for"):
        tool(ran, host="bmc").probe()
    with pytest.raises(NotPresent, match="No such file"):
        tool(ran, host="bmc", user="a", password_file=f"{tmp_path}/none").probe()
    with pytest.raises(NotPresent, match="no IPMI device"):
        IpmiMeter(IpmiConfig(tool="/bin/true"), devices=("/nowhere",)).probe()
    with pytest.raises(NotPresent, match="not on this machine"):
        IpmiMeter(IpmiConfig(tool="/nowhere/ipmitool")).probe()
    assert not (tmp_path / "ran").exists()


@given(st.integers(0, 9_999_999))
def test_every_power_is_read(power):
    assert parse.watts(text(power=f"{power:>20} Watts")) == power


@given(st.text(max_size=300) | st.text(alphabet="Instantaeoupwrdg :0123\nWats", max_size=300))
def test_no_text_breaks_it(printed):
    parse.complaint(printed)
    with pytest.raises(ValueError, match=r"\w"):
        parse.watts(printed)


@pytest.fixture
def controller(tmp_path):
    """Give a management controller of OpenIPMI on a port of its own."""
    simulator, ipmitool = shutil.which("ipmi_sim"), shutil.which("ipmitool")
    if simulator is None or ipmitool is None:
        missing("ipmi_sim or ipmitool is not on this machine; .ci/run installs them")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    auths = "".join(
        f"    allowed_auths_{who} none md2 md5 straight\n"
        for who in ("callback", "user", "operator", "admin")
    )
    (tmp_path / "lan.conf").write_text(
        'name "test"\nset_working_mc 0x20\n  startlan 1\n'
        f"    addr 127.0.0.1 {port}\n    priv_limit admin\n{auths}"
        "    guid a123456789abcdefa123456789abcdef\n  endlan\n"
        '  user 2 true "reader" "hidden" admin 10 none md2 md5 straight\n'
    )
    (tmp_path / "controller.emu").write_text(
        "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\n"
        "mc_enable 0x20\n"
    )
    process = subprocess.Popen(
        [simulator, "-c", "lan.conf", "-f", "controller.emu", "-n", "-s", "state"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + GUARD_SECONDS
    wanted = f"0100007F:{port:04X}"
    while wanted not in Path("/proc/net/udp").read_text():
        assert process.poll() is None, "ipmi_sim ended"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield port
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.peer
def test_ipmitool_logs_in_and_a_controller_without_dcmi_is_told_so(controller, tmp_path):
    password = tmp_path / "password"
    password.write_text("hidden\n")
    settings = {"host": "127.0.0.1", "port": controller, "timeout_seconds": 30.0}

    def error(user):
        meter = IpmiMeter(IpmiConfig(user=user, password_file=str(password), **settings))
        with pytest.raises(ReadingUnavailable) as caught:
            meter.read()
        assert "hidden" not in repr(caught.value)
        return caught.value.reason

    assert "session" not in error("reader"), "it was let in, and DCMI is what is not there"
    assert "session" in error("stranger")
