"""What a platform asks for, read from parameters: a user's login, or which centre is meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.errors import RequestError
from agent.protocols.tc609 import parameters
from agent.protocols.tc609.parameters import NumberText
from agent.protocols.tc609.wire import Code

USERNAME_MAXIMUM = 256
PASSWORD_MAXIMUM = 1024
CENTRE_NAME_MAXIMUM = 256
_ID_DIGITS = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreNames:
    """Is under what platforms know this centre; None where none of them gave an id, or a name."""

    centre_id: int | None
    centre_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Is table A.1-1."""

    username: str
    password: str = field(repr=False)


class QuestionRefused(RequestError):  # noqa: N818 - our decision, not a fault
    """Says why a question is not answered, with the code of annex C."""

    def __init__(self, reason: str, *, code: Code) -> None:
        super().__init__(reason)
        self.code = code


def read_login(fields: Mapping[str, Any]) -> Login:
    """Return user and password of a request for a token.

    Raises:
        QuestionRefused: one of them is missing, or no text.
    """
    texts = {}
    for name, maximum in (("username", USERNAME_MAXIMUM), ("password", PASSWORD_MAXIMUM)):
        value = _pick(fields, name)
        if parameters.is_empty(value):
            raise QuestionRefused(f"{name} is missing (table A.1-1)", code=Code.FIELD_MISSING)
        texts[name] = _text(value, name=name, table="table A.1-1", maximum=maximum)
    return Login(username=texts["username"], password=texts["password"])


def check_centre(fields: Mapping[str, Any], *, names: CentreNames) -> None:
    """Return if a question is about this centre.

    `centerId` or `centerName` is enough; both have to agree. A centre that is not this one is
    refused as 10003: the platform has no right to ask about it here.

    Raises:
        QuestionRefused: with 10003, 10004 (of the wrong kind, or id and name are of two centres)
            or 10005 (neither was sent).
    """
    given_id = _read_id(_pick(fields, "centerId"))
    given_name = _read_name(_pick(fields, "centerName"))
    matches = []
    if given_id is not None:
        matches.append(given_id == names.centre_id)
    if given_name is not None:
        matches.append(given_name == names.centre_name)
    if not matches:
        raise QuestionRefused("centerId or centerName is missing", code=Code.FIELD_MISSING)
    if all(matches):
        return
    if any(matches):
        raise QuestionRefused(
            "centerId and centerName are not of one centre", code=Code.FIELD_TYPE_WRONG
        )
    raise QuestionRefused("there is no such centre here", code=Code.PERMISSION_DENIED)


def _read_id(value: Any) -> int | None:
    """Return a whole number, which may be written as text or as 7.0."""
    if parameters.is_empty(value):
        return None
    if isinstance(value, str):
        text = value.strip()
        whole, _, decimals = text.partition(".")
        is_number = isinstance(value, NumberText)
        if not decimals.strip("0" if is_number else "") and len(whole) <= _ID_DIGITS:
            digits = whole.removeprefix("-")
            if digits.isascii() and digits.isdigit():
                return int(whole)
    raise QuestionRefused("centerId is not a whole number", code=Code.FIELD_TYPE_WRONG)


def _read_name(value: Any) -> str | None:
    if parameters.is_empty(value):
        return None
    table = "tables B.1-1 and B.2-1"
    return _text(value, name="centerName", table=table, maximum=CENTRE_NAME_MAXIMUM).strip()


def _text(value: Any, *, name: str, table: str, maximum: int) -> str:
    if not isinstance(value, str) or isinstance(value, NumberText):
        raise QuestionRefused(f"{name} is not text ({table})", code=Code.FIELD_TYPE_WRONG)
    if len(value) > maximum:
        raise QuestionRefused(
            f"{name} has {len(value)} characters; at most {maximum} are read",
            code=Code.FIELD_TYPE_WRONG,
        )
    return value


def _pick(fields: Mapping[str, Any], name: str) -> Any:
    """Return a field; its case does not matter unless it is there as the table spells it."""
    if name in fields:
        return fields[name]
    folded = name.casefold()
    return next((value for each, value in fields.items() if each.casefold() == folded), None)
