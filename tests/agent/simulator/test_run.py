"""The command: its flags, its key file, its log, its end."""

from __future__ import annotations

import argparse
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from agent.security import sm2
from agent.security.keys import read_public_key
from agent.simulator import key_file, run

PROGRAM = """
import argparse, sys
from agent.simulator import run
parser = argparse.ArgumentParser(prog="computility-agent simulate")
run.add_arguments(parser)
sys.exit(run.run_from_arguments(parser.parse_args()))
"""


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    return parser.parse_args(words)


def start(*words: str, cwd: Path, encoding: str = "utf-8") -> subprocess.Popen[str]:
    root = str(Path(run.__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--listen", "127.0.0.1:0", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": root, "PYTHONIOENCODING": encoding},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


def test_the_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "computility-agent simulate --listen" in text
    for fault in ("refuse", "black_hole", "restart"):
        assert fault in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--listen", "8088"], "ADDRESS:PORT"),
        (["--listen", "127.0.0.1:99999"], "ADDRESS:PORT"),
        (["--lost-after", "0"], "from 0 to 86400"),
        (["--poll-seconds", "nan"], "from 0 to 86400"),
        (["--poll-seconds", "soon"], "not a number"),
        (["--public-url", "192.0.2.1:8088"], "is not http://ADDRESS:PORT"),
        (["--fault", "refuse:Registre"], "operation must be one of"),
        (["--fault", "error,cuont=1"], "did you mean count"),
    ],
)
def test_a_bad_flag_ends_with_2_and_says_what_to_write(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(*words)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_a_key_is_made_once_and_its_public_half_every_time(tmp_path: Path) -> None:
    path = tmp_path / "platform.sm2.pem"
    key = key_file.load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key_file.public_path(path).unlink()
    assert key_file.load_or_create(path).public_key == key.public_key
    assert read_public_key(tmp_path / "platform.sm2.pem.pub.pem") == key.public_key


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--key", "missing/key.pem"], "missing/key.pem"),
        (["--key", "note.txt"], "note.txt"),
        (["--state", "note.txt"], "cannot be used as the state file"),
        (["--tls-certificate", "note.txt"], "note.txt"),
        (["--device-https", "--device-ca", "note.txt"], "note.txt"),
        (["--listen", "192.0.2.1:1"], "cannot listen on 192.0.2.1:1"),
        (["--auth-listen", "192.0.2.1:1"], "cannot listen on 192.0.2.1:1"),
        (["--packages", "missing"], "missing cannot be used as the folder of packages"),
    ],
)
def test_what_cannot_be_used_is_named_and_ends_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "note.txt").write_text("a note")
    arguments = parse("--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", *words)
    assert run.run_from_arguments(arguments) == 2
    assert says in capsys.readouterr().err


def test_it_tells_a_program_what_happens_and_ends_with_0(
    tmp_path: Path, registration: dict[str, Any]
) -> None:
    process = start("--json", "--no-control", "--poll-seconds", "0", cwd=tmp_path)
    assert process.stdout is not None
    lines = [json.loads(process.stdout.readline()) for _ in range(2)]
    facts = next(line for line in lines if line["kind"] == "start")
    public_key = read_public_key(tmp_path / facts["public_key_file"])
    assert public_key.fingerprint == facts["fingerprint"]
    message = {
        **registration,
        "Password": sm2.encrypt(public_key, b"secret", layout=sm2.Layout(der=True)),
    }
    url = f"{facts['platform']}/ACSMP/Register"
    assert requests.post(url, json=message, timeout=5).status_code == 200
    event = json.loads(process.stdout.readline())
    assert event["details"]["password_layout"] == "DER, hex"
    process.send_signal(signal.SIGTERM)
    assert finish(process) == (0, "", "")


def test_it_goes_on_when_nobody_reads_its_log(tmp_path: Path) -> None:
    process = start("--control", "127.0.0.1:0", "--poll-seconds", "0", cwd=tmp_path)
    assert process.stdout is not None
    platform = next(line.split()[1] for line in process.stdout if line.startswith("platform "))
    process.stdout.close()
    for _ in range(3):
        answer = requests.post(f"{platform}/ACSMP/Keepalive", json={}, timeout=5)
        assert answer.status_code == 400
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def test_it_tells_a_person_what_happens_even_without_utf_8(tmp_path: Path) -> None:
    process = start(
        "--control", "127.0.0.1:0", "--poll-seconds", "0", cwd=tmp_path, encoding="ascii"
    )
    assert process.stdout is not None
    seen = []
    while not seen or "Ctrl-C" not in seen[-1]:
        seen.append(process.stdout.readline())
        assert seen[-1], process.stderr
    platform = next(line.split()[1] for line in seen if line.startswith("platform "))
    message = {"Code": "11010800005020000001", "备注": 1}
    requests.post(f"{platform}/ACSMP/Keepalive", json=message, timeout=5)
    process.send_signal(signal.SIGINT)
    status, out, err = finish(process)
    assert (status, err) == (0, "")
    assert "BEGIN PUBLIC KEY" in "".join(seen)
    assert "refused Keepalive from 127.0.0.1: 11010800005020000001 is not registered" in out


def test_it_serves_a_folder_of_packages_and_says_yes_to_services(tmp_path: Path) -> None:
    (tmp_path / "algorithms").mkdir()
    (tmp_path / "algorithms" / f"{'1' * 40}.tar").write_bytes(b"package")
    words = ["--packages", "algorithms", "--auth-listen", "127.0.0.1:0"]
    words += ["--public-url", "http://192.0.2.1:8088/", "--control", "127.0.0.1:0"]
    process = start("--json", "--poll-seconds", "0", *words, cwd=tmp_path)
    assert process.stdout is not None
    lines = [json.loads(process.stdout.readline()) for _ in range(2)]
    facts = next(line for line in lines if line["kind"] == "start")
    state = requests.get(f"{facts['control']}/_control/state", timeout=5).json()
    (package,) = state["packages"]
    assert package["url"] == f"http://192.0.2.1:8088/packages/{'1' * 40}"
    answer = requests.get(f"{facts['platform']}/packages/{'1' * 40}", timeout=5)
    assert answer.content == b"package"
    assert requests.get(f"http://{facts['authorisation']}/", timeout=5).json()["Code"] == 0
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 0
