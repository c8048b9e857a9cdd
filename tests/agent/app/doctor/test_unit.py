"""The state of the service's unit, from what systemctl prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.app.doctor import unit
from agent.app.doctor.check import State

GOOD = """\
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
NRestarts=0
Result=success
ExecMainStatus=0
NeedDaemonReload=no
User=computility-agent
Group=computility-agent
SupplementaryGroups=docker video
"""


@pytest.mark.parametrize(
    ("changes", "state", "says"),
    [
        ({}, State.OK, None),
        ({"ActiveState": "inactive"}, State.FAILED, "systemctl enable --now"),
        ({"ActiveState": "failed", "ExecMainStatus": "2"}, State.FAILED, "check-config"),
        ({"ActiveState": "failed", "ExecMainStatus": "1"}, State.FAILED, "journalctl"),
        ({"NRestarts": "7"}, State.WARNING, "it ended by itself"),
        ({"UnitFileState": "disabled"}, State.WARNING, "next boot"),
        ({"NeedDaemonReload": "yes"}, State.WARNING, "daemon-reload"),
        ({"LoadState": "not-found"}, State.SKIPPED, None),
    ],
)
def test_what_the_unit_lacks_is_told(changes, state, says):
    found = unit.judge({**unit.parse(GOOD), **changes})
    assert found.state is state
    assert (found.advice is None) if says is None else (says in found.advice)


def test_a_machine_without_systemd_is_skipped(tmp_path):
    assert unit.properties(root=tmp_path) == {}
    assert unit.judge({}).state is State.SKIPPED


def test_only_known_properties_are_taken():
    assert unit.parse("Environment=SECRET=x\nNRestarts=3\nnoise\n") == {"NRestarts": "3"}


def test_the_files_that_systemd_hands_over_are_known():
    text = (
        "[Service]\nLoadCredential=z:/z\nLoadCredential=\n LoadCredential = a:/etc/x/a.password\n"
    )
    text += "User=u\n# /etc/systemd/system/drop-in\n[Service]\nLoadCredential=b:/etc/x/b\n"
    found = {"LoadCredential": unit.parse_credentials(text)}
    assert unit.credentials(found) == {Path("/etc/x/a.password"), Path("/etc/x/b")}
    assert unit.credentials({}) == frozenset()
