"""Gathers answers: from flags first, then from a person, then from what is configured already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeVar

from agent.app.setup import answers
from agent.app.setup.answers import Answers, Question
from agent.app.setup.dialog import Dialog
from agent.config.settings import AcsmpSettings, Settings
from agent.errors import BadInput
from agent.model.secret import Secret
from agent.security.keys import PublicKey

_PASSWORD = "Password of the device API, 1 to 32 bytes 设备接口口令"  # noqa: S105 - a prompt
_KEY = "The platform's SM2 public key: a file, or paste hex or PEM 平台 SM2 公钥（文件名，或粘贴）"
_CA = "CA of its certificate: a file or PEM; empty for the system's CAs 平台 CA 证书（可留空）"
_Text = TypeVar("_Text")
_Result = TypeVar("_Result")
_INSECURE = "  note: http:// shows the token and what is reported on the way 注意：http 为明文传输"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Is what the command line gave; None for a flag that was not."""

    code: str | None = None
    type: str | None = None
    platform: str | None = None
    url: str | None = None
    sm2_key: str | None = None
    ca_file: str | None = None
    username: str | None = None
    password_file: Path | None = None
    password_input: TextIO | None = None
    generates_password: bool = False
    listen: str | None = None
    state_dir: str | None = None


def gather(given: Given, *, present: Settings | None, dialog: Dialog | None) -> Answers:
    """Return the answers; `present` are the settings in force, None where there are none.

    Without a dialog, what no flag gave must be configured already.

    Raises:
        BadInput: a flag is wrong, or answers are missing; all of them at once.
    """
    flags = _accepted(given)
    platform = _platform(given, present)
    known = _present(present, platform)
    if dialog is None:
        missing = list(
            _missing(given, flags={**known, **flags}, platform=platform, present=present)
        )
        if missing:
            raise BadInput(f"missing: {', '.join(missing)}; without --non-interactive, setup asks")
    values = {
        question.name: flags.get(question.name)
        or (dialog.ask(question, default=_default(question, known)) if dialog else "")
        or known.get(question.name, "")
        for question in (answers.CODE, answers.TYPE, answers.PLATFORM, answers.URL)
    }
    platform = _named(values["platform"], present)
    if dialog is not None and values["url"].startswith("http://"):
        dialog.say(_INSECURE)
    key = _key(given, platform=platform, dialog=dialog)
    ca = _ca(given, url=values["url"], platform=platform, dialog=dialog)
    username = flags.get("username") or _username(known, dialog)
    return Answers(
        code=values["code"],
        node_type=values["type"],
        platform=values["platform"],
        url=values["url"],
        username=username,
        sm2_key=key,
        ca=ca,
        password=_password(given, present=present, dialog=dialog),
        listen=flags.get("listen"),
        state_dir=flags.get("state-dir"),
    )


def _accepted(given: Given) -> dict[str, str]:
    """Return every flag in its normal form.

    Raises:
        BadInput: what is wrong with each of them.
    """
    words = (
        (answers.CODE, given.code),
        (answers.TYPE, given.type),
        (answers.PLATFORM, given.platform),
        (answers.URL, given.url),
        (answers.USERNAME, given.username),
        (answers.LISTEN, given.listen),
        (answers.STATE_DIR, given.state_dir),
    )
    accepted, wrong = {}, []
    for question, text in words:
        if text is None:
            continue
        try:
            accepted[question.name] = question.accept(text)
        except BadInput as error:
            wrong.append(f"{question.flag}: {error}")
    if wrong:
        raise BadInput("\n".join(wrong))
    return accepted


def _present(present: Settings | None, platform: AcsmpSettings | None) -> dict[str, str]:
    """Return what is configured, by the names of the questions."""
    if present is None:
        return {}
    known = {"code": present.node.code, "type": present.node.type}
    if platform is not None:
        known |= {"platform": platform.name, "url": platform.url}
    if present.device_api is not None:
        known["username"] = present.device_api.username
    return known


def _missing(
    given: Given,
    *,
    flags: dict[str, str],
    platform: AcsmpSettings | None,
    present: Settings | None,
) -> Iterator[str]:
    for question in (answers.CODE, answers.TYPE, answers.PLATFORM, answers.URL):
        if question.name not in flags:
            yield question.flag
    if given.sm2_key is None and not _has_key(platform):
        yield "--sm2-key"
    has_password = given.password_file or given.password_input or given.generates_password
    if not has_password and (present is None or present.device_api is None):
        yield "--password-file (or --password-stdin, --generate-password)"


def _platform(given: Given, present: Settings | None) -> AcsmpSettings | None:
    """Return the configured platform that is meant: the one named, or else the first."""
    if given.platform is not None:
        return _named(given.platform, present)
    return present.acsmp[0] if present is not None and present.acsmp else None


def _named(name: str, present: Settings | None) -> AcsmpSettings | None:
    return next((each for each in present.acsmp if each.name == name), None) if present else None


def _default(question: Question, known: dict[str, str]) -> str | None:
    suggested = {"type": "AI_BOX", "platform": "city"}
    return known.get(question.name) or suggested.get(question.name)


def _username(known: dict[str, str], dialog: Dialog | None) -> str:
    default = known.get("username") or answers.USERNAME.default or ""
    return dialog.ask(answers.USERNAME, default=default) if dialog is not None else default


def _has_key(platform: AcsmpSettings | None) -> bool:
    if platform is None:
        return False
    return platform.sm2_public_key_file is not None or platform.password_format == "plain"  # noqa: S105 - a format


def _key(
    given: Given, *, platform: AcsmpSettings | None, dialog: Dialog | None
) -> PublicKey | None:
    if given.sm2_key is not None:
        return _flag("--sm2-key", answers.public_key, given.sm2_key)
    if dialog is None:
        return None
    kept = None
    if platform is not None and _has_key(platform):
        kept = platform.sm2_public_key_file or "none, the password travels plain"
    accept: Callable[[str], PublicKey | None] = answers.public_key
    key = dialog.ask_for(_KEY, accept, default=None, shown=kept)
    if key is not None:
        dialog.say(f"  fingerprint 指纹 {key.fingerprint}")
        dialog.say("  compare it with the platform's operator 请与平台核对")
    return key


def _ca(
    given: Given, *, url: str, platform: AcsmpSettings | None, dialog: Dialog | None
) -> str | None:
    if given.ca_file is not None:
        return _flag("--ca-file", answers.ca_certificates, given.ca_file)
    if dialog is None or not url.startswith("https:"):
        return None
    accept: Callable[[str], str | None] = answers.ca_certificates
    return dialog.ask_for(
        _CA,
        accept,
        default=None,
        shown=platform.ca_file if platform is not None else None,
        is_optional=True,
    )


def _password(given: Given, *, present: Settings | None, dialog: Dialog | None) -> Secret | None:
    if given.password_file is not None:
        return _flag("--password-file", answers.password_of_file, given.password_file)
    if given.password_input is not None:
        line = given.password_input.readline().removesuffix("\n").removesuffix("\r")
        return _flag("--password-stdin", answers.password, line)
    if given.generates_password:
        return answers.generated_password()
    if dialog is None:
        return None
    has_one = present is not None and present.device_api is not None
    empty = "empty keeps it 留空不变" if has_one else "empty makes one up 留空自动生成"
    typed = dialog.ask_secret(f"{_PASSWORD} ({empty})", answers.password)
    return typed if typed is not None or has_one else answers.generated_password()


def _flag(flag: str, accept: Callable[[_Text], _Result], text: _Text) -> _Result:
    try:
        return accept(text)
    except BadInput as error:
        raise BadInput(f"{flag}: {error}") from error
