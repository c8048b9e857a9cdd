"""Reporting as documents: what `monitoring … --json` prints and the local socket answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from agent.app.collect import timestamp
from agent.app.monitoring.outbox_service import OpenOutbox
from agent.app.monitoring.parts import Reporting
from agent.app.monitoring.platform import MonitoredPlatform
from agent.errors import AgentError
from agent.protocols.tc609.month_report import MemberDifference, MissingMember, RenderedReport
from agent.protocols.tc609.reporter import Verification
from agent.protocols.tc609.sync import EntityPlan
from agent.store.outbox import RefusedMessage, StreamState
from agent.store.outbox_view import MessageFate


def platform(one: Reporting, *, now: datetime) -> dict[str, Any]:
    """Return how the reporting to a platform fares; every field is always there."""
    settings = one.platform.settings
    document: dict[str, Any] = {
        "name": settings.name,
        "url": settings.url,
        "centre": settings.centre.name,
        "centre_id": None,
        "is_scheduled": settings.report.enabled,
        "next_due_at": None,
        "next_attempt_at": None,
        **dict.fromkeys(_STREAM_FIELDS),
        "refused": None,
        "last_delivered_at": None,
        "last_delivered_month": None,
        "figures_file": settings.figures_file,
        "figures_error": one.platform.figures_trouble,
        "trouble": one.trouble,
        "unknown": None,
    }
    try:
        state = one.platform.state()
    except AgentError as error:
        return {**document, "unknown": str(error)}
    wait_seconds, last = state.next_attempt_seconds, state.last_delivery
    return {
        **document,
        "centre_id": state.centre_id,
        "next_due_at": state.next_due_at and timestamp(state.next_due_at),
        "next_attempt_at": (
            None if wait_seconds is None else timestamp(now + timedelta(seconds=wait_seconds))
        ),
        **_stream(state.stream),
        "refused": [_refused(each) for each in state.refused],
        "last_delivered_at": last and timestamp(last.at),
        "last_delivered_month": last and last.key,
    }


def removed(opened: OpenOutbox, *, configured: Sequence[str]) -> list[dict[str, Any]]:
    """Return what stands in the outbox for platforms that are not configured any more."""
    return [
        {
            "name": name,
            **_stream(opened.outbox.state(name)),
            "refused": [_refused(each) for each in opened.outbox.refused(name)],
        }
        for name in opened.view.streams()
        if name not in configured
    ]


def report(
    one: RenderedReport, *, platform: MonitoredPlatform, is_new: bool | None, fate: MessageFate
) -> dict[str, Any]:
    """Return a month's report; `is_new` None: it was only shown."""
    return {
        "platform": platform.name,
        "month": str(one.month),
        "is_empty": one.is_empty,
        "groups": [
            {
                "group": group.value,
                "name": platform.report_map.group(group).wire_name,
                "members": dict(members),
            }
            for group, members in one.groups.items()
        ],
        "missing": missing_members(one.missing),
        "by_hand": list(one.by_hand),
        "is_new": is_new,
        "fate": fate_document(fate),
    }


def fate_document(fate: MessageFate) -> dict[str, Any]:
    """Return what became of a message; `mark` changes whenever the rest does."""
    fields = {
        "state": fate.state.value,
        "at": fate.at and timestamp(fate.at),
        "before": fate.before,
        "attempts": fate.attempts,
        "next_attempt_at": fate.next_attempt_at and timestamp(fate.next_attempt_at),
        "code": fate.code,
        "reason": fate.reason,
    }
    return {**fields, "mark": mark(fate)}


def mark(fate: MessageFate) -> str:
    """Return what tells one fate from the next."""
    return f"{fate.state.value}/{fate.before}/{fate.attempts}/{fate.next_attempt_at}"


def entities(
    platform: str,
    plans: Sequence[EntityPlan],
    *,
    is_done: bool,
    missing: Mapping[str, Sequence[MissingMember]],
) -> dict[str, Any]:
    """Return what has to be done for a platform, or was done; `missing` is by project."""
    return {
        "platform": platform,
        "is_done": is_done,
        "entities": [
            {
                "kind": plan.kind.value,
                "name": plan.name,
                "action": plan.action.value,
                "id": plan.identifier,
                "differences": [
                    {
                        "field": each.name,
                        "declared": each.declared,
                        "found": each.found,
                        "is_changeable": each.is_changeable,
                    }
                    for each in plan.differences
                ],
            }
            for plan in plans
        ],
        "missing": [
            {"project": project, **one}
            for project, members in missing.items()
            for one in missing_members(members)
        ],
    }


def verification(platform: str, month: str, found: Verification) -> dict[str, Any]:
    """Return how a platform has a month."""
    return {
        "platform": platform,
        "month": month,
        "is_there": found.is_there,
        "differences": [_difference(each) for each in found.differences],
    }


def missing_members(members: Sequence[MissingMember]) -> list[dict[str, Any]]:
    """Return what a report leaves out, and why."""
    return [
        {
            "group": each.group.value,
            "name": each.wire_name,
            "figure": each.figure,
            "title": each.title,
            "reason": each.reason,
        }
        for each in members
    ]


_STREAM_FIELDS = (
    "waiting",
    "waiting_bytes",
    "oldest_at",
    "last_error",
    "delivered_total",
    "refused_total",
    "expired_total",
)


def _stream(state: StreamState) -> dict[str, Any]:
    fields = {name: getattr(state, name) for name in _STREAM_FIELDS}
    return {**fields, "oldest_at": state.oldest_at and timestamp(state.oldest_at)}


def _refused(message: RefusedMessage) -> dict[str, Any]:
    return {
        "month": message.key,
        "refused_at": timestamp(message.refused_at),
        "code": message.code,
        "reason": message.reason,
    }


def _difference(difference: MemberDifference) -> dict[str, Any]:
    return {
        "name": difference.name,
        "expected": difference.sent,
        "found": difference.found,
    }
