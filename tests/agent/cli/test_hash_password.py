"""The command `hash-password`: from a terminal, and from another program."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import select
import subprocess
import sys

import pytest

from agent.security.password_hashes import PasswordHash

PASSWORD = "open-sesame-芝麻开门"


@pytest.fixture
def piped(operator, monkeypatch):
    """Return a function that runs the command with bytes on its standard input."""

    def run(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        return operator("hash-password")

    return run


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_line_becomes_a_hash_that_only_its_password_fits(piped, end):
    done = piped(f"{PASSWORD}{end}".encode())
    assert (done.status, done.err) == (0, "")
    kept = PasswordHash.parse(done.out.strip())
    assert kept.matches(PASSWORD)
    assert not kept.matches(PASSWORD + end + " ")
    assert PASSWORD not in done.out


def test_the_same_password_never_has_the_same_hash(piped):
    assert piped(b"one").out != piped(b"one").out


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"one\ntwo\n", "one line"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * 1025, "more than 1024 bytes"),
        (b"x" * 5000, "more than 1024 bytes"),
    ],
)
def test_what_can_be_no_password_is_refused_and_not_shown(piped, data, words):
    done = piped(data)
    assert (done.status, done.out) == (2, "")
    assert words in done.err
    assert "xx" not in done.err


@pytest.fixture
def typed():
    """Return a function that runs the command at a terminal and answers each of its questions."""

    def run(*lines):
        terminal, its_end = pty.openpty()
        program = subprocess.Popen(
            [sys.executable, "-I", "-m", "agent", "hash-password"],
            stdin=its_end,
            stdout=subprocess.PIPE,
            stderr=its_end,
            start_new_session=True,
        )
        os.close(its_end)
        shown = b""
        try:
            for count, line in enumerate(lines, start=1):
                # What is typed before the question is dropped with the echo.
                while shown.count(b": ") < count:
                    ready, _, _ = select.select([terminal], [], [], 30)
                    assert ready, shown
                    shown += os.read(terminal, 1024)
                os.write(terminal, line.encode() + b"\n")
            out, _ = program.communicate(timeout=30)
            with contextlib.suppress(OSError):
                while data := os.read(terminal, 1024):
                    shown += data
        finally:
            program.kill()
            program.wait()
            os.close(terminal)
        return program.returncode, out.decode(), shown.decode()

    return run


def test_a_password_is_asked_for_twice_and_not_shown(typed):
    code, out, shown = typed(PASSWORD, PASSWORD)
    assert code == 0
    assert PasswordHash.parse(out.strip()).matches(PASSWORD)
    assert PASSWORD not in shown


def test_two_that_differ_make_no_hash(typed):
    code, out, shown = typed("one", "another")
    assert (code, out) == (2, "")
    assert "not the same" in shown
