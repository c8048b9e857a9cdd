"""Who may read the configuration and its secrets, and write the state."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from agent.app.doctor import accounts, permissions
from agent.app.doctor.accounts import READ, SEARCH, WRITE, Account
from agent.app.doctor.check import State

STRANGER = Account(name="stranger", user_id=54321, group_ids=frozenset({54321}))
ROOT = Account(name="root", user_id=0, group_ids=frozenset({0}))


def status(mode, *, user=1, group=2):
    return os.stat_result((mode, 0, 0, 0, user, group, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("mode", "wanted", "owner", "member", "other"),
    [
        (0o640, READ, True, True, False),
        (0o600, READ, True, False, False),
        (0o660, READ | WRITE, True, True, False),
        (0o044, READ, False, True, True),
        (0o751, SEARCH, True, True, True),
    ],
)
def test_mode_bits_decide_by_who_one_is(mode, wanted, owner, member, other):
    found = status(mode)
    people = {
        "owner": Account(name="a", user_id=1, group_ids=frozenset()),
        "member": Account(name="b", user_id=7, group_ids=frozenset({2})),
        "other": Account(name="c", user_id=7, group_ids=frozenset({8})),
    }
    assert {name: accounts.may(each, found, wanted) for name, each in people.items()} == {
        "owner": owner,
        "member": member,
        "other": other,
    }
    assert accounts.may(ROOT, found, wanted)


@pytest.fixture
def home():
    """Give a folder that a stranger may reach, with a configuration and a secret in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "config.yaml").write_text("node:\n")
        (folder / "config.yaml").chmod(0o644)
        (folder / "password").write_text("x\n")
        yield folder


def look(home, *, account, mode):
    (home / "password").chmod(mode)
    check = permissions.files_check(
        home / "config.yaml", secrets=[home / "password"], others=[], account=account
    )
    return list(check.look())


def test_a_secret_that_the_service_may_not_read_fails(home):
    (found,) = look(home, account=STRANGER, mode=0o600)
    assert found.state is State.FAILED
    assert f"stranger may not read {home / 'password'}" in found.found
    assert found.advice.startswith(
        f"chown stranger {home / 'password'} && chmod 0600 {home / 'password'}"
    )


def test_a_folder_of_drop_ins_that_is_closed_fails(home):
    (home / "conf.d").mkdir(mode=0o700)
    check = permissions.files_check(
        home / "config.yaml", secrets=[], others=[home / "conf.d"], account=STRANGER
    )
    (found,) = check.look()
    assert found.found.startswith(f"stranger may not read {home / 'conf.d'}")
    assert "chmod 0750" in found.advice


def test_a_secret_that_systemd_hands_over_need_not_be_readable_for_the_service(home):
    (home / "password").chmod(0o600)
    check = permissions.files_check(
        home / "config.yaml",
        secrets=[home / "password"],
        others=[],
        account=STRANGER,
        credentials={home / "password"},
    )
    assert [each.state for each in check.look()] == [State.OK]


def test_a_secret_that_everybody_may_read_is_a_warning(home):
    (found,) = look(home, account=STRANGER, mode=0o644)
    assert (found.state, found.advice) == (State.WARNING, f"chmod o-rwx {home / 'password'}")


def test_a_file_that_everybody_may_change_fails(home):
    (found,) = look(home, account=STRANGER, mode=0o666)
    assert found.state is State.FAILED


def test_good_files_are_counted(home):
    (found,) = look(home, account=accounts.own_account(), mode=0o600)
    assert (found.state, found.found.split(",")[0]) == (State.OK, "2 files")


def test_a_file_that_is_gone_is_named(home):
    (home / "config.yaml").unlink()
    found = look(home, account=accounts.own_account(), mode=0o600)
    assert found[0].found == f"{home / 'config.yaml'}: No such file or directory"


def test_a_folder_on_the_way_that_is_closed_is_named(home):
    inner = home / "inner"
    inner.mkdir(mode=0o700)
    (inner / "file").write_text("")
    obstacle = accounts.obstacle(STRANGER, inner / "file", READ)
    assert obstacle.startswith(f"stranger may not enter {inner} (drwx------ ")


def test_a_state_folder_of_somebody_else_fails(home):
    check = permissions.state_check(home, account=STRANGER)
    assert check.look().state is State.FAILED
    assert permissions.state_check(home, account=ROOT).look().state is State.OK
    assert permissions.state_check(home / "later", account=ROOT).look().state is State.SKIPPED
    home.chmod(0o777)
    assert "everybody may write" in permissions.state_check(home, account=STRANGER).look().found


def test_files_that_another_user_left_in_the_state_folder_are_named(home):
    state = home / "state"
    state.mkdir()
    state.chmod(0o777 & ~0o002 | 0o070)
    (state / "agent.db").write_text("")
    (state / "agent.db").chmod(0o600)
    member = Account(name="member", user_id=54321, group_ids=frozenset({state.stat().st_gid}))
    found = permissions.state_check(state, account=member).look()
    assert found.state is State.FAILED
    assert "may not read agent.db" in found.found


def test_the_units_own_groups_count():
    account = accounts.service_account({"User": "root", "SupplementaryGroups": "daemon nobody-is"})
    assert account.user_id == 0
    assert len(account.group_ids) >= 1
    assert accounts.service_account({"User": "no-such-user"}) == accounts.own_account()
