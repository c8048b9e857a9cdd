"""The configuration that the packages install is inert, and good once it is filled in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from agent.app import loading
from agent.errors import ConfigError

SHIPPED = Path(__file__).resolve().parents[2] / "packaging/config.yaml"


@pytest.fixture
def text(tmp_path):
    """Return the configuration with its files in a folder of the test."""
    return SHIPPED.read_text(encoding="utf-8").replace(
        "/etc/computility-agent/device", f"{tmp_path}/device"
    )


def write(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def fill_in(tmp_path, text):
    password = tmp_path / "device-api.password"
    password.write_text("secret\n")
    password.chmod(0o600)
    return text.replace('code: ""', 'code: "11010800005020000001"')


def test_as_shipped_it_asks_for_the_code_and_the_password(tmp_path, text):
    with pytest.raises(ConfigError) as caught:
        loading.load_all(write(tmp_path, text))
    problems = str(caught.value).splitlines()
    assert len(problems) == 2
    assert "node.code" in problems[0]
    assert "device_api.password_file" in problems[1]


def test_filled_in_it_is_good(tmp_path, text):
    loaded = loading.load_all(write(tmp_path, fill_in(tmp_path, text)))
    assert loaded.settings.node.code == "11010800005020000001"
    assert loaded.settings.acsmp == ()


def test_its_platform_is_a_whole_one_without_the_marks(tmp_path, text):
    uncommented = re.sub(r"(?m)^( *)#(?! |$)", r"\1", fill_in(tmp_path, text))
    platform = yaml.safe_load(uncommented)["acsmp"][0]
    assert set(platform) == {"name", "url", "sm2_public_key_file"}
