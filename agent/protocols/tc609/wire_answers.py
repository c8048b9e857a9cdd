"""What a monitoring platform answers (TC609 annexes A and C).

Accepted beyond the tables: ids as digits or numbers, codes of regions, clusters and hubs as text or
numbers, one record in place of a list, `data` in a list of one, dates with "/" or "-" and without
zeros in front, fields that no table names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec

from agent.errors import AgentError, PermanentError, PlatformRejected, TransientError
from agent.protocols.tc609.wire_reports import month_text

STANDARD = "TC609"
SUCCESS = 200
USER_REFUSED = 10001
TOKEN_REFUSED = 10002
NO_PERMISSION = 10003
WRONG_TYPE = 10004
FIELD_MISSING = 10005
NOT_SIGNED = 10006
OTHER = 99999

# Table A.1-2 leaves open what is meant where it is missing.
DEFAULT_TOKEN_SECONDS = 3600.0
_LONGEST_TOKEN_SECONDS = 7 * 86_400.0
_TOKEN_CHARACTERS = 8192
_MESSAGE_CHARACTERS = 200
_ID_DIGITS = 18
_MOST_RECORDS = 10_000
_DATE = re.compile(r"([0-9]{4})[/-]([0-9]{1,2})[/-]([0-9]{1,2})(?:[T ].*)?")
_MONTH = re.compile(r"([0-9]{4})[/-]([0-9]{1,2})")
_HTTP_UNAUTHORIZED = 401
_NO_VERDICT = frozenset({403, 404, 405, 407, 408, 421, 423, 425, 429, 451})

PROJECT_FIELDS = frozenset({"projectName", "id", "province", "clusterId", "hubId"})
REPORT_FIELDS = frozenset({"centerId", "centerName", "reportMonth", "id"})


class TokenRefused(AgentError):  # noqa: N818 - named by what the caller has to renew
    """Says that a platform knows the token no more (code 10002): get a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedToken:
    """Is what table A.1-2 gives."""

    token: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundProject:
    """Is a project as a platform has it (table A.4-4); None is what it did not tell."""

    identifier: int | None
    name: str | None
    province: str | None
    cluster: str | None
    hub: str | None
    investment: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCentre:
    """Is a centre as a platform has it (table A.7-4); None is what it did not tell."""

    identifier: int | None
    name: str | None
    description: str | None
    project_ids: tuple[int, ...]
    cluster: str | None
    hub: str | None
    longitude: float | None
    latitude: float | None
    province: str | None
    city: str | None
    type: int | None
    production_date: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundReport:
    """Is a month as a platform has it (table A.9-3); `members` are all fields beyond the heads."""

    centre_id: int | None
    centre_name: str | None
    month: str | None
    members: Mapping[str, Any]


def decode_answer(
    body: bytes, *, status: int, retry_after_seconds: float | None = None
) -> Mapping[str, Any]:
    """Return the fields of an answer that says success: `code` decides first, then HTTP.

    Raises:
        TokenRefused: code 10002, or HTTP 401 without a code.
        PermanentError: codes 10001, 10003 and 10006: what every other request would meet, too.
        PlatformRejected: any other code: this request is refused.
        TransientError: no verdict of the platform.
    """
    fields = _object(body)
    code = None if fields is None else _integer(_pick(fields, "code"))
    if fields is None or code is None:
        raise _without_code(status, retry_after_seconds=retry_after_seconds)
    if code == SUCCESS:
        return fields
    text = _message(_pick(fields, "msg", "message"))
    if code == TOKEN_REFUSED:
        raise TokenRefused(text)
    if code == USER_REFUSED:
        raise PermanentError(
            f"the platform does not know the user (code {code}: {text}): check username and "
            "password_file"
        )
    if code == NO_PERMISSION:
        raise PermanentError(
            f"the platform denies the user this (code {code}: {text}): it has to be granted there"
        )
    if code == NOT_SIGNED:
        raise PermanentError(
            f"the platform wants signed requests (code {code}: {text}): set sign as it demands"
        )
    if status in (429, 503):
        raise TransientError(
            f"the platform cannot now (code {code}, HTTP {status}: {text})",
            retry_after_seconds=retry_after_seconds,
        )
    raise PlatformRejected(standard=STANDARD, code=code, status=status, message=text)


def decode_token(fields: Mapping[str, Any]) -> GrantedToken:
    """Return the token of table A.1-2; TransientError where there is none that can be sent."""
    # Some put the fields of a success in `data`, as all other answers do.
    source = fields if _pick(fields, "token") is not None else _one(_pick(fields, "data")) or {}
    token = _pick(source, "token")
    if not isinstance(token, str) or not token.strip() or len(token) > _TOKEN_CHARACTERS:
        raise TransientError("the platform's answer to the login holds no token")
    seconds = _number(_pick(source, "expiresIn"))
    if seconds is None or seconds <= 0:
        seconds = DEFAULT_TOKEN_SECONDS
    return GrantedToken(token=token.strip(), seconds=min(seconds, _LONGEST_TOKEN_SECONDS))


def decode_identifier(fields: Mapping[str, Any]) -> int | None:
    """Return the id of tables A.2-2 and A.5-2; None where the answer holds none."""
    data = _pick(fields, "data")
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if isinstance(data, Mapping):
        data = _pick(data, "id")
    return _identifier(data)


def decode_projects(fields: Mapping[str, Any], *, group: str | None) -> tuple[FoundProject, ...]:
    """Return the projects of tables A.4-2 to A.4-4."""
    return tuple(
        FoundProject(
            identifier=_identifier(_pick(record, "id")),
            name=_text(_pick(record, "projectName")),
            province=_code(_pick(record, "province"), digits=6),
            cluster=_code(_pick(record, "clusterId")),
            hub=_code(_pick(record, "hubId")),
            investment=_members(record, group=group, heads=PROJECT_FIELDS),
        )
        for record in _records(fields)
    )


def decode_centres(fields: Mapping[str, Any]) -> tuple[FoundCentre, ...]:
    """Return the centres of tables A.7-2 to A.7-4."""
    return tuple(
        FoundCentre(
            identifier=_identifier(_pick(record, "id")),
            name=_text(_pick(record, "name")),
            description=_text(_pick(record, "description")),
            project_ids=_project_ids(_pick(record, "projectId")),
            cluster=_code(_pick(record, "clusterId")),
            hub=_code(_pick(record, "hubId")),
            longitude=_number(_pick(record, "longitude")),
            latitude=_number(_pick(record, "latitude")),
            province=_code(_pick(record, "province"), digits=6),
            city=_code(_pick(record, "city"), digits=6),
            type=_integer(_pick(record, "type")),
            production_date=_date(_pick(record, "productionDate")),
        )
        for record in _records(fields)
    )


def decode_reports(fields: Mapping[str, Any]) -> tuple[FoundReport, ...]:
    """Return the months of tables A.9-2 and A.9-3."""
    return tuple(
        FoundReport(
            centre_id=_identifier(_pick(record, "centerId")),
            centre_name=_text(_pick(record, "centerName")),
            month=_month(_pick(record, "reportMonth")),
            members=_members(record, group=None, heads=REPORT_FIELDS),
        )
        for record in _records(fields)
    )


def _without_code(status: int, *, retry_after_seconds: float | None) -> AgentError:
    if status == _HTTP_UNAUTHORIZED:
        return TokenRefused(f"HTTP {status}")
    if 400 <= status < 500 and status not in _NO_VERDICT:
        return PlatformRejected(
            standard=STANDARD, status=status, message="the answer holds no code"
        )
    hint = (
        ": does url lead to the platform's monitoring interfaces?" if status in (403, 404) else ""
    )
    return TransientError(
        f"the answer (HTTP {status}) is not one of {STANDARD}, it holds no code{hint}",
        retry_after_seconds=retry_after_seconds,
    )


def _object(body: bytes) -> Mapping[str, Any] | None:
    try:
        decoded = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None


def _pick(fields: Mapping[str, Any], *names: str) -> Any:
    for name in names:
        if name in fields:
            return fields[name]
    folded = {name.casefold() for name in names}
    return next((value for name, value in fields.items() if name.casefold() in folded), None)


def _one(data: Any) -> Mapping[str, Any] | None:
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    return data if isinstance(data, dict) else None


def _records(fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the records of `data`: {total, datalist}, that in a list of one, or just a list."""
    data = _pick(fields, "data")
    wrapper = _one(data)
    if wrapper is not None and _pick(wrapper, "datalist") is not None:
        data = _pick(wrapper, "datalist")
    elif wrapper is not None and _pick(wrapper, "total") is not None:
        data = None
    if data is None:
        return []
    records = data if isinstance(data, list) else [data]
    if len(records) > _MOST_RECORDS or not all(isinstance(record, dict) for record in records):
        raise TransientError("the platform's answer holds no list of records in data.datalist")
    return records


def _members(
    record: Mapping[str, Any], *, group: str | None, heads: frozenset[str]
) -> Mapping[str, Any]:
    if group is not None and isinstance(record.get(group), dict):
        return dict(record[group])
    return {name: value for name, value in record.items() if name not in heads}


def _identifier(value: Any) -> int | None:
    number = _integer(value)
    return number if number is not None and 0 <= number < 10**_ID_DIGITS else None


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else None
    if isinstance(value, str):
        digits = value.strip()
        is_number = digits.isascii() and digits.isdigit() and len(digits) <= _ID_DIGITS
        return int(digits) if is_number else None
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _code(value: Any, *, digits: int = 0) -> str | None:
    """Return a code as digits; a region of two or four digits is filled up to six."""
    number = _integer(value)
    if number is None:
        return _text(value)
    return str(number).ljust(digits, "0")


def _project_ids(value: Any) -> tuple[int, ...]:
    parts = value.split(";") if isinstance(value, str) else [value]
    return tuple(identifier for part in parts if (identifier := _identifier(part)) is not None)


def _date(value: Any) -> date | None:
    match = _DATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


def _month(value: Any) -> str | None:
    match = _MONTH.fullmatch(value.strip()) if isinstance(value, str) else None
    return month_text(int(match[1]), int(match[2])) if match is not None else _text(value)


def _message(value: Any) -> str:
    """Return the platform's reason, without what would break a line of a log."""
    text = value if isinstance(value, str) else ""
    shown = "".join(each if each.isprintable() else " " for each in text[:_MESSAGE_CHARACTERS])
    return shown.strip() or "no reason given"
