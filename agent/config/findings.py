"""What was found while a configuration was read: problems, warnings, values and their places."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from agent.config.nodes import Nothing, Place, Section, Text
from agent.errors import ConfigError, ConfigProblem

_LONGEST_SHOWN_TEXT = 60
_LONGEST_SHOWN_KEY = 120
_LONGEST_COMPARED_NAME = 64
_MOST_SUGGESTIONS = 200


class Findings:
    """Collects what is found in one file and its drop-ins.

    `places` and `values` are by key path; a path stands in `values` only if its value, given or
    default, is good. `written` says for a value that must not be shown, or came through
    `${NAME}`, which key and text of the file it came from. Belongs to one thread.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.places: dict[str, Place] = {}
        self.values: dict[str, object] = {}
        self.written: dict[str, tuple[str, str]] = {}
        self._problems: list[ConfigProblem] = []
        self._warnings: list[ConfigProblem] = []
        self._suggestions = 0

    def problem(self, key: str, message: str, *, place: Place | None) -> None:
        """Note that something must be changed."""
        self._problems.append(self._note(key, message, place=place))

    def warning(self, key: str, message: str, *, place: Place | None) -> None:
        """Note that something is allowed, but an operator ought to know it."""
        self._warnings.append(self._note(key, message, place=place))

    def _note(self, key: str, message: str, *, place: Place | None) -> ConfigProblem:
        return ConfigProblem(
            file=place.file if place and place.file else self.file,
            key=_shown_key(key),
            message=message,
            line=place.line if place else None,
            column=place.column if place else None,
        )

    def take(self, other: Findings) -> None:
        """Add the problems and warnings that were found in another file."""
        self._problems += other._problems
        self._warnings += other._warnings

    def suggestion(self, name: str, known: Iterable[str]) -> str | None:
        """Return the known name that is nearest to `name`; None where none is near.

        A file full of unknown keys gets suggestions for the first of them only, because each
        costs a comparison with every known name.
        """
        if self._suggestions >= _MOST_SUGGESTIONS:
            return None
        self._suggestions += 1
        return nearest(name, known)

    @property
    def warnings(self) -> tuple[ConfigProblem, ...]:
        """Every warning in the order of the file."""
        return tuple(self._in_order(self._warnings))

    def error(self) -> ConfigError:
        """Return the error that holds every problem in the order of the file."""
        return ConfigError(self._in_order(self._problems))

    def raise_problems(self) -> None:
        """Raise ConfigError if there is any problem."""
        if self._problems:
            raise self.error()

    def _in_order(self, problems: Iterable[ConfigProblem]) -> Sequence[ConfigProblem]:
        """Return what is in the configuration file first, then the drop-ins by their names."""
        return sorted(
            problems,
            key=lambda problem: (
                problem.file != self.file,
                problem.file,
                problem.line or 0,
                problem.column or 0,
            ),
        )


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name nearest to `name`, taking case and - for _ as no difference."""
    if len(name) > _LONGEST_COMPARED_NAME:
        return None
    import difflib  # only a wrong configuration needs it

    by_plain_form = {_plain_form(one): one for one in known}
    found = difflib.get_close_matches(_plain_form(name), by_plain_form, n=1)
    return by_plain_form[found[0]] if found else None


def _shown_key(key: str) -> str:
    """Return a key path fit for one line."""
    key = "".join(one if one.isprintable() else "?" for one in key)
    return key if len(key) <= _LONGEST_SHOWN_KEY else key[: _LONGEST_SHOWN_KEY - 1] + "…"


def _plain_form(name: str) -> str:
    return name.lower().replace("-", "_")


def quoted(text: str) -> str:
    """Return a text in quotes, fit for one line: cut, and without what a URL may hide."""
    if "://" in text:
        text = re.sub(r"//[^/]*@", "//***@", text)
        text = re.sub(r"\?.*", "?***", text, flags=re.DOTALL)
    if len(text) > _LONGEST_SHOWN_TEXT:
        text = text[: _LONGEST_SHOWN_TEXT - 1] + "…"
    return json.dumps(text, ensure_ascii=False)


def described(node: object) -> str:
    """Return in words what stands at a node; never a text that came from the environment."""
    if isinstance(node, Text):
        return quoted(node.text if node.written is None else node.written)
    if isinstance(node, Nothing):
        return "nothing"
    return "a section" if isinstance(node, Section) else "a list"
