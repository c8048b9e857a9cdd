"""Prints what is in force: every setting with its value, default or given, as YAML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.config.kinds import RawSection
from agent.config.load import Loaded
from agent.config.nodes import join_index, join_key
from agent.config.shape import Setting, settings_of
from agent.model.secret import Secret

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*", re.ASCII)
# What other readers of YAML would not take as text.
_NOT_PLAIN = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def render(loaded: Loaded) -> str:
    """Return the settings in force as YAML that loads to the same settings again.

    No secret is in it. Where the file names a secret, the text names the same source: the
    `password_file` that was read, or `password: ${NAME}`. Any other value that came through
    `${NAME}` is shown so too, because a variable may hold a secret. Files stand with the absolute
    path that was used. A section that is off is null.
    """
    lines = _Lines(written=loaded.written)
    return "\n".join(lines.section(loaded.settings, key="")) + "\n"


class _Lines:
    """Makes the lines of each part, without indentation."""

    def __init__(self, *, written: Mapping[str, tuple[str, str]]) -> None:
        self._written = written

    def section(self, section: Any, *, key: str) -> Iterator[str]:
        for setting in settings_of(type(section)):
            yield from self._setting(
                setting, getattr(section, setting.name), key=join_key(key, setting.name)
            )

    def _setting(self, setting: Setting, value: object, *, key: str) -> Iterator[str]:
        if isinstance(value, RawSection):
            for name, raw in value.values.items():
                yield from self._entry(name, raw, key=join_key(key.rpartition(".")[0], name))
        elif isinstance(value, Secret):
            name, text = self._written.get(key, (setting.keys[0], "***"))
            yield f"{name}: {quoted(text)}"
        else:
            yield from self._entry(setting.name, value, key=key)

    def _entry(self, name: str, value: object, *, key: str) -> Iterator[str]:
        scalar = self._scalar(value, key=key)
        if scalar is not None:
            yield f"{quoted(name)}: {scalar}"
            return
        yield f"{quoted(name)}:"
        for line in self._group(value, key=key):
            yield f"  {line}"

    def _group(self, value: object, *, key: str) -> Iterator[str]:
        if isinstance(value, Mapping):
            for name, one in value.items():
                yield from self._entry(name, one, key=join_key(key, name))
        elif isinstance(value, Sequence):
            for index, item in enumerate(value):
                yield from self._item(item, key=join_index(key, index))
        else:
            yield from self.section(value, key=key)

    def _item(self, item: object, *, key: str) -> Iterator[str]:
        scalar = self._scalar(item, key=key)
        lines = iter([scalar]) if scalar is not None else self._group(item, key=key)
        for number, line in enumerate(lines):
            yield f"- {line}" if number == 0 else f"  {line}"

    def _scalar(self, value: object, *, key: str) -> str | None:
        """Return a value that fits on its line; None for one that needs lines of its own."""
        if key in self._written:
            return quoted(self._written[key][1])
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return str(value)
        if isinstance(value, float):
            return str(int(value)) if value.is_integer() else repr(value)
        if isinstance(value, str):
            return quoted(value.replace("$", "$$"))
        if isinstance(value, Mapping) and not value:
            return "{}"
        if isinstance(value, Sequence) and not value:
            return "[]"
        return None


def quoted(text: str) -> str:
    """Return a text as every reader of YAML takes it for text, in quotes where it needs them."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN:
        return text
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in {'"', "\\"}:
        return f"\\{character}"
    if character.isprintable():
        return character
    return f"\\U{ord(character):08x}"
