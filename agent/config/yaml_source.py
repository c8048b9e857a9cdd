"""YAML text → nodes with places. Only this module knows YAML.

Every value stays the text that was written: YAML's own guesses turn a code without quotes into a
number and `no` into false. The text is read event by event, because a document of brackets alone
would exhaust the stack of a recursive reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from agent.config.findings import Findings
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

LARGEST_FILE_BYTES = 1024 * 1024
_DEEPEST = 32
_MOST_NODES = 20_000
_NULLS = frozenset({"null", "Null", "NULL", "~"})
# The characters that no setting can need: control characters (C0 but tab and newline, DEL, C1),
# halves of surrogate pairs, and what YAML itself refuses.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
# What the YAML reader says, and what it means for the person who wrote the file.
_MEANINGS = (
    ("mapping values are not allowed", 'a ": " is out of place; is the indentation right?'),
    ("could not find expected ':'", 'expected "key: value"; is a colon or a quote missing?'),
    ("unexpected end of stream", "a quote that opens here is not closed"),
    ("expected <block end>", "wrong indentation, or a quote, comma or bracket is missing"),
    ("did not find expected key", "wrong indentation, or a quote, comma or bracket is missing"),
    ("did not find expected '-' indicator", 'wrong indentation, or a "- " is missing'),
    ("did not find expected ',' or", "a comma or a closing bracket is missing"),
    ("expected ',' or", "a comma or a closing bracket is missing"),
    ("cannot start any token", "a value that begins with this character needs quotes"),
)


class _UnreadableError(Exception):
    """Says that the text cannot be read on from a place."""

    def __init__(self, message: str, *, place: Place | None, key: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.key = key


def parse(
    content: bytes,
    *,
    findings: Findings,
    least: str | None = "node.code and node.type",
    example: str = 'sections such as "node:"',
) -> Section | None:
    """Return the section at the root of a file; None, with a problem noted, if there is none.

    Problems that leave the rest readable (a key given twice, a tag) are noted, and reading goes on.
    `least` and `example` say what a file without any section lacks; with None for `least`, an empty
    file is an empty section.
    """
    try:
        text = _decode(content)
        root = _Composer(text, findings=findings).document()
    except _UnreadableError as error:
        findings.problem(error.key, error.message, place=error.place)
        return None
    if isinstance(root, Section):
        return root
    place = root.place if root is not None else None
    if root is None or isinstance(root, Nothing):
        if least is None:
            return Section(place=place or Place(line=1, column=1), entries=())
        findings.problem("", f"the file is empty; at least {least}", place=place)
    else:
        findings.problem("", f"expected {example} at the first column", place=place)
    return None


def _decode(content: bytes) -> str:
    if len(content) > LARGEST_FILE_BYTES:
        raise _UnreadableError("the file is larger than 1 MiB", place=None)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _UnreadableError("the file is UTF-16; save it as UTF-8", place=None)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The bytes before the first bad one are good; a byte order mark is no column.
        before = error.object[: error.start].decode(errors="replace").removeprefix("\ufeff")
        raise _UnreadableError(
            f"the byte 0x{error.object[error.start]:02x} is not UTF-8 "
            "(is the file saved as GBK?); save it as UTF-8",
            place=_place_after(before),
        ) from error
    forbidden = _FORBIDDEN.search(text)
    if forbidden is not None:
        raise _UnreadableError(
            f"the control character U+{ord(forbidden[0]):04X} may not stand here",
            place=_place_after(text[: forbidden.start()]),
        )
    return text


def _place_after(text: str) -> Place:
    lines = re.split("\r\n|\r|\n", text)
    return Place(line=len(lines), column=len(lines[-1]) + 1)


def _place(mark: Any) -> Place:
    return Place(line=mark.line + 1, column=mark.column + 1)


class _Composer:
    """Makes nodes from the reader's events."""

    def __init__(self, text: str, *, findings: Findings) -> None:
        self._text = text
        self._findings = findings
        self._events = self._read()
        self._nodes = 0
        # A node of None is still being read: an alias to it would never end.
        self._anchors: dict[str, tuple[Node | None, int]] = {}

    def document(self) -> Node | None:
        """Return the only document; None where there is none."""
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        root = self._node(next(self._events), path="", depth=0)
        next(self._events)  # the document's end
        more = next(self._events)
        if not isinstance(more, yaml.StreamEndEvent):
            raise _UnreadableError(
                "a second document begins here; one file holds one", place=_place(more.start_mark)
            )
        return root

    def _read(self) -> Iterator[Any]:
        try:
            yield from yaml.parse(self._text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            raise self._unreadable(error) from error
        except yaml.YAMLError as error:
            raise _UnreadableError("this is not valid YAML", place=None) from error

    def _unreadable(self, error: yaml.MarkedYAMLError) -> _UnreadableError:
        problem, mark = error.problem or "", error.problem_mark
        place = _place(mark) if mark else None
        line = self._line(place.line) if place is not None else ""
        if place is not None and line[place.column - 1 : place.column] == "\t":
            return _UnreadableError("a tab may not indent; write spaces", place=place)
        if "unexpected end of stream" in problem and error.context_mark is not None:
            place = _place(error.context_mark)
        hint = "; between brackets, ${NAME} needs quotes" if "${" in line else ""
        for said, meaning in _MEANINGS:
            if said in problem:
                return _UnreadableError(meaning + hint, place=place)
        return _UnreadableError(f"this is not valid YAML: {problem}", place=place)

    def _line(self, number: int) -> str:
        lines = re.split("\r\n|[\r\n\u2028\u2029]", self._text)
        return lines[number - 1] if number <= len(lines) else ""

    def _node(self, event: Any, *, path: str, depth: int) -> Node:
        place = _place(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor or "", place=place, path=path)
        self._count(1, place=place, path=path)
        if depth > _DEEPEST:
            raise _UnreadableError(f"deeper than {_DEEPEST} levels", place=place, key=path)
        if event.tag not in {None, "!"}:
            self._findings.problem(path, "a YAML tag (!) may not stand here", place=place)
        before = self._nodes
        if event.anchor is not None:
            self._anchors[event.anchor] = (None, 0)
        node: Node
        if isinstance(event, yaml.SequenceStartEvent):
            node = Listing(place=place, items=self._items(path, depth=depth))
        elif isinstance(event, yaml.MappingStartEvent):
            node = Section(place=place, entries=self._entries(path, depth=depth))
        else:
            node = self._scalar(event, place=place, path=path)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, self._nodes - before)
        return node

    def _scalar(self, event: Any, *, place: Place, path: str) -> Node:
        text: str = event.value
        is_plain = event.style in {None, ""} or event.implicit[0]
        if is_plain and not text:
            return Nothing(place=place, explicit=False)
        if is_plain and text in _NULLS:
            return Nothing(place=place, explicit=True)
        forbidden = _FORBIDDEN.search(text)
        if forbidden is not None:  # written as an escape, "\0"
            self._findings.problem(
                path, f"the control character U+{ord(forbidden[0]):04X} is in it", place=place
            )
            return Text(place=place, text=_FORBIDDEN.sub("?", text), is_noted=True)
        return Text(place=place, text=text)

    def _items(self, path: str, *, depth: int) -> tuple[Node, ...]:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, path=join_index(path, len(items)), depth=depth + 1))
        return tuple(items)

    def _entries(self, path: str, *, depth: int) -> tuple[Entry, ...]:
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            place = _place(event.start_mark)
            name = self._node(event, path=path, depth=depth + 1)
            key = name.text if isinstance(name, Text) else None
            if isinstance(name, Nothing) and isinstance(event, yaml.ScalarEvent):
                key = event.value
            shown = path if key is None else join_key(path, key)
            value = self._node(next(self._events), path=shown, depth=depth + 1)
            if key is None:
                self._findings.problem(path, "a key must be a plain name", place=place)
            elif key in entries:
                first = entries[key].place.line
                self._findings.problem(shown, f"given twice; first on line {first}", place=place)
            else:
                entries[key] = Entry(key=key, place=place, value=value)
        return tuple(entries.values())

    def _alias(self, name: str, *, place: Place, path: str) -> Node:
        node, size = self._anchors.get(name, (None, -1))
        if node is None:
            message = f"*{name} stands for itself" if size == 0 else f"no &{name} stands before"
            raise _UnreadableError(message, place=place, key=path)
        # What an alias stands for counts again, so that a few lines cannot become millions.
        self._count(size + 1, place=place, path=path)
        return node

    def _count(self, nodes: int, *, place: Place, path: str) -> None:
        self._nodes += nodes
        if self._nodes > _MOST_NODES:
            raise _UnreadableError(f"more than {_MOST_NODES} values", place=place, key=path)
