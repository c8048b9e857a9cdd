"""The flags of the monitoring platform, and the command that serves it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from agent.errors import PermanentError
from agent.security import sm2
from agent.simulator import run
from agent.simulator.monitoring import flags
from agent.simulator.monitoring.settings import (
    AskedCentre,
    MonitoringSettings,
    SignEncoding,
    SignScheme,
)
from tests.agent.simulator.monitoring.conftest import PROJECT

PROGRAM = """
import argparse, sys
from agent.simulator import run
parser = argparse.ArgumentParser(prog="computility-agent simulate")
run.add_arguments(parser)
sys.exit(run.run_from_arguments(parser.parse_args()))
"""


def settings_of(*words: str) -> MonitoringSettings:
    parser = argparse.ArgumentParser()
    flags.add_arguments(parser)
    return flags.settings_of(parser.parse_args(words))


def test_without_flags_there_is_one_user_and_no_signature() -> None:
    settings = settings_of()
    assert settings == MonitoringSettings()
    assert (dict(settings.users), settings.sign) == ({"simulator": "simulator"}, None)


def test_every_flag_is_a_setting(tmp_path: Path) -> None:
    settings = settings_of(
        *("--user", "city:p:w", "--user", "other:x", "--token-seconds", "60"),
        *("--sign-secret", "geheim", "--sign-encoding", "base64", "--sign-raw-body"),
        *("--sign-login", "--http-statuses", "--open-groups"),
        *("--ask-centre", "http://192.0.2.10:8124,centerId=7,seconds=0"),
        *("--ask-centre", "https://192.0.2.11/x,centerName=示例,username=a,password=b"),
    )
    assert settings.users == {"city": "p:w", "other": "x"}
    assert (settings.token_seconds, settings.uses_http_statuses) == (60, True)
    assert settings.has_open_groups
    assert settings.sign is not None
    assert (settings.sign.scheme, settings.sign.secret) == (SignScheme.HMAC_SM3, "geheim")
    assert settings.sign.encoding is SignEncoding.BASE64
    assert settings.sign.covers_raw_body
    assert settings.sign.signs_login
    assert settings.asked == (
        AskedCentre(url="http://192.0.2.10:8124", centre_id=7, period_seconds=None),
        AskedCentre(url="https://192.0.2.11/x", centre_name="示例", username="a", password="b"),
    )
    assert "geheim" not in repr(settings.sign)


def test_sm2_takes_the_key_of_the_other_side(tmp_path: Path) -> None:
    key = sm2.generate_key_pair().public_key
    path = tmp_path / "agent.pub.pem"
    path.write_text(key.to_pem(), encoding="ascii")
    settings = settings_of("--sign", "sm2", "--sign-public-key", str(path))
    assert settings.sign is not None
    assert settings.sign.public_key == key


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--user", "city"], "is not NAME:PASSWORD"),
        (["--user", ":x"], "is not NAME:PASSWORD"),
        (["--token-seconds", "0"], "from 1 to 31536000"),
        (["--token-seconds", "an hour"], "from 1 to 31536000"),
        (["--sign", "rot13"], "rot13"),
        (["--ask-centre", "http://x,centerId"], "is not KEY=VALUE"),
        (["--ask-centre", "http://x,id=7"], "unknown key 'id'"),
    ],
)
def test_a_bad_flag_says_what_to_write(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        settings_of(*words)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--sign", "hmac-sha256"], "needs --sign-secret"),
        (["--sign", "sm2"], "needs --sign-public-key"),
        (["--sign-login"], "need --sign"),
        (["--sign", "sm2", "--sign-public-key", "missing.pem"], "missing.pem"),
    ],
)
def test_flags_that_do_not_fit_together_are_refused(words: list[str], says: str) -> None:
    with pytest.raises(PermanentError, match=says):
        settings_of(*words)


def test_the_command_serves_it_beside_the_other_platform(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", PROGRAM, "--json", "--listen", "127.0.0.1:0"),
            *("--control", "127.0.0.1:0", "--user", "city:secret", "--state", "platform.db"),
            *("--ask-centre", "http://127.0.0.1:1,centerId=7"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(run.__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines: dict[str, Any] = {}
        for line in process.stdout:
            told = json.loads(line)
            lines.setdefault(told["kind"], told)
            if {"start", "asked"} <= set(lines):
                break
        start = lines["start"]
        assert start["monitoring"] == [{"username": "city", "password": "secret"}]
        made = make_project(start["platform"])
        state = requests.get(f"{start['control']}/_control/monitoring", timeout=5).json()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 0
    assert made == {"code": 200, "data": "1"}
    assert [each["projectName"] for each in state["projects"]] == [PROJECT["projectName"]]
    assert "cannot connect" in lines["asked"]["text"]


def make_project(url: str) -> Any:
    login = {"username": "city", "password": "secret"}
    token = requests.post(f"{url}/api/token", json=login, timeout=5).json()["token"]
    headers = {"token": token}
    return requests.post(f"{url}/api/project", json=PROJECT, headers=headers, timeout=5).json()


@pytest.mark.parametrize(
    ("centre", "says"),
    [
        ("ftp://x,centerId=1", "is not http://ADDRESS:PORT"),
        ("http://x", "needs an id or a name"),
    ],
)
def test_a_centre_that_cannot_be_asked_ends_the_command(
    centre: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    words = ["--listen", "127.0.0.1:0", "--no-control", "--ask-centre", centre]
    assert run.run_from_arguments(parser.parse_args(words)) == 2
    assert says in capsys.readouterr().err
