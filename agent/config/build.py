"""Nodes → the dataclass that describes them, with every problem noted on the way."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from agent.config.files import Files, UnusableFileError
from agent.config.findings import Findings, described
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
from agent.config.shape import Leaf, Setting, Shape, settings_of
from agent.model.secret import Secret

_VARIABLE = re.compile(r"\$\{[^{}]*\}")


class _Bad:
    """Stands for a value with a problem that is already noted."""


BAD: Final = _Bad()


class Builder:
    """Builds sections; `files` None leaves paths as they are written."""

    def __init__(
        self, *, findings: Findings, files: Files | None, names: Mapping[str, Collection[str]]
    ) -> None:
        """Take in `names` what may stand in a mapping by name, by its key path."""
        self._findings = findings
        self._files = files
        self._names = names

    def section(self, section: type[Any], node: Section, *, key: str, place: Place | None) -> Any:
        """Return an instance of a dataclass; BAD where a problem was noted."""
        settings = settings_of(section)
        given, others = self._sort(node.entries, settings=settings, key=key)
        values: dict[str, object] = {}
        for setting in settings:
            path = join_key(key, setting.name)
            if setting.shape.raw:
                value: object = self._raw(others, key=key)
            elif setting.name in given:
                value = self._given(setting, given[setting.name], key=path)
            elif setting.required:
                shape = setting.shape
                by = " or ".join(setting.keys) if shape.is_secret else shape.words
                self._findings.problem(path, f"missing; expected {by}", place=place)
                value = BAD
            else:
                value = setting.default
            values[setting.name] = value
            if value is not BAD:
                self._findings.values[path] = value
        if BAD in values.values():
            return BAD
        return section(**values)

    def _sort(
        self, entries: Sequence[Entry], *, settings: Sequence[Setting], key: str
    ) -> tuple[dict[str, Entry], list[Entry]]:
        """Return the entries of known settings by field name, and the entries for a plugin."""
        by_key = {
            name: setting for setting in settings if not setting.shape.raw for name in setting.keys
        }
        takes_others = any(setting.shape.raw for setting in settings)
        given: dict[str, Entry] = {}
        others: list[Entry] = []
        for entry in entries:
            path = join_key(key, entry.key)
            setting = by_key.get(entry.key)
            if setting is None:
                if takes_others:
                    others.append(entry)
                else:
                    self._unknown(path, entry, known=by_key)
            elif setting.name in given:
                first = given[setting.name].key
                self._findings.problem(
                    path, f"{first} is given too; keep one of them", place=entry.place
                )
            else:
                given[setting.name] = entry
        return given, others

    def _unknown(self, path: str, entry: Entry, *, known: Collection[str]) -> None:
        near = self._findings.suggestion(entry.key, known)
        if near is not None:
            hint = f'; did you mean "{near}"?'
        else:
            hint = f"; known here: {', '.join(known)}" if known else "; nothing is known here"
        self._findings.problem(path, f"unknown setting{hint}", place=entry.place)

    def _given(self, setting: Setting, entry: Entry, *, key: str) -> object:
        self._findings.places[key] = entry.place
        if setting.shape.is_secret:
            return self._secret(setting.shape, entry, key=key)
        node = entry.value
        is_group = not setting.shape.leaves and not setting.shape.optional
        if isinstance(node, Nothing) and node.explicit and is_group and not setting.required:
            return setting.default
        return self._value(setting.shape, node, key=key, place=entry.place)

    def _value(self, shape: Shape, node: Node, *, key: str, place: Place) -> object:
        if isinstance(node, Nothing):
            node = _as_empty_group(shape, node)
        if isinstance(node, Nothing) and shape.optional:
            return None
        if isinstance(node, Text) and node.is_noted:
            return BAD
        if isinstance(node, Text) and shape.leaves:
            return self._leaf(shape, node, key=key)
        if isinstance(node, Listing) and shape.items is not None:
            return self._items(shape, shape.items, node, key=key)
        if isinstance(node, Section) and shape.values is not None:
            return self._named(shape.values, node, key=key)
        if isinstance(node, Section) and shape.section is not None:
            return self.section(shape.section, node, key=key, place=place)
        at = place if isinstance(node, Nothing) else node.place
        self._findings.problem(key, f"expected {shape.words}, found {described(node)}", place=at)
        return BAD

    def _items(self, shape: Shape, item_shape: Shape, node: Listing, *, key: str) -> object:
        values = []
        for index, item in enumerate(node.items):
            path = join_index(key, index)
            self._findings.places[path] = item.place
            value = self._value(item_shape, item, key=path, place=item.place)
            values.append(value)
        if not shape.bounds.admit_length(len(values)):
            self._findings.problem(
                key, f"expected {shape.words}, found {len(values)}", place=node.place
            )
            return BAD
        return BAD if BAD in values else shape.container(values)

    def _named(self, shape: Shape, node: Section, *, key: str) -> object:
        known = self._names.get(key)
        values = {}
        for entry in node.entries:
            path = join_key(key, entry.key)
            self._findings.places[path] = entry.place
            if known is not None and entry.key not in known:
                self._unknown(path, entry, known=sorted(known))
            values[entry.key] = self._value(shape, entry.value, key=path, place=entry.place)
        return BAD if BAD in values.values() else values

    def _leaf(self, shape: Shape, node: Text, *, key: str) -> object:
        reasons = []
        for leaf in shape.leaves:
            try:
                value = leaf.convert(node.text)
            except ValueError as error:
                reasons.append(str(error))
                continue
            if node.written is not None:
                self._findings.written[key] = (key.rpartition(".")[2], node.written)
            return self._path(leaf, value, node=node, key=key)
        # A reason may tell of what came from the environment, so it goes the way of the value.
        why = "" if node.written is not None else "; ".join(filter(None, reasons))
        message = f"expected {shape.words}, found {described(node)}"
        near = self._findings.suggestion(node.text, shape.choices) if shape.choices else None
        if why:
            message += f" ({why})"
        if near is not None and node.written is None:
            message += f'; did you mean "{near}"?'
        self._findings.problem(key, message, place=node.place)
        return BAD

    def _path(self, leaf: Leaf, value: object, *, node: Text, key: str) -> object:
        purpose = leaf.kind.purpose if leaf.kind is not None else "text"
        if purpose == "text" or self._files is None or not isinstance(value, str):
            return value
        path = self._files.resolve(value)
        if purpose == "folder":
            return path
        try:
            is_open = self._files.check(path)
        except UnusableFileError as error:
            self._findings.problem(key, str(error), place=node.place)
            return BAD
        if is_open and purpose == "private file":
            self._warn_of_open_file(path, key=key, place=node.place)
        return path

    def _warn_of_open_file(self, path: str, *, key: str, place: Place) -> None:
        self._findings.warning(
            key, f"everybody on this machine may read or change {path}; chmod o= it", place=place
        )

    def _secret(self, shape: Shape, entry: Entry, *, key: str) -> object:
        leaf, node = shape.leaves[0], entry.value
        name = key.rpartition(".")[2]
        is_file = entry.key != name
        path = f"{key}_file" if is_file else key
        if isinstance(node, Nothing) and shape.optional:
            return None
        if isinstance(node, Text) and node.is_noted:
            return BAD
        if not isinstance(node, Text):
            words = "the path of a file" if is_file else "${NAME}"
            self._findings.problem(
                path,
                f"expected {words}, found {described(node)}",
                place=entry.place if isinstance(node, Nothing) else node.place,
            )
            return BAD
        if is_file:
            return self._secret_file(leaf, node, key=key, path=path)
        if node.written is None or _VARIABLE.fullmatch(node.written) is None:
            self._findings.problem(
                path,
                f"a secret may not stand in this file; write {name}_file: PATH, "
                f"or {name}: ${{NAME}} and set the environment variable NAME",
                place=node.place,
            )
            return BAD
        self._findings.written[key] = (name, node.written)
        return self._check_secret(leaf, node.text, source=node.written, key=path, place=node.place)

    def _secret_file(self, leaf: Leaf, node: Text, *, key: str, path: str) -> object:
        if self._files is None:
            raise TypeError("a plugin cannot have a secret")
        if not node.text:
            self._findings.problem(path, 'expected the path of a file, found ""', place=node.place)
            return BAD
        file = self._files.resolve_secret(node.text)
        try:
            secret = self._files.read_secret(file)
            if self._files.check(file):
                self._warn_of_open_file(file, key=path, place=node.place)
        except UnusableFileError as error:
            self._findings.problem(path, str(error), place=node.place)
            return BAD
        self._findings.written[key] = (path.rpartition(".")[2], file.replace("$", "$$"))
        return self._check_secret(leaf, secret, source=file, key=path, place=node.place)

    def _check_secret(
        self, leaf: Leaf, secret: str, *, source: str, key: str, place: Place
    ) -> object:
        """Return the secret if it is fit for a header; no message tells anything of its text."""
        if not secret.isprintable() and any(ord(one) < ord(" ") or one == "\x7f" for one in secret):
            self._findings.problem(
                key, f"{source} holds a line break or another control character", place=place
            )
            return BAD
        length = len(secret.encode(errors="surrogateescape"))
        if not leaf.bounds.admit_length(length):
            self._findings.problem(
                key, f"expected {leaf.words}, {source} holds {length} bytes", place=place
            )
            return BAD
        return Secret(secret)

    def _raw(self, entries: Sequence[Entry], *, key: str) -> RawSection:
        places: dict[str, Place] = {}
        written: dict[str, str] = {}
        values = {
            entry.key: _raw_value(entry.value, path=entry.key, places=places, written=written)
            for entry in entries
        }
        for path, text in written.items():
            whole = join_key(key, path)
            self._findings.written[whole] = (whole.rpartition(".")[2], text)
        return RawSection(
            values=values,
            file=self._findings.file,
            key=key,
            places={path: (place.line, place.column) for path, place in places.items()},
            files={path: place.file for path, place in places.items() if place.file},
            written=written,
        )


def _as_empty_group(shape: Shape, node: Nothing) -> Node:
    """Return what a key without a value means: a section with its defaults, or an empty list."""
    if node.explicit and shape.optional:
        return node
    if shape.section is not None or shape.values is not None:
        return Section(place=node.place, entries=())
    if shape.items is not None and not shape.leaves:
        return Listing(place=node.place, items=())
    return node


def _raw_value(
    node: Node, *, path: str, places: dict[str, Place], written: dict[str, str]
) -> RawValue:
    places[path] = node.place
    if isinstance(node, Text):
        if node.written is not None:
            written[path] = node.written
        return node.text
    if isinstance(node, Listing):
        return [
            _raw_value(item, path=join_index(path, index), places=places, written=written)
            for index, item in enumerate(node.items)
        ]
    if isinstance(node, Section):
        return {
            entry.key: _raw_value(
                entry.value, path=join_key(path, entry.key), places=places, written=written
            )
            for entry in node.entries
        }
    return None
