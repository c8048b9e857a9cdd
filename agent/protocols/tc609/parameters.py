"""The parameters of a request as they were sent: in the query, in a JSON body, or in a form.

Numbers keep the digits with which they were written, since a signature covers those. No parameter
may come twice with two values: a signature could not tell which of them is meant.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from agent.errors import RequestError

MAXIMUM_PARAMETERS = 1000
FORM_TYPE = "application/x-www-form-urlencoded"
_SHOWN_CHARACTERS = 40


class NumberText(str):
    """Is a number of a JSON text, with the digits of that text."""

    __slots__ = ()


def read(*, query: str, body: bytes, content_type: str | None = None) -> Mapping[str, Any]:
    """Return the parameters of a query string and a body, each by its name.

    `body` is a JSON object, or a form where `content_type` says so; an empty one adds nothing.
    Values are text, bool, None, list, dict and `NumberText`.

    Raises:
        RequestError: they cannot be read, or one of them comes twice with two values.
    """
    merged: dict[str, Any] = {}
    _merge(merged, _read_pairs(query, "query"))
    if body.strip():
        is_form = (content_type or "").partition(";")[0].strip().lower() == FORM_TYPE
        _merge(merged, _read_form(body) if is_form else read_object(body).items())
    return merged


def read_object(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object of a body, its numbers as `NumberText`.

    Raises:
        RequestError: it is no JSON object, or has a member twice with two values.
    """
    try:
        decoded = json.loads(
            body.removeprefix(b"\xef\xbb\xbf").decode(),
            parse_int=NumberText,
            parse_float=NumberText,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError as error:
        raise RequestError(f"the body is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise RequestError(f"the body is not JSON: {error.msg} (at {error.pos})") from error
    except RecursionError as error:
        raise RequestError("the body is nested too deeply") from error
    if not isinstance(decoded, dict):
        raise RequestError("the body is no JSON object")
    return decoded


def as_text(value: Any) -> str:
    """Return a value as a signature covers it: text as it is, the rest as compact JSON.

    Raises:
        RequestError: the value is nested too deeply.
    """
    if isinstance(value, str):
        return str(value)
    try:
        return _compact(value)
    except RecursionError as error:
        raise RequestError("the body is nested too deeply") from error


def is_empty(value: Any) -> bool:
    """Tell whether a value says nothing: null and the empty text."""
    return value is None or value == ""


def printable(text: str) -> str:
    """Return a text of others as it may stand in a message."""
    return repr(text[:_SHOWN_CHARACTERS])


def _read_form(body: bytes) -> Iterable[tuple[str, Any]]:
    try:
        return _read_pairs(body.decode(), "form")
    except UnicodeDecodeError as error:
        raise RequestError(f"the body is not UTF-8 (byte {error.start})") from error


def _read_pairs(text: str, place: str) -> Iterable[tuple[str, Any]]:
    try:
        return parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=MAXIMUM_PARAMETERS
        )
    except UnicodeDecodeError as error:
        raise RequestError(f"the {place} is not UTF-8") from error
    except ValueError as error:
        raise RequestError(f"the {place} has more than {MAXIMUM_PARAMETERS} parameters") from error


def _merge(merged: dict[str, Any], pairs: Iterable[tuple[str, Any]]) -> None:
    for name, value in pairs:
        if name in merged and as_text(merged[name]) != as_text(value):
            raise RequestError(f"the parameter {printable(name)} comes twice with two values")
        merged[name] = value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    _merge(merged, pairs)
    return merged


def _refuse_constant(text: str) -> NoReturn:
    raise RequestError(f"the body is not JSON: {text}")


def _compact(value: Any) -> str:
    """Return JSON without blanks, its keys in the order of their bytes, its numbers as sent."""
    if isinstance(value, NumberText):
        return str(value)
    if isinstance(value, Mapping):
        members = sorted(value.items(), key=lambda member: in_bytes(member[0]))
        return "{" + ",".join(f"{_quoted(name)}:{_compact(each)}" for name, each in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_compact(each) for each in value) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def in_bytes(text: str) -> bytes:
    """Return a text in UTF-8; half of a surrogate pair raises RequestError."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise RequestError("a text holds half of a surrogate pair, which is no text") from error
