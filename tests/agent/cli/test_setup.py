"""The command `setup` without a terminal, as a fleet uses it."""

from __future__ import annotations

import io
import os
import socket
import sys
import tempfile
from pathlib import Path

import pytest

from agent.app.doctor import accounts
from agent.app.doctor.accounts import Account
from agent.cli.main import main
from agent.config.load import load
from agent.simulator.faults import Fault, FaultKind
from agent.simulator.simulator import Simulator, SimulatorSettings
from tests.agent.transport.conftest import certificates

__all__ = ["certificates"]

CODE = "11010800005020000001"
SHIPPED = Path(__file__).parents[3] / "packaging/config.yaml"


@pytest.fixture
def city():
    one = Simulator(
        SimulatorSettings(listen=("127.0.0.1", 0), control_listen=None, poll_seconds=None),
        on_event=lambda _: None,
    )
    one.start()
    yield one
    one.stop()


@pytest.fixture
def flags(operator, city):
    """Return the flags that a good platform wants."""
    key = operator.folder / "given.pem"
    key.write_text(city.public_key.to_pem())
    return {
        "--config": operator.folder / "etc/config.yaml",
        "--code": CODE,
        "--type": "AI_BOX",
        "--platform": "city",
        "--url": city.url,
        "--sm2-key": key,
        "--password-file": operator.folder / "password",
        "--state-dir": operator.folder,
    }


def run(operator, flags, *more):
    words = [word for pair in flags.items() for word in pair]
    return operator("setup", "--non-interactive", *words, *more)


def settings_of(flags):
    return load(flags["--config"], environment={}).settings


def test_a_fresh_machine_is_set_up_tried_and_passes_check_config(operator, flags, city):
    asked = run(operator, flags)
    assert (asked.status, asked.err) == (0, "")
    assert f"ok        registration city            accepted, as {CODE}" in asked.out
    assert "taken off again" in asked.out
    assert city.registry.nodes() == []
    assert "next steps 下一步" in asked.out
    checked = operator("check-config", "--config", flags["--config"])
    assert checked.status == 0
    settings = settings_of(flags)
    assert (settings.node.code, settings.node.type) == (CODE, "AI_BOX")
    assert settings.device_api.password.reveal() == "open-sesame-芝麻开门"
    (platform,) = settings.acsmp
    assert platform.url == city.url
    assert platform.sm2_public_key_file == str(flags["--config"].parent / "city.sm2.pem")


def test_a_platform_behind_a_ca_of_its_own_is_reached_by_https(operator, flags, certificates):
    secure = Simulator(
        SimulatorSettings(
            listen=("127.0.0.1", 0),
            control_listen=None,
            poll_seconds=None,
            certificate=certificates.server,
        ),
        on_event=lambda _: None,
    )
    secure.start()
    try:
        (operator.folder / "given.pem").write_text(secure.public_key.to_pem())
        flags["--url"] = secure.url
        without = run(operator, flags)
        assert (without.status, "set ca_file" in without.out) == (1, True)
        assert run(operator, {**flags, "--ca-file": certificates.ca}).status == 0
    finally:
        secure.stop()
    (platform,) = settings_of(flags).acsmp
    assert platform.ca_file == str(flags["--config"].parent / "city-ca.pem")
    assert Path(platform.ca_file).read_text() == Path(certificates.ca).read_text()


def test_no_password_is_on_the_screen(operator, flags):
    asked = run(operator, flags)
    assert "open-sesame" not in asked.out + asked.err


def test_a_password_that_the_service_may_not_read_is_told(operator, flags, monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("only root knows what another user may read")
    stranger = Account(name="stranger", user_id=54321, group_ids=frozenset({54321}))
    monkeypatch.setattr(accounts, "service_account", lambda _: stranger)
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        secret = Path(name) / "device-api.password"
        secret.write_text("of root alone\n")
        secret.chmod(0o600)
        asked = run(operator, {**flags, "--config": Path(name) / "config.yaml"}, "--force")
        assert asked.status == 0
        assert f"stranger may not read {secret}" in asked.out
        assert f"-> chown stranger {secret}" in asked.out


def test_a_password_comes_from_standard_input(operator, flags, monkeypatch):
    del flags["--password-file"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("typed elsewhere\n"))
    assert run(operator, flags, "--password-stdin").status == 0
    assert settings_of(flags).device_api.password.reveal() == "typed elsewhere"


def test_a_password_is_made_up(operator, flags):
    del flags["--password-file"]
    assert run(operator, flags, "--generate-password").status == 0
    assert len(settings_of(flags).device_api.password.reveal()) == 24


def test_everything_that_is_missing_is_told_at_once(operator):
    asked = operator("setup", "--non-interactive", "--config", operator.folder / "x.yaml")
    assert (asked.status, asked.out) == (2, "")
    for flag in ("--code", "--type", "--platform", "--url", "--sm2-key", "--password-file"):
        assert flag in asked.err


def test_every_wrong_flag_is_told_at_once_and_nothing_is_written(operator, flags):
    asked = run(operator, {**flags, "--code": "12", "--url": "city"})
    assert (asked.status, asked.out) == (2, "")
    assert "--code: expected 20 digits" in asked.err
    assert "--url: expected an http" in asked.err
    assert not flags["--config"].exists()


def test_a_wrong_key_is_told_and_nothing_is_written(operator, flags):
    asked = run(operator, {**flags, "--sm2-key": "04abcd"})
    assert (asked.status, asked.out) == (2, "")
    assert "--sm2-key: " in asked.err


def test_without_a_terminal_nothing_is_asked(operator, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    asked = operator("setup", "--config", operator.folder / "x.yaml")
    assert (asked.status, "--non-interactive" in asked.err) == (2, True)


def test_a_platform_that_is_down_is_told_and_nothing_is_written(operator, flags):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        flags["--url"] = f"http://127.0.0.1:{unused.getsockname()[1]}"
        asked = run(operator, flags)
    assert asked.status == 1
    assert "nothing listens there" in asked.out
    assert "nothing was written" in asked.out
    assert not flags["--config"].exists()


def test_a_refusal_is_told_in_the_platforms_words(operator, flags, city):
    city.apply(
        Fault(kind=FaultKind.REFUSE, operation="Register", status=403, message="此设备未登记")
    )
    asked = run(operator, flags)
    assert asked.status == 1
    assert "此设备未登记" in asked.out
    assert "compare code, type and key" in asked.out
    assert not flags["--config"].exists()


@pytest.mark.parametrize("words", [["--save-anyway"], ["--no-try"]])
def test_what_does_not_work_yet_can_be_written_all_the_same(operator, flags, words):
    flags["--url"] = "http://127.0.0.1:1"
    assert run(operator, flags, *words).status == 0
    assert settings_of(flags).acsmp[0].url == "http://127.0.0.1:1"


@pytest.fixture
def shipped(flags):
    """Return the packaged configuration where a package puts it."""
    flags["--config"].parent.mkdir()
    flags["--config"].write_bytes(SHIPPED.read_bytes())
    return flags["--config"]


def test_the_packaged_file_is_filled_in_without_a_question(operator, flags, shipped):
    before = shipped.read_text()
    asked = run(operator, {**flags, "--type": "CAP"})
    assert asked.status == 0, asked.err
    assert settings_of(flags).node.type == "CAP"
    comments = [line for line in before.splitlines() if line.lstrip().startswith("# ")]
    assert len(comments) > 5
    assert [line for line in comments if line not in shipped.read_text()] == []
    assert shipped.with_name("config.yaml.bak").read_text() == before


def test_the_same_answers_again_change_nothing(operator, flags, shipped):
    assert run(operator, flags).status == 0
    before = {each: each.read_bytes() for each in shipped.parent.iterdir()}
    assert run(operator, flags).status == 0
    assert {each: each.read_bytes() for each in shipped.parent.iterdir()} == before


def test_an_edited_file_is_changed_only_by_force(operator, flags, shipped):
    assert run(operator, flags).status == 0
    text = shipped.read_text() + "# mine\nlog:\n  level: debug\n"
    shipped.write_text(text)
    other = {**flags, "--code": "2" * 20}
    asked = run(operator, other)
    assert (asked.status, asked.out) == (2, "")
    assert f"node.code: {CODE}" in asked.err
    assert shipped.read_text() == text
    assert run(operator, other, "--force").status == 0
    assert shipped.read_text() == text.replace(CODE, "2" * 20)
    assert shipped.with_name("config.yaml.bak1").read_text() == text


def test_another_password_is_no_small_matter(operator, flags, shipped):
    assert run(operator, flags).status == 0
    (operator.folder / "password").write_text("another one\n")
    asked = run(operator, flags)
    assert asked.status == 2
    assert f"the file {shipped.parent / 'device-api.password'}" in asked.err
    assert "another one" not in asked.err


def test_a_second_platform_is_added_without_a_question(operator, flags, shipped):
    assert run(operator, flags).status == 0
    assert run(operator, {**flags, "--platform": "region", "--code": CODE}, "--no-try").status == 2
    del flags["--password-file"]
    region = {**flags, "--platform": "region", "--url": "http://127.0.0.1:2"}
    assert run(operator, region, "--no-try").status == 0
    assert [each.name for each in settings_of(flags).acsmp] == ["city", "region"]
    assert settings_of(flags).device_api.password.reveal() == "open-sesame-芝麻开门"


def test_a_file_of_conf_d_that_decides_otherwise_is_named(operator, flags, shipped):
    (shipped.parent / "conf.d").mkdir()
    (shipped.parent / "conf.d/10-fleet.yaml").write_text(f'node: {{code: "{"3" * 20}"}}\n')
    before = shipped.read_bytes()
    asked = run(operator, flags)
    assert asked.status == 1
    assert "node.code is not what was answered" in asked.err
    assert "conf.d/10-fleet.yaml" in asked.err
    assert shipped.read_bytes() == before


def test_a_file_that_cannot_be_edited_is_replaced_only_by_force(operator, flags, shipped):
    text = f'{{node: {{code: "{CODE}", type: AI_BOX}}, log: {{level: debug}}}}\n'
    shipped.write_text(text)
    asked = run(operator, flags)
    assert asked.status == 1
    assert "by hand, or let --force" in asked.err
    assert shipped.read_text() == text
    assert run(operator, flags, "--force").status == 0
    assert shipped.with_name("config.yaml.bak").read_text() == text
    assert settings_of(flags).log.level == "info"


def test_a_file_with_other_faults_names_them_where_they_stand(operator, flags, shipped):
    shipped.write_text(shipped.read_text() + "colect: {}\n")
    asked = run(operator, flags)
    assert asked.status == 2
    assert f"{shipped}:" in asked.err
    assert 'did you mean "collect"?' in asked.err


def test_an_interrupted_question_writes_nothing(operator, flags, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

        def readline(self, *_):
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", Terminal())
    assert main(["setup", "--config", str(flags["--config"])]) == 130
    assert not flags["--config"].exists()
