"""Declared state and totals that the tests of reporting share."""

from __future__ import annotations

from datetime import date
from typing import Any

from agent.config.kinds import time_zone
from agent.metering.months import MonthTotals, month_span
from agent.model.metering import Figure, Quality
from agent.protocols.tc609.declared import CentreType, DeclaredCentre, DeclaredProject

ZONE = time_zone("Asia/Shanghai")


def project(**changed: Any) -> DeclaredProject:
    fields: dict[str, Any] = {
        "name": "示例项目一期",
        "province": "440000",
        "investment": {"projectStatus": "已投产", "totalInvestment": 12000.5},
        "cluster": "4",
        "hub": "13",
    }
    return DeclaredProject(**(fields | changed))


def centre(**changed: Any) -> DeclaredCentre:
    fields: dict[str, Any] = {
        "name": "示例算力中心",
        "province": "440000",
        "city": "440200",
        "longitude": 113.59723,
        "latitude": 24.81039612,
        "type": CentreType.GENERAL_AI,
        "projects": ("示例项目一期",),
        "description": "一期 1200 架",
        "cluster": "4",
        "hub": "13",
        "production_date": date(2024, 1, 9),
    }
    return DeclaredCentre(**(fields | changed))


def figure(value: int | None, *, reason: str | None = None) -> Figure:
    quality = Quality.UNKNOWN if value is None else Quality.MEASURED
    coverage = 0.0 if value is None else 1.0
    return Figure(value=value, coverage_ratio=coverage, quality=quality, reason=reason)


def totals(year: int = 2026, month: int = 1, **changed: Any) -> MonthTotals:
    start_at, end_at = month_span(year, month, zone=ZONE)
    fields: dict[str, Any] = {
        "start_at": start_at,
        "end_at": end_at,
        "hours": 744,
        "facility": figure(3_600_000 * 1_250_000 + 1_234_567),
        "it": figure(3_600_000 * 1_000_000),
        "green": figure(3_600_000 * 400_000),
        "water": figure(None, reason="no meter has the role water"),
        "pue": 1.25,
        "pue_coverage_ratio": 1.0,
        "wue_litres_per_kwh": None,
        "wue_coverage_ratio": 0.0,
        "unknown": {"water": "no meter has the role water", "wue": "no water is known"},
    }
    return MonthTotals(**(fields | changed))
