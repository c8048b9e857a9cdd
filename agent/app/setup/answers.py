"""What `setup` wants to know, and what is accepted as an answer."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.app.doctor import accounts
from agent.config.settings import AcsmpSettings, DeviceApiSettings, NodeSettings
from agent.config.shape import settings_of
from agent.errors import AgentError, BadInput
from agent.model.secret import Secret
from agent.security import credentials, files
from agent.security.keys import PublicKey

PASSWORD_FILE = "device-api.password"  # noqa: S105 - the name of a file
_GENERATED_BYTES = 18
_LONGEST_PEM_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Is everything that was answered, each good by itself.

    `sm2_key` is None where the configuration's own key file stays, `password` likewise; `ca` is
    None where no CA of one's own is named. `listen` and `state_dir` are None unless given.
    """

    code: str
    node_type: str
    platform: str
    url: str
    username: str
    sm2_key: PublicKey | None = None
    ca: str | None = None
    password: Secret | None = None
    listen: str | None = None
    state_dir: str | None = None

    @property
    def key_file(self) -> str:
        """Return the name of the platform's key file, beside the configuration."""
        return f"{self.platform}.sm2.pem"

    @property
    def ca_file(self) -> str:
        """Return the name of the platform's CA file, beside the configuration."""
        return f"{self.platform}-ca.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Is one thing to ask: its flag, its words in both languages, and what accepts an answer.

    `accept` returns the answer in its normal form, or raises BadInput with what is expected.
    """

    name: str
    english: str
    chinese: str
    accept: Callable[[str], str]
    default: str | None = None
    choices: tuple[str, ...] = field(default=())

    @property
    def flag(self) -> str:
        """Return the flag that gives the same answer."""
        return f"--{self.name}"


def setting_question(
    section: type[Any], setting: str, *, name: str, english: str, chinese: str
) -> Question:
    """Return the question whose answer is a setting, checked as the loader checks it."""
    found = next(each for each in settings_of(section) if each.name == setting)

    def accept(text: str) -> str:
        reason = ""
        for leaf in found.shape.leaves:
            try:
                return str(leaf.convert(text))
            except ValueError as error:
                reason = str(error)
        detail = f"; {reason}" if reason else ""
        raise BadInput(f"expected {found.shape.words}{detail}")

    return Question(
        name=name,
        english=english,
        chinese=chinese,
        accept=accept,
        default=str(found.default) if isinstance(found.default, str) else None,
        choices=found.shape.choices,
    )


CODE = setting_question(
    NodeSettings, "code", name="code", english="Computility code, 20 digits", chinese="算力编码"
)
TYPE = setting_question(NodeSettings, "type", name="type", english="Type", chinese="算力类型")
PLATFORM = setting_question(
    AcsmpSettings,
    "name",
    name="platform",
    english="A name for the platform, such as city",
    chinese="平台名称（自定）",
)
URL = setting_question(
    AcsmpSettings,
    "url",
    name="url",
    english="Its address, https://…",
    chinese="平台地址",
)
USERNAME = setting_question(
    DeviceApiSettings,
    "username",
    name="username",
    english="User of the device API",
    chinese="设备接口用户名",
)
LISTEN = setting_question(
    DeviceApiSettings, "listen", name="listen", english="Listen on", chinese="监听地址"
)
STATE_DIR = setting_question(
    NodeSettings, "state_dir", name="state-dir", english="State folder", chinese="数据目录"
)


def public_key(text: str) -> PublicKey:
    """Return the key of a file's name, or of its text in any spelling.

    Raises:
        BadInput: it is neither.
    """
    try:
        return PublicKey.parse(_text_of(text, maximum_bytes=files.MAXIMUM_BYTES))
    except AgentError as error:
        raise BadInput(f"{error}") from error


def ca_certificates(text: str) -> str:
    """Return the PEM of a file's name, or of its text.

    Raises:
        BadInput: it is no certificate.
    """
    try:
        pem = _text_of(text, maximum_bytes=_LONGEST_PEM_BYTES)
        ssl.create_default_context(cadata=pem)
    except AgentError as error:
        raise BadInput(f"{error}") from error
    except (ssl.SSLError, ValueError) as error:
        raise BadInput("this is no PEM certificate (BEGIN CERTIFICATE)") from error
    return pem if pem.endswith("\n") else f"{pem}\n"


def password(text: str) -> Secret:
    """Return a password that can be told to a platform.

    Raises:
        BadInput: it cannot.
    """
    secret = Secret(text)
    try:
        credentials.check_device_password(secret)
    except AgentError as error:
        raise BadInput(str(error)) from error
    return secret


def password_of_file(path: Path) -> Secret:
    """Return the password in a file, without the one newline at its end.

    Raises:
        BadInput: it cannot be read, or is no password.
    """
    try:
        text = files.read_small_file(path).text
    except AgentError as error:
        raise BadInput(str(error)) from error
    return password(text.removesuffix("\n").removesuffix("\r"))


def generated_password() -> Secret:
    """Return a password of 24 random letters and digits."""
    return Secret(secrets.token_urlsafe(_GENERATED_BYTES))


def _text_of(text: str, *, maximum_bytes: int) -> str:
    text = text.strip()
    if "-----BEGIN" in text:
        return text
    # Neither hex nor base64 has a dot in it.
    is_name = text.startswith("/") or "." in text
    if is_name or (text and accounts.is_there(Path(text[:255]))):
        return files.read_small_file(text, maximum_bytes=maximum_bytes).text
    return text
