"""Reporting as people read it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_MOST_SHOWN = 60


def platforms(document: Mapping[str, Any]) -> str:
    """Return the text of `monitoring list`."""
    lines = [line for each in document["platforms"] for line in platform(each)]
    lines += [
        f"{each['name']}  not configured any more: {each['waiting']} reports wait, "
        f"{len(each['refused'])} were refused"
        for each in document["removed"]
    ]
    if document["unknown"]:
        lines.append(document["unknown"])
    return "\n".join(lines) or "no platform is configured: see the section monitoring"


def platform(one: Mapping[str, Any]) -> list[str]:
    """Return the lines of one platform."""
    identifier = "no id yet" if one["centre_id"] is None else f"id {one['centre_id']}"
    lines = [f"{one['name']}  {one['url']}", f"  centre     {one['centre']} ({identifier})"]
    if one["unknown"]:
        return [*lines, f"  unknown    {one['unknown']}"]
    waits = f"{one['waiting']} reports"
    if one["waiting"]:
        waits += f" since {one['oldest_at']}, tried next {one['next_attempt_at']}"
    lines.append(f"  waiting    {waits}")
    if one["last_error"]:
        lines.append(f"             {one['last_error']}")
    for each in one["refused"]:
        code = "no code" if each["code"] is None else f"code {each['code']}"
        lines.append(f"  refused    {each['month']}: {code}, {each['reason']}")
    last = (
        f"{one['last_delivered_month']} at {one['last_delivered_at']}"
        if one["last_delivered_at"]
        else "nothing yet"
    )
    lines.append(f"  delivered  {one['delivered_total']}, last {last}")
    if one["expired_total"]:
        lines.append(f"  given up   {one['expired_total']}")
    lines.append(f"  next month {one['next_due_at'] or 'only by command'}")
    if one["figures_error"]:
        lines.append(f"  figures    {one['figures_error']}")
    elif one["trouble"]:
        lines.append(f"  trouble    {one['trouble']}")
    return lines


def entities(document: Mapping[str, Any]) -> str:
    """Return the table of `monitoring sync` for one platform."""
    lines = [document["platform"]]
    for each in document["entities"]:
        identifier = "" if each["id"] is None else f"  id {each['id']}"
        action = _ACTIONS[document["is_done"]][each["action"]]
        lines.append(f"  {each['kind']:<8} {each['name']}  {action}{identifier}")
        if each["differences"]:
            lines.append(f"    {'field':<24} {'declared':<30} found")
        for difference in each["differences"]:
            note = "" if difference["is_changeable"] else "  (only the platform can change it)"
            lines.append(
                f"    {difference['field']:<24} {value(difference['declared']):<30} "
                f"{value(difference['found'])}{note}"
            )
        lacks = [
            f"{one['name']} ({one['title']})"
            for one in document["missing"]
            if each["kind"] == "project" and one["project"] == each["name"]
        ]
        if lacks:
            lines.append(f"    not in the file of figures: {', '.join(lacks)}")
    return "\n".join(lines)


def report(document: Mapping[str, Any]) -> str:
    """Return the text of a month's report."""
    lines = [f"{document['platform']}  {document['month']}"]
    missing: Sequence[Mapping[str, Any]] = document["missing"]
    for group in document["groups"]:
        lines.append(f"  {group['name'] or group['group']}")
        lines += [f"    {name:<26} {value(one)}" for name, one in group["members"].items()]
        lines += [
            f"    {each['name']:<26} missing: {each['reason']}"
            for each in missing
            if each["group"] == group["group"]
        ]
    if document["by_hand"]:
        lines.append(f"  from the file, for no meter tells: {', '.join(document['by_hand'])}")
    if document["is_empty"]:
        lines.append("  nothing is known of this month itself: it is not sent")
    return "\n".join(lines)


def fate(one: Mapping[str, Any]) -> str:
    """Return in one line what became of a report."""
    state = one["state"]
    if state == "delivered":
        return f"the platform took it ({one['at']})"
    if state == "refused":
        code = "no code" if one["code"] is None else f"code {one['code']}"
        return f"the platform refused it: {code}, {one['reason']}"
    if state == "none":
        return "not sent"
    text = "waits" + (f" behind {one['before']} others" if one["before"] else "")
    if one["next_attempt_at"]:
        text += f", tried next {one['next_attempt_at']}"
    return text + (f": {one['reason']}" if one["reason"] else "")


def verification(document: Mapping[str, Any]) -> str:
    """Return how a platform has a month."""
    head = f"{document['platform']}  {document['month']}"
    if not document["is_there"]:
        return f"{head}  the platform has no report of it"
    if not document["differences"]:
        return f"{head}  as it ought to be"
    lines = [f"{head}  differs", f"    {'member':<26} {'expected':<30} found"]
    lines += [
        f"    {each['name']:<26} {value(each['expected']):<30} {value(each['found'])}"
        for each in document["differences"]
    ]
    return "\n".join(lines)


def value(one: Any) -> str:
    """Return a value of the wire, fit for a table."""
    if one is None:
        return "-"
    text = one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)
    text = "".join(each if each.isprintable() else "?" for each in text)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


_ACTIONS = {
    False: {"create": "has to be created", "change": "has to be changed", "unchanged": "is good"},
    True: {"create": "created", "change": "changed", "unchanged": "was good"},
}
