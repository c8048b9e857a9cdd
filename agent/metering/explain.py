"""The way from readings to a figure, as data: each step with the numbers to do it again by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Is one step of a calculation: a sentence, and its numbers.

    `fields` holds what JSON can hold; times are ISO 8601 in UTC, amounts joules or millilitres.
    """

    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)


def time_text(moment: datetime) -> str:
    """Return a moment as ISO 8601 in UTC, such as 2026-01-31T16:00:00Z."""
    return moment.astimezone(timezone.utc).replace(tzinfo=None).isoformat() + "Z"
