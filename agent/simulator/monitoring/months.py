"""Monthly reports of the monitoring platform (A.8, A.9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from agent.simulator.monitoring import outcome, tables
from agent.simulator.monitoring.codes import Code
from agent.simulator.monitoring.outcome import Outcome
from agent.simulator.monitoring.store import EntityKind, MonitoringStore

_TABLE = tables.MONTH_REPORT


class Months:
    """Takes and tells months; the same month of a centre again takes the place of the first.

    Clause 6.1 names a change of monthly figures and no annex has one. Safe in every thread.
    """

    def __init__(
        self, store: MonitoringStore, *, maximum: int, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._maximum = maximum
        self._now = now

    def report(self, value: Mapping[str, Any], user: str) -> Outcome:
        """Keep a month of a centre (A.8)."""
        month, name = value["reportMonth"], value.get("centerName")
        with self._store.lock:
            centre = outcome.chosen(
                self._store,
                EntityKind.CENTRE,
                identifier=value.get("centerId"),
                name=name,
                user=user,
                fields=("centerId", "centerName"),
                table=_TABLE,
            )
            if name is not None and name != centre.name:
                problem = f"{name[:40]!r} is not the name of centre {centre.identifier}"
                raise outcome.refusal(_TABLE, "centerName", problem, code=Code.TYPE_WRONG)
            if not self._store.months(centre_id=centre.identifier, month=month):
                outcome.check_room(self._store.count_months(), maximum=self._maximum, of="months")
            # Who sent the id alone is told the name, too: both are marked mandatory.
            body = {**value, "centerId": centre.identifier, "centerName": centre.name}
            times = self._store.put_month(
                centre.identifier, month, body=body, at=self._now().isoformat("T", "milliseconds")
            )
        notes = tuple(
            outcome.note(_TABLE, group, "holds nothing")
            for group in tables.MONTH_GROUPS
            if value.get(group) == {}
        )
        if month >= f"{self._now():%Y-%m}":
            notes += (outcome.note(_TABLE, "reportMonth", "is not over yet"),)
        again = "" if times == 1 else f" anew (report {times} of it)"
        return Outcome(text=f"took {month} of centre {centre.identifier}{again}", notes=notes)

    def query(self, value: Mapping[str, Any], user: str) -> Outcome:
        """Tell the months of the user's centres, each a table A.8-1 (A.9)."""
        own = {each.identifier for each in self._store.find(EntityKind.CENTRE, owner=user)}
        found = self._store.months(centre_id=value.get("centerId"), month=value.get("reportMonth"))
        return outcome.listed([each.body for each in found if each.centre_id in own], of="months")
