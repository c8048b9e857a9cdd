"""Finds in settings, whatever sections they have, the files that they name and their secrets."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.config.kinds import RawSection
from agent.config.load import Loaded
from agent.config.nodes import join_index, join_key
from agent.config.shape import Setting, settings_of
from agent.model.secret import Secret

_LARGEST_SECRET_BYTES = 16 * 1024
_SECRET_WORDS = ("password", "secret", "token", "authorization", "community", "key", "credential")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NamedFiles:
    """Holds the files that a configuration names: those that hold a secret, and the others."""

    secrets: tuple[Path, ...] = ()
    others: tuple[Path, ...] = ()


def files(loaded: Loaded) -> NamedFiles:
    """Return every file that the settings name, each once."""
    secrets: dict[Path, None] = {}
    others: dict[Path, None] = {}
    for key, setting, value in _values(loaded.settings, key=""):
        if isinstance(value, Secret):
            name, text = loaded.written.get(key, ("", ""))
            if name.endswith("_file") and "${" not in text:
                secrets[Path(text)] = None
        elif isinstance(value, RawSection):
            for raw_key, path in _raw_files(value, config=Path(loaded.file)):
                (secrets if is_secret_name(raw_key) else others)[path] = None
        elif isinstance(value, str):
            purposes = {leaf.kind.purpose for leaf in setting.shape.leaves if leaf.kind is not None}
            if "private file" in purposes:
                secrets[Path(value)] = None
            elif "file" in purposes:
                others[Path(value)] = None
    return NamedFiles(secrets=tuple(secrets), others=tuple(others))


def secrets(loaded: Loaded, *, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the texts of every secret that the configuration leads to, for finding them.

    Those are the secrets of settings, the contents of secret files, and what came through a
    variable of the environment.
    """
    found: dict[str, None] = {}
    for _, _, value in _values(loaded.settings, key=""):
        if isinstance(value, Secret):
            found[value.reveal()] = None
        elif isinstance(value, RawSection):
            for name, text in _raw_texts(value.values):
                if is_secret_name(name) and not name.endswith("_file"):
                    found[text] = None
    for path in files(loaded).secrets:
        for line in _lines(path):
            found[line] = None
    for _, text in loaded.written.values():
        for variable in _variables(text):
            if environment.get(variable):
                found[environment[variable]] = None
    return tuple(found)


def is_secret_name(name: str) -> bool:
    """Tell whether a setting of this name holds, or names a file that holds, a secret. Pure."""
    last = name.rpartition(".")[2].lower()
    return "public" not in last and any(word in last for word in _SECRET_WORDS)


def _values(section: Any, *, key: str) -> Iterator[tuple[str, Setting, Any]]:
    for setting in settings_of(type(section)):
        yield from _value(getattr(section, setting.name), setting, join_key(key, setting.name))


def _value(value: Any, setting: Setting, key: str) -> Iterator[tuple[str, Setting, Any]]:
    if dataclasses.is_dataclass(value) and not isinstance(value, (RawSection, Secret)):
        yield from _values(value, key=key)
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _value(one, setting, join_key(key, str(name)))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, one in enumerate(value):
            yield from _value(one, setting, join_index(key, index))
    else:
        yield key, setting, value


def _raw_files(raw: RawSection, *, config: Path) -> Iterator[tuple[str, Path]]:
    for key, text in _raw_texts(raw.values):
        if key.endswith("_file") and text:
            yield key, Path(os.path.normpath(config.absolute().parent / text))


def _raw_texts(value: object, *, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _raw_texts(one, key=join_key(key, str(name)))
    elif isinstance(value, str):
        yield key, value
    elif isinstance(value, Sequence):
        for one in value:
            yield from _raw_texts(one, key=key)


def _lines(path: Path) -> Iterator[str]:
    """Give the lines of a secret file that hold something; none of one that cannot be read."""
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_SECRET_BYTES).decode("utf-8", "replace")
    except OSError:
        return
    for line in text.splitlines():
        if line.strip() and not line.startswith("-----"):
            yield line.strip()


def _variables(text: str) -> Iterator[str]:
    for part in text.split("${")[1:]:
        yield part.partition("}")[0]
