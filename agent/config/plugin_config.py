"""Checks a plugin's own section against the plugin's `config_type`.

It runs in the plugin's child process, where the file is not read again: what the daemon read
arrives as a `RawSection`. Neither YAML nor HTTP is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from agent.config.build import Builder
from agent.config.findings import Findings
from agent.config.kinds import RawSection, RawValue
from agent.config.nodes import (
    Entry,
    Listing,
    Node,
    Nothing,
    Place,
    Section,
    Text,
    join_index,
    join_key,
)

_Config = TypeVar("_Config")
_NOWHERE = Place(line=1, column=1)


def build_plugin_config(config_type: type[_Config], raw: RawSection) -> _Config:
    """Return an instance of a plugin's `config_type` with what its section says.

    `config_type` is a frozen dataclass whose fields are str, int, float, bool, Literal of texts,
    lists, mappings by name and dataclasses of these, optional or not, with bounds in
    `msgspec.Meta`.

    Raises:
        ConfigError: something in the section is wrong; every problem, with its place.
        TypeError: `config_type` has a field of another type; a fault of the plugin.
    """
    findings = Findings(raw.file)
    node = Section(place=_place(raw, ""), entries=_entries(raw.values, path="", raw=raw))
    place = node.place if raw.places else None
    config: _Config = Builder(findings=findings, files=None, names={}).section(
        config_type, node, key=raw.key, place=place
    )
    findings.raise_problems()
    return config


def _place(raw: RawSection, path: str) -> Place:
    if path in raw.places:
        line, column = raw.places[path]
        return Place(file=raw.files.get(path, ""), line=line, column=column)
    # The section itself: its first value is the nearest place that is known.
    return min((_place(raw, one) for one in raw.places), default=_NOWHERE)


def _entries(values: Mapping[str, RawValue], *, path: str, raw: RawSection) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            key=key,
            place=_place(raw, join_key(path, key)),
            value=_node(value, path=join_key(path, key), raw=raw),
        )
        for key, value in values.items()
    )


def _node(value: RawValue, *, path: str, raw: RawSection) -> Node:
    place = _place(raw, path)
    if value is None:
        return Nothing(place=place, explicit=True)
    if isinstance(value, str):
        return Text(place=place, text=value, written=raw.written.get(path))
    if isinstance(value, list):
        items = tuple(
            _node(item, path=join_index(path, index), raw=raw) for index, item in enumerate(value)
        )
        return Listing(place=place, items=items)
    return Section(place=place, entries=_entries(value, path=path, raw=raw))
