"""A simulated SNMP meter, asked by net-snmp's own tools."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest

from tests.agent.simulator.meters.conftest import meter

pytestmark = pytest.mark.peer

ENERGY = ".1.3.6.1.4.1.318.1.1.26.4.3.1.9.1"
PULSES = ".1.3.6.1.4.1.32473.1.1.0"


@pytest.fixture
def ask(bench, require_program, tmp_path):
    """Return a function that runs one of net-snmp's tools."""

    def run(program, *words, community="public", version="2c"):
        return subprocess.run(
            [
                require_program(program),
                *("-v", version, "-c", community, "-On", "-r", "0", "-t", "5"),
                f"127.0.0.1:{bench.port()}",
                *words,
            ],
            env={**os.environ, "SNMP_PERSISTENT_DIR": str(tmp_path), "MIBS": ""},
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )

    return run


def test_snmpget_reads_energy_in_steps_of_a_tenth_of_a_kilowatt_hour(bench, ask):
    bench.start(meter("apc-rpdu2"))
    bench.second = 1800
    assert ask("snmpget", ENERGY).stdout == f"{ENERGY} = INTEGER: 5180\n"


def test_snmpget_reads_a_counter_of_litres(bench, ask):
    bench.start(meter("water-counter"))
    bench.second = 3600
    assert ask("snmpget", PULSES).stdout == f"{PULSES} = Counter32: 590\n"


@pytest.mark.parametrize("program", ["snmpwalk", "snmpbulkwalk"])
def test_a_walk_finds_every_object_once_and_in_order(bench, ask, program):
    bench.start(meter("raritan-px2"))
    shown = ask(program, ".1.3").stdout.splitlines()
    found = [line.partition(" = ")[0] for line in shown if "No more variables" not in line]
    places = [tuple(map(int, oid[1:].split("."))) for oid in found]
    assert places == sorted(set(places))
    assert len(places) == 12
    assert ".1.3.6.1.4.1.13742.6.5.2.3.1.4.1.1.8 = Gauge32: 500000" in shown


def test_what_is_not_there_is_told_so(bench, ask):
    bench.start(meter("apc-rpdu2"))
    assert "No Such Object" in ask("snmpget", ".1.3.6.1.4.1.318.1.1.26.4.3.1.9.2").stdout


def test_nothing_can_be_written(bench, ask):
    bench.start(meter("apc-rpdu2"))
    ended = ask("snmpset", ENERGY, "i", "1")
    assert "notWritable" in ended.stderr
    assert "5000" in ask("snmpget", ENERGY).stdout


def test_another_community_and_another_version_are_not_answered(bench, ask, require_program):
    bench.start(meter("apc-rpdu2"))
    for words in ({"community": "private"}, {"version": "1"}):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.bind(("127.0.0.1", 0))
            ended = subprocess.run(
                [
                    require_program("snmpget"),
                    *("-v", words.get("version", "2c"), "-c", words.get("community", "public")),
                    *("-r", "0", "-t", "0.3", f"127.0.0.1:{bench.port()}", ENERGY),
                ],
                check=False,
                capture_output=True,
                text=True,
                timeout=30,
            )
        assert "Timeout" in ended.stderr
    assert ask("snmpget", ENERGY).returncode == 0
