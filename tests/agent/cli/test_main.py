"""What holds for every command."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import agent
from agent.cli.main import COMMANDS, DEFAULT_CONFIG

ON_A_CONFIGURATION = [
    ["run"],
    ["check-config"],
    ["print-config"],
    ["collect"],
    ["plugins"],
    ["register"],
    ["unregister"],
    ["status"],
    ["sm2", "probe"],
]


def start(*words, flags=("-I",), **options):
    """Run the command as the service does: -I keeps PYTHONUNBUFFERED out, too."""
    return subprocess.run(
        [sys.executable, *flags, "-m", "agent", *words],
        check=False,
        timeout=60,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS), ["sm2", "probe"]], ids=str)
def test_help_shows_an_example(operator, words):
    asked = operator(*words, "--help")
    assert asked.status == 0
    assert asked.err == ""
    example = asked.out.split("example:\n", 1)[1]
    assert re.match(rf"  .*computility-agent {' '.join(words)}", example)


def test_help_names_every_command(operator):
    asked = operator("--help")
    for name, text in COMMANDS.items():
        assert re.search(rf"^ +{name}\s+{re.escape(text[:30])}", asked.out, re.MULTILINE)


def test_the_version_is_that_of_the_package(operator):
    asked = operator("--version")
    assert (asked.status, asked.out) == (0, f"{agent.__version__}\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "required: COMMAND"),
        (["colect"], "invalid choice: 'colect'"),
        (["status", "--bogus"], "unrecognized arguments: --bogus"),
        (["collect", "--js"], "unrecognized arguments: --js"),
        (["sm2"], "required: ACTION"),
        (["sm2", "prove"], "invalid choice: 'prove'"),
        (["status", "--socket"], "expected one argument"),
        (["collect", "city"], "unrecognized arguments: city"),
    ],
    ids=str,
)
def test_an_unknown_word_ends_with_2_and_the_usage(operator, words, says):
    asked = operator(*words)
    assert (asked.status, asked.out) == (2, "")
    assert asked.err.startswith("usage: computility-agent")
    assert says in asked.err


@pytest.mark.parametrize("words", ON_A_CONFIGURATION, ids=" ".join)
def test_the_default_configuration_is_where_the_package_puts_it(operator, words, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert str(DEFAULT_CONFIG) == "/etc/computility-agent/config.yaml"
    assert str(DEFAULT_CONFIG) in operator(*words, "--help").out


NODE = 'node: {code: "11010800005020000001", type: AI_BOX}\n'

BAD_FILES = {
    "empty": (b"", ": the file is empty; at least node.code and node.type"),
    "binary": (b"\x7fELF\x00\x01\x02\xfe\xff", ":1:8: the byte 0xfe is not UTF-8"),
    "not YAML": (b"node: {code: [\n", ":2:1: "),
    "a list": (b"- node\n", ":1:1: "),
    "unknown key": (
        NODE.encode() + b"colect: {}\n",
        ':2:1: colect: unknown setting; did you mean "collect"?',
    ),
    "bad code": (b"node: {code: 123, type: AI_BOX}\n", ":1:14: node.code: "),
    "bad type": (
        b'node:\n  code: "11010800005020000001"\n  type: AI_BOXX\n',
        ":3:9: node.type: ",
    ),
    "too small": (
        NODE.encode() + b"collect:\n  interval_seconds: 0.5\n",
        ":3:21: collect.interval_seconds: ",
    ),
    "missing secret": (
        NODE.encode() + b"device_api:\n  password_file: nowhere\n",
        ":3:18: device_api.password_file: there is no file ",
    ),
}


@pytest.mark.parametrize("words", ON_A_CONFIGURATION, ids=" ".join)
@pytest.mark.parametrize("bad", BAD_FILES)
def test_a_bad_file_ends_with_2_and_is_named_with_its_place(operator, words, bad):
    content, says = BAD_FILES[bad]
    path = operator.folder / "config.yaml"
    path.write_bytes(content)
    asked = operator(*words, "--config", path)
    assert (asked.status, asked.out) == (2, "")
    assert asked.err.startswith(f"computility-agent: {path}{says}")
    assert all(line.startswith("computility-agent: ") for line in asked.err.splitlines())


@pytest.mark.parametrize("words", ON_A_CONFIGURATION, ids=" ".join)
def test_a_file_that_cannot_be_read_ends_with_2(operator, words):
    names = ("missing", "here", "password/x", "socket")
    missing, folder, behind, peer = (operator.folder / name for name in names)
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(peer))
    for path, says in (
        (peer, "cannot be read: No such device or address"),
        (missing, "there is no such file; see config.example.yaml"),
        (folder, "cannot be read: Is a directory"),
        (behind, "cannot be read: Not a directory"),
    ):
        asked = operator(*words, "--config", path)
        assert (asked.status, asked.out) == (2, "")
        assert asked.err == f"computility-agent: {path}: {says}\n"


@pytest.mark.parametrize("words", [["--help"], ["print-config"]], ids=" ".join)
def test_a_reader_who_goes_away_is_no_fault(operator, words):
    more = [] if words == ["--help"] else ["--config", str(operator.write(NODE))]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        ended = start(*words, *more, stdout=nobody)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_full_disk_is_said_in_words(operator):
    with Path("/dev/full").open("wb") as full:
        ended = start("print-config", "--config", str(operator.write(NODE)), stdout=full)
    assert ended.returncode == 1
    assert ended.stderr == (
        "computility-agent: the output cannot be written: No space left on device\n"
    )


def test_a_terminal_without_the_characters_is_no_fault(operator):
    path = operator.configure({}, device_api={"username": "城市", "password_file": "password"})
    ended = start(
        "print-config",
        "--config",
        str(path),
        flags=(),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert r"\u57ce\u5e02" in ended.stdout


def test_a_command_imports_no_other():
    program = (
        "import sys; from agent.cli.main import main; status = main(['status', '--socket', '/-']);"
        "print(status, sorted({'agent.simulator', 'agent.app.build', 'falcon', 'waitress',"
        " 'requests', 'pynvml'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=60, capture_output=True, text=True
    )
    assert ended.stdout == "1 []\n"
