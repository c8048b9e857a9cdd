"""The command in this process, and a folder with what a configuration names."""

from __future__ import annotations

import ctypes.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from agent.security import sm2
from agent.security.keys import PrivateKey

PASSWORD = "open-sesame-芝麻开门"


@dataclass(frozen=True)
class Outcome:
    """Is what an operator sees of a command."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Is the output as JSON."""
        return json.loads(self.out)

    @property
    def complaints(self) -> list[str]:
        """Are the lines on standard error that are no warnings."""
        return [line for line in self.err.splitlines() if not line.startswith("warning: ")]


@dataclass(frozen=True)
class Operator:
    """Runs commands in a folder of its own."""

    folder: Path
    key: PrivateKey
    capture: pytest.CaptureFixture[str]

    def __call__(self, *words: str | Path) -> Outcome:
        """Run a command; none of them may show a traceback."""
        try:
            status = main([str(word) for word in words])
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
        out, err = self.capture.readouterr()
        assert "Traceback" not in err
        return Outcome(status, out, err)

    def write(self, text: str) -> Path:
        """Write a configuration and return its path."""
        path = self.folder / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    def configure(self, *platforms: dict[str, Any], **sections: Any) -> Path:
        """Write a configuration that is good, with these platforms and sections."""
        settings = {
            "node": {
                "code": "11010800005020000001",
                "type": "AI_BOX",
                "state_dir": str(self.folder),
            },
            "device_api": {"listen": "127.0.0.1:8123", "password_file": "password"},
            "acsmp": [
                {
                    "name": "city",
                    "url": "https://acsmp.example",
                    "sm2_public_key_file": "city.pem",
                    **one,
                }
                for one in platforms
            ],
            **sections,
        }
        return self.write(json.dumps(settings, ensure_ascii=False, indent=1))


@pytest.fixture
def operator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Operator:
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n", encoding="utf-8")
    password.chmod(0o600)
    key = sm2.generate_key_pair()
    (tmp_path / "city.pem").write_text(key.public_key.to_pem())
    return Operator(tmp_path, key, capsys)


@pytest.fixture
def without_cards(request: pytest.FixtureRequest) -> None:
    """Let no NVIDIA card be found, also on a machine that has some."""
    if ctypes.util.find_library("nvidia-ml") is not None:
        request.getfixturevalue("play_cards")("no-driver")


@pytest.fixture
def play_cards(nvml_stub: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that puts a scenario's cards into this machine."""

    def play(scenario: str) -> None:
        environment = nvml_stub.environment(nvml_stub.scenario(scenario))
        for name in ("LD_LIBRARY_PATH", "NVML_STUB_SCENARIO"):
            monkeypatch.setenv(name, environment[name])

    return play
