"""Reads JSON of others: forgiving about how a value is written, strict about what it is.

The texts spell some names in two ways, print numbers as text, and leave lists of one out of their
brackets. All of that is accepted; a value of another kind is refused with the name of the field
and the table that defines it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from agent.errors import AgentError

# Bounds of the `int` of the tables, read as 32 bits.
INT_MAXIMUM = 2**31 - 1
_INT_DIGITS = 11
_SHOWN_CHARACTERS = 40


class WireError(AgentError):
    """Says what is wrong with a message: the sender has to change it.

    `field` is the standard's name of the field, None for the message as a whole.
    """

    def __init__(self, reason: str, *, field: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


def decode_object(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object in these bytes; a byte order mark before it does not matter.

    Raises:
        WireError: it is not JSON, with the place of the fault, or not an object.
    """
    try:
        decoded = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except msgspec.DecodeError as error:
        # The parser tells the place of every fault but the missing rest.
        place = "" if "byte" in str(error) else f" (byte {len(body)})"
        raise WireError(f"the body is not JSON: {error}{place}") from error
    except UnicodeDecodeError as error:
        raise WireError(f"the body is not UTF-8 (byte {error.start})") from error
    except RecursionError as error:
        raise WireError("the body is nested too deeply") from error
    if not isinstance(decoded, dict):
        raise WireError(f"the body is {kind_of(decoded)}, expected a JSON object")
    return decoded


def pick(fields: Mapping[str, Any], *names: str) -> Any:
    """Return the value under the first of these names that is there; None if none is.

    Upper and lower case are told apart unless nothing else is found.
    """
    for name in names:
        if name in fields:
            return fields[name]
    folded = {name.casefold() for name in names}
    for name, value in fields.items():
        if name.casefold() in folded:
            return value
    return None


def as_text(value: Any, *, field: str, table: str, maximum: int) -> str | None:
    """Return a text of at most `maximum` characters, None for null and for the empty text."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise _mismatch(value, field=field, table=table, expected="text")
    if len(value) > maximum:
        raise WireError(
            f"{field} has {len(value)} characters, {table} allows {maximum}", field=field
        )
    return value


def as_int(value: Any, *, field: str, table: str, minimum: int) -> int | None:
    """Return an int from `minimum` to 2^31-1; digits as text count as one, null gives None."""
    if value is None or value == "":
        return None
    number = _integer(value)
    if number is None:
        raise _mismatch(value, field=field, table=table, expected="an integer")
    if not minimum <= number <= INT_MAXIMUM:
        raise WireError(
            f"{field} is {number}, {table} allows {minimum} to {INT_MAXIMUM}", field=field
        )
    return number


def as_objects(value: Any, *, field: str, table: str) -> list[Mapping[str, Any]]:
    """Return a list of objects; one object stands for a list of one, null for none."""
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    for item in items:
        if not isinstance(item, dict):
            raise _mismatch(item, field=field, table=table, expected="a list of objects")
    return items


def as_object(value: Any, *, field: str, table: str) -> Mapping[str, Any]:
    """Return an object, empty for null."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _mismatch(value, field=field, table=table, expected="an object")
    return value


def kind_of(value: Any) -> str:
    """Return what kind of JSON a value is, in words."""
    if value is None:
        return "null"
    for kind, word in (
        (bool, "a boolean"),
        (str, "text"),
        (int | float, "a number"),
        (list, "a list"),
    ):
        if isinstance(value, kind):
            return word
    return "an object"


def _integer(value: Any) -> int | None:
    # JSON does not tell 1 from 1.0; bool is an int in Python only.
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and value.isascii() and len(value) <= _INT_DIGITS:
        digits = value.strip()
        return int(digits) if digits.removeprefix("-").isdigit() else None
    return None


def _mismatch(value: Any, *, field: str, table: str, expected: str) -> WireError:
    shown = f" {value[:_SHOWN_CHARACTERS]!r}" if isinstance(value, str) else ""
    return WireError(
        f"{field} is {kind_of(value)}{shown}, expected {expected} ({table})", field=field
    )
