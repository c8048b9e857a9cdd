"""Asks a Prometheus-compatible server for one number, and reads what it answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from agent.errors import PermanentError, ReadingUnavailable, TransientError

QUERY_PATH = "/api/v1/query"
_SHOWN_CHARACTERS = 200
_REFUSED = (401, 403)
_WRONG_QUESTION = (400, 422)


def path(query: str) -> str:
    """Return path and query string of an instant query, to follow the server's base URL."""
    return f"{QUERY_PATH}?{urlencode({'query': query})}"


def decode(body: bytes, *, status: int) -> float:
    """Return the one finite number of an answer.

    Raises:
        ReadingUnavailable: the server cannot tell it: the query has a fault, or gives nothing,
            several series, or no finite number; or what it tells may be incomplete.
        PermanentError: it does not let us in.
        TransientError: what came is no answer of such a server.
    """
    if status in _REFUSED:
        raise PermanentError(f"HTTP {status}: it does not let us in; check user and password")
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TransientError(f"HTTP {status} and no JSON; is url that of the HTTP API?") from error
    if not isinstance(answer, dict) or answer.get("status") not in ("success", "error"):
        raise TransientError(f"HTTP {status} and no answer of the HTTP API; is url right?")
    if answer["status"] == "error":
        said = _shown(answer.get("error"))
        if status in _WRONG_QUESTION:
            raise ReadingUnavailable(f"the query is refused: {said}")
        raise TransientError(f"HTTP {status}: {said}")
    # A sum over what was left out is too low.
    if answer.get("warnings") or answer.get("isPartial"):
        raise ReadingUnavailable(
            f"the answer may be incomplete: {_shown(answer.get('warnings') or 'it is partial')}"
        )
    return _value(answer.get("data"))


def _value(data: Any) -> float:
    kind = data.get("resultType") if isinstance(data, dict) else None
    result = data.get("result") if isinstance(data, dict) else None
    if kind == "scalar":
        return _number(result)
    if kind != "vector" or not isinstance(result, list):
        raise ReadingUnavailable(f"the query gives a {_shown(kind)}, not one number")
    if not result:
        raise ReadingUnavailable("the query gives nothing")
    if len(result) > 1:
        raise ReadingUnavailable(
            f"the query gives {len(result)} series; make one of them, with sum() or avg()"
        )
    return _number(result[0].get("value") if isinstance(result[0], Mapping) else None)


def _number(pair: Any) -> float:
    if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[1], str):
        raise ReadingUnavailable("the series has no number")
    try:
        value = float(pair[1])
    except ValueError as error:
        raise ReadingUnavailable(f"{_shown(pair[1])} is no number") from error
    if not math.isfinite(value):
        raise ReadingUnavailable(f"the value is {pair[1][:8]}; does the query divide by nothing?")
    return value


def _shown(value: Any) -> str:
    text = "".join(one if one.isprintable() else " " for one in str(value)[:_SHOWN_CHARACTERS])
    return text.strip()
