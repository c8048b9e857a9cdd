"""Names of members, as strangers write them."""

from __future__ import annotations

import json
import posixpath
import re

from agent.workloads.package_format.errors import PackageRefused

_LONGEST_NAME = 1024
_LONGEST_SHOWN = 80
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def shown(name: str) -> str:
    """Return a name in quotes, fit for one line."""
    if len(name) > _LONGEST_SHOWN:
        name = name[: _LONGEST_SHOWN - 1] + "…"
    return json.dumps(_CONTROL.sub("?", name), ensure_ascii=False)


def clean_name(name: str, *, what: str) -> str:
    """Return a member's name without `.` and empty parts; "" for the archive's own root.

    Raises:
        PackageRefused: it is absolute, leaves the archive, or holds what no name needs.
    """
    if _CONTROL.search(name):
        raise PackageRefused(f"{what}: the name {shown(name)} has a control character in it")
    if len(name) > _LONGEST_NAME:
        raise PackageRefused(f"{what}: the name {shown(name)} is longer than {_LONGEST_NAME}")
    if name.startswith("/"):
        raise PackageRefused(f"{what}: the name {shown(name)} is absolute")
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise PackageRefused(f"{what}: the name {shown(name)} leaves the archive")
    return "/".join(parts)


def linked_name(name: str, link: str, *, what: str, is_symbolic: bool) -> str:
    """Return the name of the member that the link `name` points to.

    Raises:
        PackageRefused: it points out of the archive.
    """
    if _CONTROL.search(link) or link.startswith("/") or not link or len(link) > _LONGEST_NAME:
        raise PackageRefused(f"{what}: the link {shown(name)} points to {shown(link)}")
    if is_symbolic:
        link = posixpath.join(posixpath.dirname(name), link)
    target = posixpath.normpath(link)
    if target == ".." or target.startswith("../"):
        raise PackageRefused(f"{what}: the link {shown(name)} leaves the archive: {shown(link)}")
    return target
