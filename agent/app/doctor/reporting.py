"""The reporting to monitoring platforms, and where its figures come from, as the agent tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.app.doctor.check import Finding, failed, ok, skipped, warning

REPORTING, SOURCES = "reporting", "figures"
_NO_OUTBOX = "look at `disk` and `state folder` above"


def judge_reporting(status: Mapping[str, Any]) -> Sequence[Finding]:
    """Return how the reporting to each monitoring platform fares. Pure."""
    reporting = status.get("monitoring")
    if reporting is None:
        return [skipped("no monitoring platform is configured")]
    found = [_platform(each) for each in reporting["platforms"]]
    if reporting["unknown"]:
        found.append(failed(f"the outbox: {reporting['unknown']}", advice=_NO_OUTBOX))
    found += _removed(reporting["removed"])
    return found or [skipped("nothing is reported")]


def judge_sources(status: Mapping[str, Any]) -> Sequence[Finding]:
    """Return whether the figures of the centre can be had. Pure."""
    sources = status.get("operational_sources")
    if not sources:
        return [skipped("no figures are asked of others")]
    return [
        ok(f"{each['age_seconds']} s old", subject=each["name"])
        if each["unknown"] is None
        else failed(
            str(each["unknown"]),
            advice="look at centre.sources, and at `dns` to `tls` of it above",
            subject=each["name"],
        )
        for each in sources
    ]


def _platform(each: Mapping[str, Any]) -> Finding:
    name = str(each["name"])
    if each["unknown"]:
        return failed(str(each["unknown"]), advice=_NO_OUTBOX, subject=name)
    found = f"{each['waiting']} waiting, last taken {each['last_delivered_month'] or 'never'}"
    if each["refused"]:
        one = each["refused"][0]
        return failed(
            f"{found}; {len(each['refused'])} refused: {one['month']}: {one['reason']}",
            advice=f"computility-agent monitoring list; once mended: monitoring release {name} "
            f"{one['month']}",
            subject=name,
        )
    trouble = each["trouble"] or each["figures_error"]
    if trouble:
        return failed(
            f"{found}; {trouble}", advice="computility-agent monitoring list", subject=name
        )
    if each["last_error"]:
        return warning(
            f"{found}; {each['last_error']}",
            advice="it is tried again by itself; see `dns` to `tls` of it above",
            subject=name,
        )
    return ok(found, subject=name)


def _removed(removed: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    for each in removed:
        if each["waiting"]:
            yield warning(
                f"{each['waiting']} reports wait for a platform that is configured no more",
                advice="put it into the section monitoring again if they are still to be sent",
                subject=str(each["name"]),
            )
