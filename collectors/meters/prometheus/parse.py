"""Answers of the Prometheus HTTP API → one sample."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

from agent.errors import ReadingUnavailable

_SHOWN_SERIES = 5
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Is the one value of an instant query; `evaluated_at` is the server's time of asking."""

    value: Decimal
    evaluated_at: datetime


def sample(content: bytes, *, status: int) -> Sample:
    """Return the one sample of an answer.

    Raises:
        ReadingUnavailable: the query is refused, gives no series or several, or no finite number.
    """
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ReadingUnavailable(
            f"the server answers HTTP {status} and no JSON", hint="is url that of the HTTP API?"
        ) from error
    if not isinstance(answer, dict) or answer.get("status") != "success":
        said = answer.get("error") if isinstance(answer, dict) else None
        raise ReadingUnavailable(
            f"the query is refused (HTTP {status}): {_shown(said)}", hint="mend query"
        )
    # A sum over what was left out is too low.
    if answer.get("warnings") or answer.get("isPartial"):
        raise ReadingUnavailable(
            f"the answer may be incomplete: {_shown(answer.get('warnings') or 'it is partial')}"
        )
    data = answer.get("data")
    kind = data.get("resultType") if isinstance(data, dict) else None
    result = data.get("result") if isinstance(data, dict) else None
    if kind == "scalar":
        return _sample(result)
    if kind != "vector" or not isinstance(result, list):
        raise ReadingUnavailable(
            f"the query gives a {_shown(kind)}, not one number", hint="ask for one series at a time"
        )
    if not result:
        raise ReadingUnavailable(
            "the query gives nothing", hint="is the exporter up? try the query in the server's page"
        )
    if len(result) > 1:
        labels = "; ".join(_labels(each) for each in result[:_SHOWN_SERIES])
        more = ", …" if len(result) > _SHOWN_SERIES else ""
        raise ReadingUnavailable(
            f"the query gives {len(result)} series: {labels}{more}",
            hint="choose one by its labels, or add them up with sum()",
        )
    return _sample(result[0].get("value") if isinstance(result[0], dict) else None)


def moment(seconds: Decimal | float) -> datetime:
    """Return a Unix time in UTC; raises ReadingUnavailable if it is none."""
    try:
        return datetime.fromtimestamp(float(seconds), timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        raise ReadingUnavailable(f"{_shown(seconds)} is no time") from error


def _sample(pair: Any) -> Sample:
    if not isinstance(pair, list) or len(pair) != 2:
        raise ReadingUnavailable("the series has no number", hint="histograms are no registers")
    at, text = pair
    if isinstance(at, bool) or not isinstance(at, int | float) or not isinstance(text, str):
        raise ReadingUnavailable("the series has no time and number")
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ReadingUnavailable(f"{_shown(text)} is no number") from error
    if not value.is_finite():
        raise ReadingUnavailable(f"the value is {value}", hint="the query divides by nothing?")
    return Sample(value=value, evaluated_at=moment(at))


def _labels(series: Any) -> str:
    metric = series.get("metric") if isinstance(series, dict) else None
    if not isinstance(metric, Mapping):
        return "{}"
    return _shown("{" + ", ".join(f'{name}="{value}"' for name, value in metric.items()) + "}")


def _shown(value: Any) -> str:
    text = "".join(one if one.isprintable() else " " for one in str(value))
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
