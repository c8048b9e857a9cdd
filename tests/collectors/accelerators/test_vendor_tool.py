"""Vendors' tools as they are in the field: they hang, shout, fork and write in colours."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import NotPresent, ReadingUnavailable
from collectors.accelerators import vendor_tool
from collectors.accelerators.vendor_tool import LiveTool, RecordedTool, RecordingTool, ToolAnswer

PATIENCE_SECONDS = 20.0


@pytest.fixture
def make_tool(tmp_path):
    """Return a function that writes a tool, a Python program, into a folder of its own."""

    def make(program, *, name="acme-smi", deadline_seconds=PATIENCE_SECONDS, **environment):
        path = tmp_path / name
        path.write_text(f"#!{sys.executable} -I\n{textwrap.dedent(program)}")
        path.chmod(0o755)
        given = {"PATH": f"{tmp_path}:/usr/bin:/bin", **environment}
        return LiveTool(name, deadline_seconds=deadline_seconds, environment=given)

    return make


def assert_ends(pid):
    """Wait for a process to end, whoever its parent is."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert poll.poll(PATIENCE_SECONDS * 1000), f"process {pid} lives on"
    finally:
        os.close(descriptor)


def test_the_answer_is_what_both_streams_printed_and_how_it_ended(make_tool):
    tool = make_tool("""
        import os, sys
        print("to the one:", sys.argv[1:], flush=True)
        print("to the other", file=sys.stderr, flush=True)
        sys.exit(9)
    """)
    answer = tool.run("info", "-i", "0 1")
    assert answer == ToolAnswer(
        text="to the one: ['info', '-i', '0 1']\nto the other\n", exit_status=9
    )
    assert tool.program == "acme-smi"


def test_a_tool_that_dies_of_a_signal_has_answered(make_tool):
    answer = make_tool("import os; print('half', flush=True); os.kill(os.getpid(), 11)").run()
    assert answer == ToolAnswer(text="half\n", exit_status=-11)


def test_the_locale_is_c_whatever_the_operator_speaks(make_tool):
    tool = make_tool(
        """
        import os
        names = ("LC_ALL", "LANG", "LANGUAGE", "COLUMNS", "NO_COLOR", "TERM", "ACME")
        print([os.environ.get(name) for name in names])
        """,
        LC_ALL="zh_CN.GBK",
        LC_MESSAGES="zh_CN",
        LANG="zh_CN.UTF-8",
        LANGUAGE="zh",
        COLUMNS="20",
        TERM="xterm-256color",
        ACME="1",
    )
    assert tool.run().text == "['C', 'C', '', None, '1', 'dumb', '1']\n"


def test_it_reads_nothing_from_us(make_tool):
    assert make_tool("import sys; print(repr(sys.stdin.read()))").run().text == "''\n"


def test_a_tool_that_hangs_is_killed_with_all_that_it_started(make_tool, tmp_path):
    noted = tmp_path / "noted"
    tool = make_tool(
        f"""
        import os, signal, sys, threading
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        read, write = os.pipe()
        if os.fork() == 0:
            if os.fork() == 0:
                os.write(write, str(os.getpid()).encode())
                threading.Event().wait()
            threading.Event().wait()
        grandchild = os.read(read, 20).decode()
        print("half a table", flush=True)
        open({str(noted)!r}, "w").write(f"{{os.getpid()}} {{grandchild}}")
        threading.Event().wait()
        """,
        deadline_seconds=3.0,
    )
    started = time.monotonic()
    with pytest.raises(ReadingUnavailable) as refused:
        tool.run("info")
    assert 3.0 <= time.monotonic() - started < 3.0 + PATIENCE_SECONDS
    assert refused.value.reason == "acme-smi info did not answer within 3 s"
    assert refused.value.hint
    for pid in noted.read_text().split():
        assert_ends(int(pid))


def test_a_tool_that_closed_its_output_is_still_waited_for(make_tool):
    tool = make_tool("import os, time; os.close(1); os.close(2); time.sleep(0.2); os._exit(5)")
    assert tool.run() == ToolAnswer(text="", exit_status=5)


def test_what_it_leaves_running_is_not_waited_for_and_does_not_stay(make_tool, tmp_path):
    noted = tmp_path / "noted"
    tool = make_tool(f"""
        import os, threading
        if os.fork() == 0:
            open({str(noted)!r}, "w").write(str(os.getpid()))
            threading.Event().wait()
        while not os.path.exists({str(noted)!r}) or not os.path.getsize({str(noted)!r}):
            os.sched_yield()
        print("table", flush=True)
    """)
    started = time.monotonic()
    assert tool.run().text == "table\n"
    assert time.monotonic() - started < PATIENCE_SECONDS
    assert_ends(int(noted.read_text()))


def test_a_daemon_that_it_starts_costs_no_descriptor_and_no_time(make_tool, tmp_path):
    # It left the group on purpose, and holds the tool's output open.
    noted = tmp_path / "noted"
    tool = make_tool(f"""
        import os, threading
        read, write = os.pipe()
        if os.fork() == 0:
            os.setsid()
            open({str(noted)!r}, "a").write(f"{{os.getpid()}} ")
            os.write(write, b"x")
            threading.Event().wait()
        os.read(read, 1)
        print("table", flush=True)
    """)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    try:
        for _ in range(3):
            assert tool.run().text == "table\n"
        assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    finally:
        for pid in noted.read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), 9)


def test_a_tool_that_prints_without_end_is_stopped(make_tool, tmp_path):
    noted = tmp_path / "noted"
    tool = make_tool(f"""
        import os
        open({str(noted)!r}, "w").write(str(os.getpid()))
        while True:
            os.write(1, b"x" * 65536)
    """)
    with pytest.raises(ReadingUnavailable, match="printed more than 4194304 bytes"):
        tool.run()
    assert_ends(int(noted.read_text()))


def test_as_much_as_is_allowed_is_read_to_the_last_byte(make_tool):
    most = vendor_tool.MAX_OUTPUT_BYTES
    tool = make_tool(f"import sys; sys.stdout.write('x' * {most - 1} + 'y')")
    text = tool.run().text
    assert (len(text), text[-1]) == (most, "y")


def test_beside_one_that_cannot_be_killed_none_is_started(make_tool, tmp_path, monkeypatch):
    """No process can be made to hang in the kernel here: one that no signal reaches is as good."""
    noted = tmp_path / "noted"
    tool = make_tool(
        f"""
        import os, threading
        open({str(noted)!r}, "a").write(f"{{os.getpid()}} ")
        if not os.path.exists({str(tmp_path / "well")!r}):
            threading.Event().wait()
        print("well again")
        """,
        deadline_seconds=2.0,
    )
    with monkeypatch.context() as patched:
        patched.setattr(vendor_tool, "_kill_group", lambda process: None)
        patched.setattr(vendor_tool, "_REAP_SECONDS", 0.05)
        with pytest.raises(ReadingUnavailable, match="did not answer"):
            tool.run("info")
    (pid,) = noted.read_text().split()
    with pytest.raises(ReadingUnavailable) as refused:
        tool.run("info")
    assert refused.value.reason == f"an earlier acme-smi (process {pid}) hangs in the kernel"
    assert "dmesg" in (refused.value.hint or "")
    assert noted.read_text().split() == [pid]

    (tmp_path / "well").touch()
    os.kill(int(pid), 9)
    assert_ends(int(pid))
    assert tool.run("info").text == "well again\n"


def test_the_tool_is_in_a_group_of_its_own_inside_our_session(make_tool):
    tool = make_tool("import os; print(os.getpgid(0) == os.getpid(), os.getsid(0))")
    assert tool.run().text == f"True {os.getsid(0)}\n"


def test_one_that_is_not_there_is_not_present():
    tool = LiveTool("acme-smi", environment={"PATH": "/nonexistent"})
    with pytest.raises(NotPresent, match="acme-smi is not on this machine"):
        tool.find()


def test_one_that_may_not_be_run_is_not_present_and_says_why_when_it_is_run(tmp_path):
    path = tmp_path / "acme-smi"
    path.write_text("#!/bin/sh\n")
    path.chmod(stat.S_IRUSR)
    tool = LiveTool(str(path))
    with pytest.raises(NotPresent):
        tool.find()
    with pytest.raises(ReadingUnavailable, match="acme-smi info could not be started: Permission"):
        tool.run("info")


@pytest.mark.parametrize(
    ("content", "reason"),
    [("#!/nonexistent/python\n", "No such file"), ("neither script nor program", "Exec format")],
)
def test_one_that_cannot_be_started_says_why(tmp_path, content, reason):
    path = tmp_path / "acme-smi"
    path.write_text(content)
    path.chmod(0o755)
    tool = LiveTool(str(path))
    tool.find()
    with pytest.raises(ReadingUnavailable, match=f"could not be started: {reason}"):
        tool.run()


def test_a_name_that_no_program_can_have_is_refused_in_words():
    with pytest.raises(ReadingUnavailable, match="could not be started"):
        LiveTool("acme\0smi").run()


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("温度: 40".encode(), "温度: 40"),
        ("温度: 40".encode("gbk"), "温度: 40"),
        ("功率 30 W\n".encode("gb18030"), "功率 30 W\n"),
        (b"\x1b[1;32mOK\x1b[0m", "OK"),
        (b"\x1b[2J\x1b[H| 0 |\x1b[K\r\n", "| 0 |\n"),
        (b"\x1b]0;acme\x07table", "table"),
        (b"\x1b]0;acme\x1b\\table", "table"),
        (b"\x1b(Btable", "table"),
        (b"a\r\nb\rc\n", "a\nb\nc\n"),
        (b"a\x00b\x00", "ab"),
        (b"\xff\xfe\xff", "\ufffd" * 3),
        (b"", ""),
    ],
)
def test_any_output_becomes_plain_text(output, text):
    assert vendor_tool.decode(output) == text


@given(st.binary())
def test_no_output_is_too_strange(output):
    text = vendor_tool.decode(output)
    assert not set("\x00\r") & set(text)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])))
def test_utf_8_is_read_as_it_is(text):
    assert vendor_tool.decode(text.encode()) == text


def test_what_was_recorded_is_played_back_and_nothing_else(make_tool):
    recording = RecordingTool(make_tool("import sys; print(*sys.argv[1:]); sys.exit(2)"))
    recording.find()
    assert recording.run("info", "-i", "0").exit_status == 2

    played = RecordedTool(recording.program, recording.answers)
    played.find()
    assert played.run("info", "-i", "0") == ToolAnswer(text="info -i 0\n", exit_status=2)
    with pytest.raises(ReadingUnavailable, match="acme-smi info -i 1 is not in the recording"):
        played.run("info", "-i", "1")


def test_a_command_that_gave_no_answer_is_not_recorded(make_tool):
    recording = RecordingTool(LiveTool("acme-smi", environment={"PATH": "/nonexistent"}))
    with pytest.raises(ReadingUnavailable):
        recording.run("info")
    assert recording.answers == {}
    with pytest.raises(NotPresent, match="not in the recording"):
        RecordedTool("acme-smi", recording.answers).find()


def test_the_path_of_a_program_is_not_its_name(tmp_path):
    assert LiveTool(str(Path("/opt/acme/bin/acme-smi"))).program == "acme-smi"
