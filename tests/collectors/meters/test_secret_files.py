"""Secrets in files: read as they are, and never shown."""

from __future__ import annotations

import os

import pytest

from agent.errors import ReadingUnavailable
from collectors.meters.secret_files import read_secret


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"abc\n", "abc"), (b"abc\r\n", "abc"), (b"\xef\xbb\xbfabc", "abc"), (b" a b ", " a b ")],
)
def test_one_newline_at_the_end_is_dropped(tmp_path, content, secret):
    file = tmp_path / "secret"
    file.write_bytes(content)

    assert read_secret(str(file)).reveal() == secret


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"hidden\nhidden", b"hidden\x00", b"hidden\xff", b"hidden" * 1000]
)
def test_what_cannot_be_a_secret_is_refused_without_being_shown(tmp_path, content):
    file = tmp_path / "secret"
    file.write_bytes(content)

    with pytest.raises(ReadingUnavailable) as caught:
        read_secret(str(file))
    assert "hidden" not in repr(caught.value) + repr(caught.value.__cause__)


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "none", "a\0b"):
        with pytest.raises(ReadingUnavailable):
            read_secret(str(path))
