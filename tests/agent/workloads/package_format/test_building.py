"""A package that is made of a folder."""

from __future__ import annotations

import io
import os
import tarfile

import pytest

from agent.errors import BadInput
from agent.workloads.package_format.building import build
from agent.workloads.package_format.errors import PackageRefused
from agent.workloads.package_format.inspection import InspectionLimits
from tests.agent.workloads.package_format import samples

LIMITS = InspectionLimits()
IMAGE = samples.docker_image().archive()


@pytest.fixture
def folder(tmp_path):
    """Return a folder of which a package can be made."""
    folder = tmp_path / "algo"
    folder.mkdir()
    (folder / "algo.yaml").write_bytes(samples.ALGO)
    (folder / "image.tar").write_bytes(IMAGE)
    return folder


def test_the_same_files_give_the_same_bytes(folder, tmp_path):
    first = build(folder, output=tmp_path / "1.tar", limits=LIMITS)
    for name in ("algo.yaml", "image.tar"):
        os.utime(folder / name, (1, 1))
        (folder / name).chmod(0o600)
    (folder / "notes.txt").write_text("x")
    second = build(folder, output=tmp_path / "2.tar", limits=LIMITS)
    assert first.path.read_bytes() == second.path.read_bytes()
    assert (first.left_out, second.left_out) == ((), ("notes.txt",))
    with tarfile.open(second.path) as archive:
        members = archive.getmembers()
    assert [one.name for one in members] == ["algo.yaml", "image.tar"]
    assert {(one.mtime, one.uid, one.gid, one.uname, one.mode) for one in members} == {
        (0, 0, 0, "", 0o644)
    }


def test_a_file_in_a_subfolder_and_a_chinese_name_are_packed(folder, tmp_path, monkeypatch):
    (folder / "镜像").mkdir()
    (folder / "image.tar").rename(folder / "镜像/image.tar")
    text = "name: 人体/结构化\nversion: 1.0 beta\nimage: 镜像/image.tar\n"
    (folder / "algo.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    built = build(folder, output=None, limits=LIMITS)
    assert str(built.path) == "人体_结构化-1.0_beta.tar"
    assert built.path.is_file()
    assert built.left_out == ()


def test_every_written_byte_is_told(folder, tmp_path):
    told: list[int] = []
    build(folder, output=tmp_path / "p.tar", limits=LIMITS, on_bytes=told.append)
    assert sum(told) == len(IMAGE)


def test_what_an_agent_would_refuse_replaces_nothing(folder, tmp_path):
    target = tmp_path / "p.tar"
    target.write_text("the one before")
    (folder / "image.tar").write_bytes(IMAGE[:3000])
    with pytest.raises(PackageRefused):
        build(folder, output=target, limits=LIMITS)
    assert target.read_text() == "the one before"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["algo", "p.tar"]
    (folder / "image.tar").write_bytes(IMAGE)
    build(folder, output=target, limits=LIMITS)
    assert target.stat().st_mode & 0o777 == 0o666 & ~_mask()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["algo", "p.tar"]


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "algo.yaml").unlink(), "No such file"),
        (lambda folder: (folder / "image.tar").unlink(), "No such file"),
        (
            lambda folder: ((folder / "image.tar").unlink(), (folder / "image.tar").mkdir()),
            "directory",
        ),
        (
            lambda folder: ((folder / "image.tar").unlink(), os.mkfifo(folder / "image.tar")),
            "regular",
        ),
    ],
)
def test_a_folder_that_lacks_something_is_bad_input(folder, tmp_path, spoil, words):
    spoil(folder)
    with pytest.raises(BadInput, match=words):
        build(folder, output=tmp_path / "p.tar", limits=LIMITS)
    assert [one.name for one in tmp_path.iterdir()] == ["algo"]


def test_what_is_packed_and_what_is_no_file_is_not_overwritten(folder, tmp_path):
    for output in (folder / "image.tar", folder / "algo.yaml", folder, tmp_path / "no/p.tar"):
        with pytest.raises(BadInput):
            build(folder, output=output, limits=LIMITS)
    assert (folder / "image.tar").read_bytes() == IMAGE


def test_a_package_is_read_by_every_tar(folder, tmp_path):
    built = build(folder, output=tmp_path / "p.tar", limits=LIMITS)
    with tarfile.open(fileobj=io.BytesIO(built.path.read_bytes())) as archive:
        member = archive.extractfile("image.tar")
        assert member is not None
        assert member.read() == IMAGE
