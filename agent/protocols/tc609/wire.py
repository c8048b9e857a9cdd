"""The messages of TC609 annex B as they stand on the wire, and the codes of annex C.

Every answer has `code`; `msg` says why another code than 200 came, and beside 200 what is unknown:
a figure that was not measured is null and never 0. `data` is one object: the tables call it a list
(数据列表) and describe one record.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import msgspec

from agent.metering.roles import WHOLE_RATIO
from agent.model.metering import CentreHour, Figure, Quality
from agent.model.secret import Secret

STANDARD = "TC609"
TOKEN_PATH = "/api/token"  # noqa: S105 - a path, not a token
OPERATIONAL_PATH = "/api/queryOperationalData"
SUPERVISION_PATH = "/api/querySupervisionSystemData"

MESSAGE_MAXIMUM = 1024
JOULES_PER_KILOWATT_HOUR = 3_600_000
# To the watt-hour, and PUE and WUE to what an hour of two meters can tell.
KILOWATT_HOUR_DECIMALS = 3
RATIO_DECIMALS = 4


class Code(enum.IntEnum):
    """Is a result code: 200, or one of annex C."""

    SUCCESS = 200
    USER_REFUSED = 10001
    TOKEN_INVALID = 10002
    PERMISSION_DENIED = 10003
    FIELD_TYPE_WRONG = 10004
    FIELD_MISSING = 10005
    SIGN_MISSING = 10006
    OTHER = 99999


# For platforms that go by the HTTP status; annex C tells none.
HTTP_STATUSES: Mapping[Code, int] = {
    Code.SUCCESS: 200,
    Code.USER_REFUSED: 401,
    Code.TOKEN_INVALID: 401,
    Code.PERMISSION_DENIED: 403,
    Code.FIELD_TYPE_WRONG: 400,
    Code.FIELD_MISSING: 400,
    Code.SIGN_MISSING: 401,
    Code.OTHER: 400,
}


_NO_HOUR = "the past hour is not known: none was closed yet, or no meter was read lately"


def encode_token(token: Secret, *, expires_in_seconds: int) -> bytes:
    """Return table A.1-2 for a user that was let in."""
    return _encode(
        {"code": Code.SUCCESS.value, "token": token.reveal(), "expiresIn": expires_in_seconds}
    )


def encode_failure(code: Code, message: str) -> bytes:
    """Return the answer that refuses; never empty words."""
    return _encode({"code": code.value, "msg": message[:MESSAGE_MAXIMUM] or code.name})


def encode_supervision(hour: CentreHour | None) -> bytes:
    """Return tables B.2-2 and B.2-3; without an hour every figure is null."""
    if hour is None:
        names = ("electricityConsume", "greenElectricityConsume", "pue", "wue")
        return encode_data(dict.fromkeys(names), remarks=[_NO_HOUR])
    data = {
        "electricityConsume": _kilowatt_hours(hour.facility),
        "greenElectricityConsume": _kilowatt_hours(hour.green),
        "pue": _ratio(hour.pue),
        "wue": _ratio(hour.wue_litres_per_kwh),
    }
    reasons = {
        "electricityConsume": _why(hour.facility) or hour.unknown.get("facility"),
        "greenElectricityConsume": _why(hour.green) or hour.unknown.get("green"),
        "pue": hour.unknown.get("pue"),
        "wue": hour.unknown.get("wue"),
    }
    remarks = [
        f"{name} is unknown: {reasons[name] or 'not measured'}"
        for name, value in data.items()
        if value is None
    ]
    notes = [f"note: {flag}" for flag in hour.flags]
    return encode_data(data, remarks=[*remarks, *notes])


def encode_data(data: Mapping[str, Any], *, remarks: list[str]) -> bytes:
    """Return the answer with `data`; the remarks become `msg` where there are any."""
    answer: dict[str, Any] = {"code": Code.SUCCESS.value, "data": data}
    if remarks:
        answer["msg"] = "; ".join(remarks)[:MESSAGE_MAXIMUM]
    return _encode(answer)


def _kilowatt_hours(figure: Figure) -> float | None:
    """Return joules as kWh; None where the hour is not covered whole.

    The table has no place for a coverage, so nine tenths of an hour would pass for all of it.
    """
    if figure.value is None or figure.quality in (Quality.PARTIAL, Quality.UNKNOWN):
        return None
    if figure.coverage_ratio < WHOLE_RATIO:
        return None
    exact = Fraction(figure.value, JOULES_PER_KILOWATT_HOUR)
    return float(round(exact, KILOWATT_HOUR_DECIMALS))


def _why(figure: Figure) -> str | None:
    if figure.value is not None and figure.coverage_ratio < WHOLE_RATIO:
        kilowatt_hours = figure.value / JOULES_PER_KILOWATT_HOUR
        return f"readings cover {figure.coverage_ratio:.1%} of the hour, {kilowatt_hours:.3f} kWh"
    return figure.reason


def _ratio(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, RATIO_DECIMALS)


def _encode(answer: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(answer)
