"""The misbehaviour that an integrator asks for: what, on which operation, how often, how long."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.simulator.monitoring import routes

# What devices fetch: the file of a package, the file of a licence.
DOWNLOADS = ("Package", "Licence")
ACSMP = ("Register", "Keepalive", "UnRegister", "Computility")
OPERATIONS = (*ACSMP, *DOWNLOADS, *routes.OPERATIONS)
EVERY_OPERATION = "*"


class FaultKind(str, enum.Enum):
    """Says how the simulator misbehaves."""

    REFUSE = "refuse"  # a well-formed refusal: `status`, `code`, `message`
    DELAY = "delay"  # a right answer, `delay_seconds` late
    ERROR = "error"  # a bare HTTP error, `status` (500), without the envelope
    GARBAGE = "garbage"  # status 200, bytes that are no JSON
    HUGE = "huge"  # status 200, an endless-looking body of `size_mib`
    REDIRECT = "redirect"  # a redirection, `to` itself for ever, or elsewhere
    ROTATE_TOKEN = "rotate_token"  # noqa: S105 - a right answer, with a new token
    EXPIRE_TOKEN = "expire_token"  # noqa: S105 - the token of the request ends, then the request is served
    FORGET = "forget"  # the node is forgotten, then the request is served
    DROP = "drop"  # the connection closes without an answer; nothing is done
    LOSE_ANSWER = "lose_answer"  # the request is served, then the connection closes unanswered
    BLACK_HOLE = "black_hole"  # the request is taken and never answered
    RESTART = "restart"  # the listener closes for `seconds`, at once
    BREAK_OFF = "break_off"  # the connection closes after `bytes` of the file
    DRIP = "drip"  # the file comes at `bytes` a second
    CORRUPT = "corrupt"  # the byte at `bytes`, and all after it up to 1 KiB, are wrong
    NO_RANGE = "no_range"  # the whole file, whatever range was asked for
    CHANGE_ETAG = "change_etag"  # the file has another ETag than before
    FALSE_LENGTH = "false_length"  # Content-Length is `bytes`, whatever comes


ONCE = frozenset({FaultKind.FORGET, FaultKind.EXPIRE_TOKEN})
KEEPALIVE_ALONE = frozenset({FaultKind.FORGET, FaultKind.EXPIRE_TOKEN, FaultKind.ROTATE_TOKEN})
REGISTER_ALONE = frozenset({FaultKind.FORGET, FaultKind.ROTATE_TOKEN})
DOWNLOADS_ALONE = frozenset(
    {
        FaultKind.BREAK_OFF,
        FaultKind.DRIP,
        FaultKind.CORRUPT,
        FaultKind.NO_RANGE,
        FaultKind.CHANGE_ETAG,
        FaultKind.FALSE_LENGTH,
    }
)
REDIRECTIONS = ("itself", "elsewhere", "http")


class BadFault(ValueError):  # noqa: N818 - named by what the caller must mend
    """Says everything that is wrong with the description of a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Describes one misbehaviour.

    `operation` is one of `OPERATIONS` or "*". It ends after `count` requests or after `seconds`,
    whichever comes first, and begins after `after_seconds`; None is no limit. Only each `every`-th
    matching request meets it. The rest belongs to single kinds, see `FaultKind`; `status` of a
    refusal by a monitoring platform is 200 unless it is given.
    """

    kind: FaultKind
    operation: str = EVERY_OPERATION
    count: int | None = None
    seconds: float | None = None
    after_seconds: float = 0.0
    every: int = 1
    status: int = 0
    code: int = 50001
    message: str = "refused by the simulator, as it was told to"
    delay_seconds: float = 5.0
    size_mib: int = 64
    bytes: int = 65536
    retry_after_seconds: int | None = None
    to: str = "itself"

    def __str__(self) -> str:
        limits = []
        if self.count is not None:
            limits.append(f"{self.count} times")
        if self.seconds is not None:
            limits.append(f"for {self.seconds:g} s")
        return (
            f"{self.kind.value} on {self.operation}, {', '.join(limits) or 'until it is deleted'}"
        )


_NUMBERS: dict[str, tuple[type[int] | type[float], float, float]] = {
    "count": (int, 1, 1_000_000),
    "seconds": (float, 0, 86_400),
    "after_seconds": (float, 0, 86_400),
    "every": (int, 1, 1_000_000),
    "status": (int, 400, 599),
    "code": (int, -(2**31), 2**31 - 1),
    "delay_seconds": (float, 0, 300),
    "size_mib": (int, 1, 1024),
    "bytes": (int, 0, 2**50),
    "retry_after_seconds": (int, 0, 86_400),
}


def parse_fault(description: Mapping[str, Any]) -> Fault:
    """Return the fault of a JSON object, or of a flag's parts; numbers may be text.

    Raises:
        BadFault: with every problem of it.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    for name, value in description.items():
        if name in _NUMBERS:
            _take_number(name, value, values=values, problems=problems)
        elif name == "message":
            _take_message(value, values=values, problems=problems)
        elif name == "to":
            _take_target(value, values=values, problems=problems)
        elif name not in ("kind", "operation"):
            known = [*_NUMBERS, "message", "to", "kind", "operation"]
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f", did you mean {near[0]}?" if near else f": use {', '.join(known)}"
            problems.append(f"unknown key {str(name)[:40]!r}{hint}")
    kind = _kind(description.get("kind"), problems=problems)
    operation = _operation(description.get("operation"), kind=kind, problems=problems)
    if kind is FaultKind.RESTART and "seconds" not in values:
        problems.append("restart needs seconds")
    if kind is FaultKind.DRIP and values.get("bytes") == 0:
        problems.append("drip needs bytes above 0: it is a rate a second")
    if problems or kind is None or operation is None:
        raise BadFault("; ".join(problems))
    if kind in ONCE and "count" not in values and "seconds" not in values:
        values["count"] = 1
    if operation in routes.OPERATIONS and kind is FaultKind.REFUSE:
        # TC609 tells failures by the code alone; annex C ends with "other error".
        values = {"status": 200, "code": 99999, **values}
    values.setdefault("status", 403 if kind is FaultKind.REFUSE else 500)
    return Fault(kind=kind, operation=operation, **values)


def parse_flag(text: str) -> Fault:
    """Return the fault of `KIND[:OPERATION][,key=value…]`.

    Raises:
        BadFault: it is not of that form.
    """
    head, *pairs = text.split(",")
    kind, _, operation = head.partition(":")
    description: dict[str, Any] = {"kind": kind.strip()}
    if operation:
        description["operation"] = operation.strip()
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadFault(f"{pair!r} is not key=value")
        description[name.strip()] = value.strip()
    return parse_fault(description)


def _kind(value: Any, *, problems: list[str]) -> FaultKind | None:
    try:
        return FaultKind(value)
    except ValueError:
        kinds = ", ".join(kind.value for kind in FaultKind)
        problems.append(f"kind must be one of {kinds}, got {str(value)[:40]!r}")
        return None


def _operation(value: Any, *, kind: FaultKind | None, problems: list[str]) -> str | None:
    if value is None:
        if kind in DOWNLOADS_ALONE:
            return "Package"
        return "Keepalive" if kind in KEEPALIVE_ALONE else EVERY_OPERATION
    if not isinstance(value, str) or value not in (*OPERATIONS, EVERY_OPERATION):
        problems.append(
            f"operation must be one of {', '.join(OPERATIONS)} or *, got {str(value)[:40]!r}"
        )
        return None
    if kind in REGISTER_ALONE and value in routes.OPERATIONS:
        problems.append(f"{kind.value} is for nodes, not for {value}")
        return None
    if kind in DOWNLOADS_ALONE and value not in DOWNLOADS:
        problems.append(f"{kind.value} is for {' and '.join(DOWNLOADS)}, not for {value}")
        return None
    return value


def _take_target(value: Any, *, values: dict[str, Any], problems: list[str]) -> None:
    if value in REDIRECTIONS:
        values["to"] = value
    else:
        problems.append(f"to must be one of {', '.join(REDIRECTIONS)}, got {str(value)[:40]!r}")


def _take_number(name: str, value: Any, *, values: dict[str, Any], problems: list[str]) -> None:
    convert, minimum, maximum = _NUMBERS[name]
    wanted = "a whole number" if convert is int else "a number"
    text = f"{name} must be {wanted} from {minimum:.15g} to {maximum:.15g}, got {str(value)[:40]!r}"
    try:
        number = convert(value)
    except (TypeError, ValueError, OverflowError):
        problems.append(text)
        return
    if (
        isinstance(value, bool)
        or not minimum <= number <= maximum
        or (isinstance(value, float) and number != value)
    ):
        problems.append(text)
        return
    values[name] = number


def _take_message(value: Any, *, values: dict[str, Any], problems: list[str]) -> None:
    # Encoding once finds half surrogate pairs, which no answer can carry.
    if (
        not isinstance(value, str)
        or len(value) > 1024
        or value.encode("utf-8", "ignore").decode() != value
    ):
        problems.append("message must be a text of at most 1024 characters")
        return
    values["message"] = value
