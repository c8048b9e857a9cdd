"""What stands in a configuration file: texts, lists and sections, each with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """Is a place in a file; line and column count from 1, columns in characters.

    `file` is the path of a drop-in, "" for the configuration file itself.
    """

    file: str = ""
    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Is one value; `written` is how it stands in the file if `${NAME}` was replaced in it.

    `is_noted` says that a problem with it is already noted, so that no other need follow.
    """

    place: Place
    text: str
    written: str | None = None
    is_noted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """Is a key without a value, or with `null` or `~` (`explicit`)."""

    place: Place
    explicit: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Is a list."""

    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Is one key of a section with its value; `place` is that of the key."""

    key: str
    place: Place
    value: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Is a mapping; its keys are unique."""

    place: Place
    entries: tuple[Entry, ...]


Node: TypeAlias = Text | Nothing | Listing | Section


def join_key(path: str, key: str) -> str:
    """Return the path of `key` in the section at `path`."""
    return f"{path}.{key}" if path else key


def join_index(path: str, index: int) -> str:
    """Return the path of an item of the list at `path`."""
    return f"{path}[{index}]"
