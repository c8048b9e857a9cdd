"""A recording on the disk, and what a stranger may send in its place."""

from __future__ import annotations

import gzip
import io
import os
import tarfile

import pytest

from agent.app import recording_folder
from agent.app.recording_folder import RecordingFolder
from agent.errors import BadInput

RECORDING = RecordingFolder(
    plugins={"acme": {"index.json": "{}", "acme-smi.txt": "板卡\nzweite\r\n"}},
    machine={"kernel": "6.1", "plugins": {}},
)


def archive_of(path, *members):
    """Write an archive with members of these names, kinds and contents."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                member.type, member.linkname = content
                tar.addfile(member)
    return path


def test_what_was_written_is_read_from_the_folder_and_from_the_archive(tmp_path):
    archive = recording_folder.write(RECORDING, tmp_path / "new/recording")
    assert archive == tmp_path / "new/recording.tar.gz"
    assert recording_folder.read(archive) == RECORDING
    assert recording_folder.read(tmp_path / "new/recording") == RECORDING


def test_the_folder_of_one_plugin_can_be_read_alone(tmp_path):
    recording_folder.write(RECORDING, tmp_path / "recording")
    found = recording_folder.read(tmp_path / "recording/acme")
    assert (found.plugins, found.machine) == (RECORDING.plugins, {})


def test_the_archive_says_nothing_of_who_made_it(tmp_path):
    archive = recording_folder.write(RECORDING, tmp_path / "recording")
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
    assert {(each.uid, each.gid, each.uname, each.gname, each.mtime) for each in members} == {
        (0, 0, "", "", 0)
    }
    assert str(tmp_path).encode() not in gzip.decompress(archive.read_bytes())


@pytest.mark.parametrize("name", ["recording", "recording.tar.gz"])
def test_nothing_is_overwritten(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(BadInput, match=f"{name} exists already"):
        recording_folder.write(RECORDING, tmp_path / "recording")
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_folder_that_cannot_be_made_is_told_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        recording_folder.write(RECORDING, tmp_path / "file/recording")


def test_what_no_encoding_knows_is_written_as_json_would(tmp_path):
    recording = RecordingFolder(plugins={"acme": {"index.json": '"\udc80"'}})
    archive = recording_folder.write(recording, tmp_path / "recording")
    assert recording_folder.read(archive).plugins["acme"]["index.json"] == '"\\udc80"'


def test_no_link_and_no_path_leads_out_of_a_folder(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    folder = tmp_path / "recording"
    recording_folder.write(RECORDING, folder)
    (folder / "acme/link.txt").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path)
    (folder / "acme/.hidden").write_text("x")
    os.mkfifo(folder / "acme/pipe.txt")
    assert recording_folder.read(folder) == RECORDING


def test_no_link_and_no_path_leads_out_of_an_archive(tmp_path):
    path = archive_of(
        tmp_path / "recording.tar.gz",
        ("recording/acme/index.json", b"{}"),
        ("recording/acme/../../../../etc/passwd", b"x"),
        ("/etc/acme/absolute.txt", b"x"),
        ("recording/acme/link.txt", (tarfile.SYMTYPE, "/etc/passwd")),
        ("recording/acme/hard.txt", (tarfile.LNKTYPE, "recording/acme/index.json")),
        ("recording/acme/device", (tarfile.CHRTYPE, "")),
        ("recording/deep/er/acme/index.json", b"{}"),
    )
    assert recording_folder.read(path).plugins == {"acme": {"index.json": "{}"}}


def test_an_archive_without_a_folder_on_top_is_read(tmp_path):
    path = archive_of(
        tmp_path / "x.tar.gz", ("./acme/index.json", b"{}"), ("./machine.json", b'{"os": "Linux"}')
    )
    found = recording_folder.read(path)
    assert found.plugins == {"acme": {"index.json": "{}"}}
    assert found.machine == {"os": "Linux"}


def test_an_archive_that_is_not_packed_is_read(tmp_path):
    packed = recording_folder.write(RECORDING, tmp_path / "recording")
    plain = tmp_path / "recording.tar"
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    assert recording_folder.read(plain) == RECORDING


@pytest.mark.parametrize("name", ["recording/acme/index.json", "recording/passed/over/by/us"])
def test_a_small_archive_that_unpacks_to_a_huge_one_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(recording_folder, "_MAX_BYTES", 1 << 20)
    path = archive_of(tmp_path / "x.tar.gz", (name, bytes(2 << 20)))
    assert path.stat().st_size < 1 << 14
    with pytest.raises(BadInput, match="larger than a recording can be"):
        recording_folder.read(path)


def test_a_folder_that_is_too_large_is_refused(tmp_path, monkeypatch):
    recording_folder.write(RECORDING, tmp_path / "recording")
    monkeypatch.setattr(recording_folder, "_MAX_BYTES", 10)
    with pytest.raises(BadInput, match="larger than a recording can be"):
        recording_folder.read(tmp_path / "recording")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot be read"),
        (b"not an archive at all" * 100, "cannot be read"),
        (b"\x1f\x8b\x08\x00 cut off", "cannot be read"),
        (gzip.compress(b"no tar" * 1000), "cannot be read"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path, content, reason):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=reason):
        recording_folder.read(path)


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(BadInput, match="is not there"):
        recording_folder.read(tmp_path / "nowhere")
    with pytest.raises(BadInput, match=r"there is no index\.json"):
        recording_folder.read(tmp_path)
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme/index.json").write_text("{}")
    for text in ("[]", "{", "[" * 100_000):
        (tmp_path / "machine.json").write_text(text)
        with pytest.raises(BadInput, match=r"machine\.json is no"):
            recording_folder.read(tmp_path)


def test_an_archive_that_ends_early_is_refused(tmp_path):
    archive = recording_folder.write(RECORDING, tmp_path / "recording")
    content = archive.read_bytes()
    for length in range(0, len(content) - 8, 7):
        cut = tmp_path / "cut.tar.gz"
        cut.write_bytes(content[:length])
        with pytest.raises(BadInput):
            recording_folder.read(cut)
