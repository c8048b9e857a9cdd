"""What is to be written is loaded first, in a place of its own."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest

from agent.app.setup import plan, staging
from agent.app.setup.answers import Answers
from agent.config.load import load_text
from agent.errors import ConfigError, PermanentError
from agent.model.secret import Secret
from agent.security import sm2

TEXT = """\
node: {{code: "{code}", type: AI_BOX, address: {address}}}
device_api: {{password: "${{SECRET}}", prefix: {prefix}}}
acsmp:
  - {{name: city, url: "https://x.example", sm2_public_key_file: KEY, keepalive_seconds: {beat}}}
  - {{name: region, url: "{region}", sm2_public_key_file: KEY}}
log: {{level: {level}}}
"""
BEFORE = {
    "code": "1" * 20,
    "address": "192.0.2.1",
    "prefix": "/ACSMP",
    "beat": "30",
    "region": "https://y.example",
    "level": "info",
}


@pytest.fixture
def answers():
    return Answers(
        code="2" * 20,
        node_type="AI_BOX",
        platform="city",
        url="https://x.example",
        username="admin",
        sm2_key=sm2.generate_key_pair().public_key,
    )


@pytest.fixture
def loaded(tmp_path):
    """Return a function that loads settings with changes."""
    (tmp_path / "key").write_text("x")

    def load(**changes):
        text = TEXT.format(**{**BEFORE, **changes}).replace("KEY", str(tmp_path / "key"))
        return load_text(
            text.encode(), path=tmp_path / "config.yaml", environment={"SECRET": "y" * 8}
        )

    return load


def test_what_was_answered_may_change(loaded, answers):
    staging.verify(loaded(code="2" * 20), answers, before=loaded())


@pytest.mark.parametrize(
    "change",
    [
        {"address": "192.0.2.2"},
        {"prefix": "/X"},
        {"beat": "10"},
        {"region": "https://z.example"},
        {"level": "debug"},
    ],
    ids=str,
)
def test_nothing_else_may_change(loaded, answers, change):
    with pytest.raises(PermanentError, match="cannot edit safely"):
        staging.verify(loaded(code="2" * 20, **change), answers, before=loaded())


def test_an_answer_that_is_not_in_force_is_refused(loaded, answers):
    with pytest.raises(PermanentError, match=r"node\.code is not what was answered"):
        staging.verify(loaded(), answers, before=loaded())


def test_what_is_staged_is_for_this_user_alone_and_gone_at_the_end(tmp_path, answers, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "staged"))
    (tmp_path / "staged").mkdir()
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "city.pem").write_text("x")
    made = plan.make(answers, config=folder / "config.yaml", text=None)
    made_files = {**made.files, "secret": plan.NewFile(text="hidden\n", is_secret=True)}
    with staging.staged(plan.Plan(config=made.config, text=made.text, files=made_files)):
        (stage,) = (tmp_path / "staged").iterdir()
        assert stat.S_IMODE(stage.stat().st_mode) == 0o700
        assert stat.S_IMODE((stage / "secret").stat().st_mode) == 0o600
        assert (stage / "city.pem").resolve() == folder / "city.pem"
    assert list((tmp_path / "staged").iterdir()) == []
    assert [each.name for each in folder.iterdir()] == ["city.pem"]


def test_problems_are_told_with_the_paths_that_files_will_have(tmp_path, answers):
    config = Path(tmp_path / "config.yaml")
    made = plan.make(answers, config=config, text=None)
    with staging.staged(made) as stage, pytest.raises(ConfigError) as raised:
        stage.after()
    assert f"{config}:" in str(raised.value)
    assert f"there is no file {tmp_path}/device-api.password" in str(raised.value)


def test_a_password_is_never_in_what_a_plan_shows(answers):
    file = plan.NewFile(text=Secret("hidden").reveal(), is_secret=True)
    assert "hidden" not in repr(file)
