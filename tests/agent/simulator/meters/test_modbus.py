"""A simulated Modbus meter, asked by mbpoll and by hand."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess

import pytest

from agent.simulator.meters.modbus import answer
from tests.agent.simulator.meters.conftest import meter

REGISTERS = {0: 7, 1: 0xFFFF, 9: 1}


def ask(function, address, count):
    return struct.pack(">BHH", function, address, count)


def mbpoll(require_program, port, *words):
    ended = subprocess.run(
        [require_program("mbpoll"), "-1", "-0", "-a", "1", *words, "-p", str(port), "127.0.0.1"],
        check=False,
        timeout=30,
        capture_output=True,
        text=True,
    )
    return ended.stdout + ended.stderr


@pytest.mark.parametrize("function", [3, 4])
def test_registers_are_told(function):
    assert answer(ask(function, 0, 2), unit=1, registers=REGISTERS) == bytes(
        [function, 4, 0, 7, 0xFF, 0xFF]
    )


@pytest.mark.parametrize(
    ("message", "unit", "code"),
    [
        (ask(3, 0, 3), 1, 2),
        (ask(3, 65535, 2), 1, 2),
        (ask(3, 0, 0), 1, 3),
        (ask(3, 0, 126), 1, 3),
        (ask(3, 0, 1) + b"\0", 1, 3),
        (b"\x03", 1, 3),
        (ask(6, 0, 1), 1, 1),
        (ask(3, 0, 1), 2, 11),
    ],
)
def test_what_cannot_be_told_is_an_exception_of_modbus(message, unit, code):
    assert answer(message, unit=unit, registers=REGISTERS) == bytes([message[0] | 0x80, code])


@pytest.mark.peer
def test_mbpoll_reads_the_registers_of_a_schneider_meter(bench, require_program):
    bench.start(meter("schneider-pm5000", start="1234567.891"))
    bench.second = 3600
    shown = mbpoll(require_program, bench.port(), "-r", "3203", "-c", "4", "-t", "4:hex")
    words = [line.partition("0x")[2][:4] for line in shown.splitlines() if "0x" in line]
    assert int("".join(words), 16) == 1_234_567_891 + 36_000
    shown = mbpoll(require_program, bench.port(), "-r", "3059", "-c", "1", "-t", "4:float", "-B")
    assert "[3059]: \t36\n" in shown


@pytest.mark.peer
def test_mbpoll_finds_the_marker_of_sunspec_and_no_register_behind_its_end(bench, require_program):
    bench.start(meter("sunspec"))
    shown = mbpoll(require_program, bench.port(), "-r", "40000", "-c", "2", "-t", "4:hex")
    assert "0x5375" in shown
    assert "0x6E53" in shown
    shown = mbpoll(require_program, bench.port(), "-r", "40179", "-c", "1", "-t", "4:hex")
    assert "Illegal data address" in shown


@pytest.mark.parametrize(
    "frame",
    [
        b"\0\1\0\7\0\6\1" + ask(3, 0, 1),  # another protocol than Modbus
        b"\0\1\0\0\0\1\1",  # no message
        b"\0\1\0\0\xff\xff\1" + ask(3, 0, 1),  # longer than any
    ],
    ids=lambda frame: frame.hex(),
)
def test_what_is_no_frame_ends_the_connection(bench, frame):
    bench.start(meter("sunspec"))
    with socket.create_connection(("127.0.0.1", bench.port()), timeout=10) as line:
        line.sendall(frame)
        with contextlib.suppress(ConnectionResetError):
            assert line.recv(100) == b""


def test_two_questions_in_one_piece_and_one_in_two_are_answered(bench):
    bench.start(meter("sunspec"))
    first = b"\0\1\0\0\0\6\1" + ask(3, 40000, 2)
    second = b"\0\2\0\0\0\6\1" + ask(4, 40000, 1)
    with socket.create_connection(("127.0.0.1", bench.port()), timeout=10) as line:
        line.sendall(first + second[:5])
        line.sendall(second[5:])
        received = b""
        while len(received) < 24:
            received += line.recv(100)
    assert received == b"\0\1\0\0\0\7\1\3\4SunS" + b"\0\2\0\0\0\5\1\4\2Su"
