"""Files are written whole, kept, and readable for whom they should be."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from agent.app.setup import installing
from agent.app.setup.plan import NewFile, Plan
from agent.errors import BadInput


def plan(folder, **changes):
    return Plan(
        **{
            "config": folder / "config.yaml",
            "text": "node:\n",
            "files": {
                "password": NewFile(text="x\n", is_secret=True),
                "key.pem": NewFile(text="k\n", is_secret=False),
            },
            **changes,
        }
    )


def names(folder):
    return sorted(each.name for each in folder.iterdir())


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def no_group(monkeypatch):
    monkeypatch.setattr(installing, "_service_group", lambda: None)
    monkeypatch.setattr(installing, "_service_user", lambda: None)


def test_a_folder_that_is_not_there_is_made(tmp_path):
    folder = tmp_path / "etc/agent"
    lines = installing.install(plan(folder))
    assert lines == [
        f"written      {folder / name}" for name in ("password", "key.pem", "config.yaml")
    ]
    assert (folder / "config.yaml").read_text() == "node:\n"
    assert [mode(folder / name) for name in ("password", "key.pem", "config.yaml")] == [
        *(0o600, 0o644, 0o640)
    ]
    assert mode(folder) == 0o750
    assert names(folder) == ["config.yaml", "key.pem", "password"]


def test_what_stood_there_is_kept_beside_it_each_time(tmp_path):
    (tmp_path / "config.yaml").write_text("old\n")
    (tmp_path / "config.yaml").chmod(0o604)
    for text in ("first\n", "second\n"):
        installing.install(plan(tmp_path, text=text))
    assert (tmp_path / "config.yaml.bak").read_text() == "old\n"
    assert (tmp_path / "config.yaml.bak1").read_text() == "first\n"
    assert mode(tmp_path / "config.yaml") == mode(tmp_path / "config.yaml.bak") == 0o604
    assert not (tmp_path / "password.bak").exists()


def test_a_secret_that_others_could_read_is_closed(tmp_path):
    (tmp_path / "password").write_text("old\n")
    (tmp_path / "password").chmod(0o666)
    installing.install(plan(tmp_path))
    assert mode(tmp_path / "password") == 0o640
    assert mode(tmp_path / "password.bak") == 0o640


def test_the_service_may_read_what_root_wrote(tmp_path, monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("only root gives files to a group")
    monkeypatch.setattr(installing, "_service_group", lambda: 54321)
    installing.install(plan(tmp_path / "etc"))
    for path in (tmp_path / "etc", *(tmp_path / "etc").iterdir()):
        assert path.stat().st_gid == 54321
    # Without a user of its own, the service reads it through its group.
    assert mode(tmp_path / "etc/password") == 0o640


def test_a_new_secret_is_the_service_s_alone(tmp_path, monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    monkeypatch.setattr(installing, "_service_group", lambda: 54321)
    monkeypatch.setattr(installing, "_service_user", lambda: 54322)
    installing.install(plan(tmp_path))
    assert (tmp_path / "password").stat().st_uid == 54322
    assert mode(tmp_path / "password") == 0o600
    assert (tmp_path / "config.yaml").stat().st_uid == 0
    assert mode(tmp_path / "config.yaml") == 0o640


def test_a_link_keeps_pointing_where_it_does(tmp_path):
    (tmp_path / "real.yaml").write_text("old\n")
    (tmp_path / "config.yaml").symlink_to("real.yaml")
    installing.install(plan(tmp_path))
    assert (tmp_path / "config.yaml").is_symlink()
    assert (tmp_path / "real.yaml").read_text() == "node:\n"


def test_a_disk_that_cannot_be_written_leaves_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text("old\n")

    def no_room(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(installing.os, "fsync", no_room)
    with pytest.raises(BadInput, match="No space left"):
        installing.install(plan(tmp_path, files={}))
    assert (tmp_path / "config.yaml").read_text() == "old\n"
    assert names(tmp_path) == ["config.yaml", "config.yaml.bak"]


def test_a_folder_that_may_not_be_written_is_told_before_anything_is_asked(tmp_path, monkeypatch):
    installing.require_writable(tmp_path / "a/b/config.yaml")
    monkeypatch.setattr(installing.os, "access", lambda *_: False)
    with pytest.raises(BadInput, match="run setup as root"):
        installing.require_writable(tmp_path / "config.yaml")
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="is no folder"):
        installing.require_writable(Path(tmp_path / "file/config.yaml"))
