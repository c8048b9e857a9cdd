"""Puts values into the text of a configuration and leaves the rest, comments too, as it is. Pure.

Only block style is edited, a line at a time; whatever is written otherwise is refused. The result
is to be loaded and compared by the caller: this module knows lines, not meanings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from agent.config import yaml_source
from agent.config.findings import Findings
from agent.config.nodes import Entry, Listing, Node, Nothing, Section, Text
from agent.config.show import quoted
from agent.errors import PermanentError

_LINE = re.compile("[^\r\n\u2028\u2029]*(?:\r\n|[\r\n\u2028\u2029])|[^\r\n\u2028\u2029]+$")
_SCALARS = {
    '"': re.compile(r'"(?:[^"\\\r\n]|\\.)*"'),
    "'": re.compile(r"'(?:[^'\r\n]|'')*'"),
}
_PLAIN = re.compile(r"[^\s#][^\r\n]*?(?=\s+#|\s*$)")
_SPECIAL = "|>&*!{["


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """Is a text with new values; `replaced` tells each value that stood there and is gone."""

    text: str
    replaced: tuple[str, ...] = ()


class _CannotEditError(Exception):
    """Says why a place cannot be edited line by line."""


def with_values(text: str, section: str, values: Mapping[str, str]) -> Edited:
    """Return the text with values in a section at the top, which is made where it is missing.

    Raises:
        PermanentError: the text is written in a way that is not edited; says where.
    """
    return _with(text, section, None, values)


def with_item(text: str, section: str, name: str, values: Mapping[str, str]) -> Edited:
    """Return the text with values in the item of a list that has this `name`; likewise.

    Raises:
        PermanentError: the text is written in a way that is not edited; says where.
    """
    return _with(text, section, name, values)


def has(text: str, section: str, name: str) -> bool:
    """Tell whether a section at the top has a key."""
    entry = _entry(_root(text), section)
    return (
        entry is not None
        and isinstance(entry.value, Section)
        and _entry(entry.value, name) is not None
    )


def _with(text: str, section: str, item: str | None, values: Mapping[str, str]) -> Edited:
    replaced: list[str] = []
    try:
        if _holder(text, section, item) is None:
            block = values if item is None else {"name": item, **values}
            return Edited(text=_with_block(text, section, block, is_item=item is not None))
        for name, value in values.items():
            text, old = _with_one(text, section, item, name, value)
            if old is not None:
                replaced.append(f"{section}.{name}: {old}")
    except _CannotEditError as error:
        raise PermanentError(f"the section {section} cannot be edited here: {error}") from error
    return Edited(text=text, replaced=tuple(replaced))


def _root(text: str) -> Section:
    findings = Findings("configuration")
    root = yaml_source.parse(text.encode(), findings=findings)
    if root is None:
        raise _CannotEditError(str(findings.error()))
    return root


def _entry(section: Section, key: str) -> Entry | None:
    return next((each for each in section.entries if each.key == key), None)


def _holder(text: str, section: str, item: str | None) -> Section | None:
    """Return the section that is to hold the values; None where it must be made."""
    entry = _entry(_root(text), section)
    if entry is None or isinstance(entry.value, Nothing):
        return None
    node: Node | None = entry.value
    if item is not None:
        if not isinstance(node, Listing):
            raise _CannotEditError("it is no list")
        node = next((each for each in node.items if _name_of(each) == item), None)
        if node is None:
            return None
    if not isinstance(node, Section) or not node.entries:
        raise _CannotEditError("it is no section with keys")
    if node.place != node.entries[0].place:
        raise _CannotEditError(f"line {node.place.line} is in brackets or has an anchor")
    return node


def _name_of(node: Node) -> str | None:
    entry = _entry(node, "name") if isinstance(node, Section) else None
    return entry.value.text if entry is not None and isinstance(entry.value, Text) else None


def _with_one(
    text: str, section: str, item: str | None, name: str, value: str
) -> tuple[str, str | None]:
    """Return the text with one value, and the text of the value that it replaces, None if none."""
    holder = _holder(text, section, item)
    if holder is None:
        raise _CannotEditError("it is gone")
    lines = _LINE.findall(text)
    entry = _entry(holder, name)
    if entry is not None:
        old = _replace(lines, entry, value)
        return "".join(lines), old
    indent = " " * (holder.entries[0].place.column - 1)
    new = f"{indent}{name}: {_scalar(value)}{_ending(lines)}"
    at = _commented(lines, holder, name=name)
    if at is not None:
        lines[at] = new
    else:
        lines.insert(_after_last(lines, holder), new)
    return "".join(lines), None


def _replace(lines: list[str], entry: Entry, value: str) -> str | None:
    node, scalar = entry.value, _scalar(value)
    if isinstance(node, Nothing) and not node.explicit:
        line = lines[entry.place.line - 1]
        colon = line.index(":", entry.place.column - 1 + len(entry.key)) + 1
        lines[entry.place.line - 1] = f"{line[:colon]} {scalar}{line[colon:]}"
        return None
    if not isinstance(node, (Text, Nothing)) or node.place.line != entry.place.line:
        raise _CannotEditError(f"{entry.key} on line {entry.place.line} is no plain value")
    number, start = node.place.line - 1, node.place.column - 1
    line = lines[number]
    if line[start] in _SPECIAL:
        raise _CannotEditError(f"{entry.key} on line {entry.place.line} is no plain value")
    found = _SCALARS.get(line[start], _PLAIN).match(line, start)
    if found is None:
        raise _CannotEditError(f"{entry.key} on line {entry.place.line} goes over several lines")
    old = node.text if isinstance(node, Text) else ""
    if old == value:
        return None
    lines[number] = line[:start] + scalar + line[found.end() :]
    return old or None


def _commented(lines: list[str], holder: Section, *, name: str) -> int | None:
    """Return the line of the section that offers this key behind a #; None where there is none."""
    column = holder.entries[0].place.column - 1
    start = holder.entries[0].place.line - 1
    while start > 0 and re.match(rf" {{{column}}} *#|\s*$", lines[start - 1]):
        start -= 1
    for number in range(start, len(lines)):
        line = lines[number].rstrip()
        offered = re.match(rf"( *)#{re.escape(name)}:", line)
        if offered is not None and len(offered[1]) == column:
            return number
        is_first = number <= holder.entries[0].place.line - 1
        depth = len(line) - len(line.lstrip(" -"))
        ends = re.match(r" *(?:#-? *\w+:|[^#\s])", line)
        if not is_first and ends is not None and depth < column:
            return None
        if not is_first and re.match(r" *- ", line) and line.index("-") < column:
            return None
    return None


def _after_last(lines: list[str], holder: Section) -> int:
    """Return where a new line goes: behind the last plain value, else before the first key."""
    for entry in reversed(holder.entries):
        is_plain = isinstance(entry.value, (Text, Nothing))
        if is_plain and entry.value.place.line == entry.place.line:
            line = lines[entry.place.line - 1]
            if not line.endswith(("\n", "\r")):
                lines[entry.place.line - 1] = line + "\n"
            return entry.place.line
    first = holder.entries[0].place
    if lines[first.line - 1][: first.column - 1].strip():
        raise _CannotEditError(f"line {first.line} begins with no plain value")
    return first.line - 1


def _with_block(text: str, section: str, values: Mapping[str, str], *, is_item: bool) -> str:
    """Return the text with a new section, or with a new item of a list."""
    root = _root(text)
    lines = _LINE.findall(text)
    ending = _ending(lines)
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += ending
    entry = _entry(root, section)
    dash = "  "
    if entry is None:
        at = len(lines)
        # What explains the section may stand right before it.
        is_explained = not lines or lines[-1].startswith("# ")
        head = [f"{section}:{ending}"] if is_explained else [ending, f"{section}:{ending}"]
    elif isinstance(entry.value, Nothing) and not entry.value.explicit:
        at, head = entry.place.line, []
        dash += " " * (entry.place.column - 1)
    elif isinstance(entry.value, Listing) and entry.value.items:
        listing = entry.value
        first = lines[listing.place.line - 1]
        if first[listing.place.column - 1] != "-":
            raise _CannotEditError(f"the list on line {listing.place.line} is in brackets")
        dash = " " * (listing.place.column - 1)
        at, head = _end_of(lines, root, entry), []
    else:
        raise _CannotEditError(f"line {entry.place.line} says that it is empty")
    body = [f"{name}: {_scalar(value)}{ending}" for name, value in values.items()]
    if is_item:
        block = [f"{dash}{'- ' if number == 0 else '  '}{line}" for number, line in enumerate(body)]
    else:
        block = [f"{dash}{line}" for line in body]
    return "".join([*lines[:at], *head, *block, *lines[at:]])


def _end_of(lines: list[str], root: Section, entry: Entry) -> int:
    """Return the line behind the last line of a top section that is no comment."""
    later = [each.place.line - 1 for each in root.entries if each.place.line > entry.place.line]
    end = min(later, default=len(lines))
    while end > entry.place.line and re.match(r"\s*(#|$)", lines[end - 1]):
        end -= 1
    return end


def _ending(lines: list[str]) -> str:
    return "\r\n" if lines and lines[0].endswith("\r\n") else "\n"


def _scalar(value: str) -> str:
    return quoted(value.replace("$", "$$"))
