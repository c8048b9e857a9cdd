"""What a platform answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

_LONGEST_RETRY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """Is one whole answer; header names are in lower case, several of a name joined by ", "."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after_seconds(self) -> float | None:
        """Return how long the other side asks to wait, 0 to a day; None where it does not say.

        A moment is measured against the answer's own Date, so a wrong clock here does no harm.
        """
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            # A longer number would be cut to a day in any case.
            return min(float(value[:9]), _LONGEST_RETRY_SECONDS)
        moment, sent = _moment(value), _moment(self.headers.get("date", ""))
        if moment is None or sent is None:
            return None
        return min(max(0.0, (moment - sent).total_seconds()), _LONGEST_RETRY_SECONDS)


def _moment(value: str) -> datetime | None:
    if not value.endswith("GMT"):
        return None
    try:
        return parsedate_to_datetime(value)
    except ValueError:
        return None
