"""The files of conf.d: found, and laid over the configuration file one after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from agent.config import yaml_source
from agent.config.findings import Findings
from agent.config.nodes import Entry, Listing, Node, Nothing, Place, Section, Text

FOLDER_NAME = "conf.d"
_FILE_SUFFIX = "_file"


@dataclass(frozen=True, slots=True, kw_only=True)
class DropIn:
    """Is one file of conf.d; `path` is as problems name it."""

    path: str
    content: bytes


def merged(main: Section, drop_ins: Sequence[DropIn], *, findings: Findings) -> Section | None:
    """Return the configuration with each drop-in laid over what stands before it.

    Sections are merged key by key; any other value, a list too, takes the place of the former.
    What came from a drop-in carries its path in its place. None, with the problem noted, where
    one of them cannot be read.
    """
    root: Section | None = main
    for drop_in in drop_ins:
        found = Findings(drop_in.path)
        over = yaml_source.parse(drop_in.content, findings=found, least=None)
        findings.take(found)
        if over is None:
            root = None  # the others are still read: every problem at once
        elif root is not None:
            root = _laid_over(root, _placed(over, file=drop_in.path))
    return root


def _placed(section: Section, *, file: str) -> Section:
    entries = tuple(
        Entry(
            key=entry.key,
            place=_in_file(entry.place, file=file),
            value=_placed_node(entry.value, file=file),
        )
        for entry in section.entries
    )
    return Section(place=_in_file(section.place, file=file), entries=entries)


def _placed_node(node: Node, *, file: str) -> Node:
    if isinstance(node, Section):
        return _placed(node, file=file)
    place = _in_file(node.place, file=file)
    if isinstance(node, Listing):
        items = tuple(_placed_node(item, file=file) for item in node.items)
        return Listing(place=place, items=items)
    if isinstance(node, Text):
        return dataclasses.replace(node, place=place)
    return Nothing(place=place, explicit=node.explicit)


def _in_file(place: Place, *, file: str) -> Place:
    return Place(file=file, line=place.line, column=place.column)


def _laid_over(under: Section, over: Section) -> Section:
    entries = {entry.key: entry for entry in under.entries}
    for entry in over.entries:
        # `password` and `password_file` are two spellings of one setting.
        other = entry.key.removesuffix(_FILE_SUFFIX)
        entries.pop(entry.key + _FILE_SUFFIX if other == entry.key else other, None)
        former = entries.get(entry.key)
        entries[entry.key] = entry if former is None else _entry_over(former, entry)
    return Section(place=under.place, entries=tuple(entries.values()))


def _entry_over(under: Entry, over: Entry) -> Entry:
    if not isinstance(under.value, Section):
        return over
    if isinstance(over.value, Section):
        return dataclasses.replace(under, value=_laid_over(under.value, over.value))
    if isinstance(over.value, Nothing) and not over.value.explicit:
        return under  # a section whose lines are all comments says nothing
    return over
