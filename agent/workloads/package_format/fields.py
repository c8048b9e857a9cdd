"""The values of algo.yaml, one kind of value a function; what is wrong is noted with its place."""

from __future__ import annotations

import math
import posixpath
import re
import shlex
from collections.abc import Mapping

from agent.config.findings import Findings, described, nearest
from agent.config.nodes import Entry, Listing, Node, Nothing, Section, Text, join_index, join_key

_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LONGEST_WORD = 4096
_MOST_WORDS = 256
_LONGEST_PATH = 1024
SYSTEM_FOLDERS = ("/proc", "/sys", "/dev")


class Fields:
    """Reads one section of algo.yaml; the keys that nobody asked for are in `unknown_keys`.

    Every reader returns None where the key is absent, empty, or wrong; what is wrong is noted.
    """

    def __init__(self, section: Section, *, path: str, findings: Findings) -> None:
        self._entries: Mapping[str, Entry] = {entry.key: entry for entry in section.entries}
        self._path = path
        self._findings = findings
        self._place = section.place
        self._asked: set[str] = set()

    @property
    def unknown_keys(self) -> tuple[str, ...]:
        """The paths of the keys that mean nothing, in their order."""
        return tuple(self._at(key) for key in self._entries if key not in self._asked)

    def has(self, key: str) -> bool:
        """Tell whether a key has a value."""
        return self.node(key) is not None

    def node(self, key: str) -> Node | None:
        """Return what stands at a key; None where there is nothing, or an empty list."""
        self._asked.add(key)
        entry = self._entries.get(key)
        if entry is None or isinstance(entry.value, Nothing):
            return None
        is_empty = isinstance(entry.value, Listing) and not entry.value.items
        return None if is_empty else entry.value

    def missing(self, key: str, expected: str) -> None:
        """Note that a key must be there."""
        unknown = [known for known in self._entries if known not in self._asked]
        near = nearest(key, unknown)
        hint = f"; is {near} meant?" if near is not None else ""
        self._findings.problem(self._at(key), f"is missing; expected {expected}{hint}", place=None)

    def wrong(self, key: str, expected: str, *, detail: str = "") -> None:
        """Note that what stands at a key is not what was expected."""
        node = self.node(key)
        self._wrong(self._at(key), node, expected, detail=detail)

    def _wrong(self, path: str, node: Node | None, expected: str, *, detail: str = "") -> None:
        if isinstance(node, Text) and node.is_noted:
            return
        said = f"expected {expected}, not {described(node)}" if node else f"expected {expected}"
        self._findings.problem(
            path, said + (f": {detail}" if detail else ""), place=node.place if node else None
        )

    def text(self, key: str, *, longest: int) -> str | None:
        """Return a line of text."""
        node = self.node(key)
        if node is None:
            return None
        expected = f"a text of 1 to {longest} characters"
        if not isinstance(node, Text):
            self._wrong(self._at(key), node, expected)
            return None
        if _UNPRINTABLE.search(node.text):
            self._wrong(self._at(key), node, expected, detail="it has more than one line")
        elif not 1 <= len(node.text) <= longest:
            detail = f"it has {len(node.text)} characters"
            self._wrong(self._at(key), node, expected, detail=detail)
        else:
            return node.text
        return None

    def number(self, key: str, *, least: float, most: float, above: bool = False) -> float | None:
        """Return a number from `least` (with `above`, more than it) to `most`."""
        words = f"a number above {least:g}, to {most:g}" if above else None
        expected = words or f"a number from {least:g} to {most:g}"
        node = self.node(key)
        if node is None:
            return None
        if isinstance(node, Text) and _NUMBER.fullmatch(node.text):
            value = float(node.text)
            if math.isfinite(value) and least <= value <= most and not (above and value == least):
                return value
        self._wrong(self._at(key), node, expected)
        return None

    def whole(self, key: str, *, least: int, most: int) -> int | None:
        """Return a whole number from `least` to `most`."""
        node = self.node(key)
        if node is None:
            return None
        value = whole_number(node, least=least, most=most)
        if value is None:
            self._wrong(self._at(key), node, f"a whole number from {least} to {most}")
        return value

    def truth(self, key: str) -> bool | None:
        """Return true or false."""
        node = self.node(key)
        if node is None:
            return None
        if isinstance(node, Text) and node.text.lower() in {"true", "false"}:
            return node.text.lower() == "true"
        self._wrong(self._at(key), node, "true or false")
        return None

    def words(self, key: str) -> tuple[str, ...] | None:
        """Return a command: a list of words, or a line that is split as a shell splits words."""
        node = self.node(key)
        if node is None:
            return None
        expected = f"a list of at most {_MOST_WORDS} words, or a line"
        words: list[str] = []
        if isinstance(node, Text):
            try:
                words = shlex.split(node.text)
            except ValueError:
                self._wrong(self._at(key), node, expected, detail="a quote is not closed")
                return None
        elif isinstance(node, Listing):
            words = [item.text for item in node.items if isinstance(item, Text)]
        right = isinstance(node, Text) or (
            isinstance(node, Listing) and len(words) == len(node.items)
        )
        longest = max(map(len, words), default=0)
        if not right or not 1 <= len(words) <= _MOST_WORDS or longest > _LONGEST_WORD:
            self._wrong(self._at(key), node, expected)
            return None
        return tuple(words)

    def container_path(self, key: str) -> str | None:
        """Return the absolute path of a file in a container."""
        node = self.node(key)
        if node is None:
            return None
        expected = "the absolute path of a file in the container, without .."
        if isinstance(node, Text) and is_container_path(node.text):
            return posixpath.normpath(node.text)
        self._wrong(self._at(key), node, expected)
        return None

    def section(self, key: str, *, expected: str) -> Fields | None:
        """Return the section at a key."""
        node = self.node(key)
        if node is None:
            return None
        if isinstance(node, Section):
            return Fields(node, path=self._at(key), findings=self._findings)
        self._wrong(self._at(key), node, expected)
        return None

    def items(self, key: str, *, most: int, expected: str) -> tuple[Node, ...]:
        """Return the items of a list; one thing that is no list stands for a list of it."""
        node = self.node(key)
        if node is None:
            return ()
        items = node.items if isinstance(node, Listing) else (node,)
        if len(items) > most:
            self._wrong(self._at(key), node, f"at most {most} of {expected}")
            return ()
        return items

    def item_path(self, key: str, index: int) -> str:
        """Return the path of an item of the list at a key."""
        return join_index(self._at(key), index)

    def _at(self, key: str) -> str:
        return join_key(self._path, key)


def whole_number(node: Node, *, least: int, most: int) -> int | None:
    """Return the whole number that a text is; None where it is none, or out of bounds."""
    if not isinstance(node, Text) or not re.fullmatch("[0-9]{1,12}", node.text):
        return None
    value = int(node.text)
    return value if least <= value <= most else None


def is_container_path(path: str) -> bool:
    """Tell whether a text can be the path of a file that is mounted into a container."""
    parts = path.split("/")
    if not path.startswith("/") or ".." in parts or len(path) > _LONGEST_PATH:
        return False
    if _UNPRINTABLE.search(path) or path.endswith("/") or ":" in path:
        return False
    plain = "/" + "/".join(part for part in parts if part not in {"", "."})
    return plain != "/" and not any(
        plain == folder or plain.startswith(folder + "/") for folder in SYSTEM_FOLDERS
    )
