"""The text of a request that a signature covers.

The standard names a header `sign` (annex C, 10006) and no more. What is read into it here: the
parameters of the query and the top level of the body together, without `sign` and what is empty,
with timestamp and nonce, sorted by the bytes of their names and joined as `name=value&…`. Text
stands as it is, numbers with the digits that were sent, lists and objects as compact JSON with
sorted keys; nothing is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

_PARAMETERS_MAXIMUM = 1000


class Unreadable(ValueError):  # noqa: N818 - names what the parameters are
    """Says why no text can be made of a request."""


class _Digits(str):
    """Is a number with the digits with which it was sent."""

    __slots__ = ()


def sorted_parameters(*, query: str, body: bytes, stamp: Mapping[str, str]) -> bytes:
    """Return the canonical text of a query, a JSON body and a stamp.

    Raises:
        Unreadable: the parameters cannot be read, or one of them has two values.
    """
    merged: dict[str, str] = {}
    try:
        for name, value in _parameters(query=query, body=body):
            if name != "sign" and value is not None and value != "":
                _put(merged, name, _text(value))
        for name, value in stamp.items():
            _put(merged, name, value)
        pairs = sorted((name.encode(), value.encode()) for name, value in merged.items())
    except UnicodeEncodeError as error:
        raise Unreadable("a text holds half of a surrogate pair") from error
    except RecursionError as error:
        raise Unreadable("the body is nested too deep") from error
    return b"&".join(name + b"=" + value for name, value in pairs)


def raw_body(*, query: str, body: bytes, stamp: Mapping[str, str]) -> bytes:
    """Return the body as it was sent, or the query where there is none, with the stamp behind."""
    sent = body or query.encode()
    return sent + b"".join(f"&{name}={stamp[name]}".encode() for name in sorted(stamp))


def _parameters(*, query: str, body: bytes) -> Iterable[tuple[str, Any]]:
    try:
        yield from parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=_PARAMETERS_MAXIMUM
        )
        if body.strip():
            message = json.loads(body.decode(), parse_int=_Digits, parse_float=_Digits)
            if not isinstance(message, dict):
                raise Unreadable("the body is no JSON object")
            yield from message.items()
    except UnicodeDecodeError as error:
        raise Unreadable("query or body is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise Unreadable(f"the body is not JSON: {error.msg}") from error
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable(f"the query has more than {_PARAMETERS_MAXIMUM} parameters") from error


def _put(merged: dict[str, str], name: str, value: str) -> None:
    if merged.get(name, value) != value:
        raise Unreadable(f"the parameter {name[:40]!r} has two values")
    merged[name] = value


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str) else _compact(value)


def _compact(value: Any) -> str:
    if isinstance(value, _Digits):
        return str(value)
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode(errors="replace"))
        return "{" + ",".join(f"{_quoted(name)}:{_compact(each)}" for name, each in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_compact, value)) + "]"
    return _quoted(value)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
