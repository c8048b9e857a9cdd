from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.security import files
from agent.security.errors import SecretFileError


def test_a_file_is_read_with_its_mode_and_shows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes("\ufeffgeheim\r\n".encode())
    path.chmod(0o640)

    file = files.read_small_file(path)

    assert file.text == "geheim\r\n"
    assert file.mode == 0o640
    assert "geheim" not in repr(file)


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "target")

    assert files.read_small_file(tmp_path / "link").text == "x"


def test_a_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(SecretFileError, match="not a regular file"):
        files.read_small_file(tmp_path / "pipe")


def test_what_is_no_small_text_is_refused_and_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "long").write_bytes(b"x" * 11)
    (tmp_path / "binary").write_bytes(b"ab\xffcd")
    for path, reason in [
        (tmp_path / "missing", "no such file"),
        (tmp_path, "not a regular file"),
        (tmp_path / "empty", "empty"),
        (tmp_path / "long", "longer than 10 bytes"),
        (tmp_path / "binary", r"not UTF-8 \(byte 3\)"),
        (Path("/dev/zero"), "not a regular file"),
        ("a\0b", "not a path"),
    ]:
        with pytest.raises(SecretFileError, match=reason) as caught:
            files.read_small_file(path, maximum_bytes=10)
        assert str(path) in str(caught.value)


def test_a_private_file_is_for_its_owner_and_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"

    files.write_private_file(path, "first")

    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(SecretFileError, match="file exists"):
        files.write_private_file(path, "second")
    assert path.read_text() == "first"
