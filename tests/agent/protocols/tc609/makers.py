"""Makes hours of a centre for the tests."""

from __future__ import annotations

from datetime import datetime, timezone

from agent.model.metering import CentreHour, Figure, Quality

START_AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
KILOWATT_HOUR = 3_600_000


def known(value, quality=Quality.MEASURED):
    return Figure(value=value, coverage_ratio=1.0, quality=quality)


def unknown(reason):
    return Figure(value=None, coverage_ratio=0.0, quality=Quality.UNKNOWN, reason=reason)


def hour(**changes):
    fields = {
        "start_at": START_AT,
        "version": 1,
        "closed_at": START_AT,
        "facility": known(4_444_444_800),
        "it": known(3_555_555_840),
        "green": known(2_222_222_400),
        "water": known(1_779_000),
        "pue": 1.25,
        "wue_litres_per_kwh": 1.80123,
    }
    return CentreHour(**{**fields, **changes})
