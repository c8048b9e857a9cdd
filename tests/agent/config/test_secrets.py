from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.config.load import Loaded, load
from agent.errors import ConfigError

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]

NODE = 'node: {code: "11010800005020000001", type: AI_BOX}\n'


def password(loaded: Loaded) -> str:
    assert loaded.settings.device_api is not None
    return loaded.settings.device_api.password.reveal()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a", "a"),
        (b"a\n", "a"),
        (b"a\r\n", "a"),
        (b" a \n", " a "),
        ("密码".encode(), "密码"),
        (b"x" * 32 + b"\n", "x" * 32),
    ],
)
def test_one_newline_at_the_end_is_dropped(
    load_here: Load, folder: Path, content: bytes, expected: str
) -> None:
    (folder / "password").write_bytes(content)
    assert password(load_here(NODE + "device_api: {password_file: password}")) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "password is empty"),
        (b"\n", "password is empty"),
        (b"a\n\n", "password holds a line break or another control character"),
        (b"a\0b", "password holds a line break or another control character"),
        (b"x" * 33, "expected a secret of 1 to 32 bytes, password holds 33 bytes"),
        ("密".encode() * 11, "expected a secret of 1 to 32 bytes, password holds 33 bytes"),
        (b"x" * 5000, "password is larger than 4096 bytes"),
        ("密码".encode("gbk"), "password is not UTF-8"),
        (b"\xef\xbb\xbfa", "password begins with a byte order mark; save it without"),
    ],
)
def test_an_unusable_secret_file_is_a_problem_at_its_key(
    problems_of: Problems, folder: Path, content: bytes, expected: str
) -> None:
    (folder / "password").write_bytes(content)
    assert problems_of(NODE + "device_api:\n  password_file: password\n") == [
        f"config.yaml:3:18: device_api.password_file: {expected}"
    ]


def test_a_named_pipe_does_not_block(problems_of: Problems, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert problems_of(NODE + "device_api:\n  password_file: pipe\n") == [
        "config.yaml:3:18: device_api.password_file: pipe is not a regular file"
    ]


def test_a_secret_in_the_file_is_refused_and_not_repeated(problems_of: Problems) -> None:
    for text in ("hunter2", "$$hunter2", "hunter2${EMPTY}"):
        found = problems_of(NODE + f"device_api:\n  password: {text}\n", environment={"EMPTY": ""})
        assert found == [
            (
                "config.yaml:3:13: device_api.password: a secret may not stand in this file; write "
                "password_file: PATH, or password: ${NAME} and set the environment variable NAME"
            )
        ]


def test_a_secret_may_come_from_a_variable(load_here: Load, problems_of: Problems) -> None:
    text = NODE + "device_api:\n  password: ${WORD}\n"
    loaded = load_here(text, environment={"WORD": "hunter2"})
    assert password(loaded) == "hunter2"
    assert "hunter2" not in repr(loaded)
    assert problems_of(text) == [
        "config.yaml:3:13: device_api.password: the environment variable WORD is not set"
    ]
    assert problems_of(text, environment={"WORD": "x" * 33}) == [
        (
            "config.yaml:3:13: device_api.password: expected a secret of 1 to 32 bytes, "
            "${WORD} holds 33 bytes"
        )
    ]


def test_a_secret_has_one_source(problems_of: Problems) -> None:
    text = NODE + "device_api:\n  password_file: password\n  password: ${WORD}\n"
    assert problems_of(text, environment={"WORD": "a"}) == [
        "config.yaml:4:3: device_api.password: password_file is given too; keep one of them"
    ]


def test_a_secret_that_is_missing_names_both_keys(problems_of: Problems) -> None:
    assert problems_of(NODE + "device_api:\n") == [
        "config.yaml:2:1: device_api.password: missing; expected password_file or password"
    ]
    assert problems_of(NODE + "device_api:\n  password_file:\n") == [
        "config.yaml:3:3: device_api.password_file: expected the path of a file, found nothing"
    ]


def test_a_credential_of_systemd_comes_before_the_file_beside(
    load_here: Load, folder: Path
) -> None:
    credentials = folder / "credentials"
    credentials.mkdir()
    text = NODE + "device_api: {password_file: password}"
    environment = {"CREDENTIALS_DIRECTORY": str(credentials)}
    assert password(load_here(text, environment=environment)) == "opensesame"
    (credentials / "password").write_text("credential")
    assert password(load_here(text, environment=environment)) == "credential"


def test_a_secret_that_everybody_may_read_is_a_warning(load_here: Load, folder: Path) -> None:
    text = NODE + (
        "device_api:\n"
        "  password_file: password\n"
        "  tls: {certificate: client.pem, private_key: client.key}\n"
    )
    for name in ("password", "client.key", "client.pem"):
        (folder / name).chmod(0o640)
    assert load_here(text).warnings == ()
    for name in ("password", "client.key", "client.pem"):
        (folder / name).chmod(0o644)
    assert [(one.line, one.key) for one in load_here(text).warnings] == [
        (3, "device_api.password_file"),
        (4, "device_api.tls.private_key"),
    ]


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """Return a folder that every user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_secret_that_we_may_not_read_is_a_problem(public_folder: Path) -> None:
    config = public_folder / "config.yaml"
    config.write_text(NODE + "device_api:\n  password_file: password\n")
    (public_folder / "password").write_text("secret")
    load(config, environment={})  # everything is imported before the user changes
    (public_folder / "password").chmod(0)
    with as_nobody(), pytest.raises(ConfigError) as caught:
        load(config, environment={})
    assert [str(problem) for problem in caught.value.problems] == [
        f"{config}:3:18: device_api.password_file: {public_folder}/password may not be read "
        "by this user"
    ]


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's right to read everything, for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
