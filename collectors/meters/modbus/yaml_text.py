"""YAML of a profile → mappings, lists and texts, with limits.

Numbers stay as they are written: YAML's own guesses make a float of a decimal.
"""

from __future__ import annotations

from typing import Any

_DEEPEST = 8
_MOST_EVENTS = 4000


class UnreadableError(Exception):
    """Says what keeps a text from being read, and where."""


def parse(content: bytes) -> Any:
    """Return what a file holds; "" where it is empty.

    Raises:
        UnreadableError: it is no YAML, or holds an alias, a key twice, or more than the limits.
    """
    # Only a meter that has a profile needs it.
    import yaml

    loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        text = content.decode("utf-8-sig")
        depth = 0
        # Event by event first: a document of brackets alone would exhaust the stack below.
        for number, event in enumerate(yaml.parse(text, Loader=loader)):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if isinstance(event, yaml.AliasEvent):
                raise UnreadableError("may hold no alias (*name)")
            if depth > _DEEPEST or number > _MOST_EVENTS:
                raise UnreadableError("holds more than any profile needs")
        return _values(yaml.compose(text, Loader=loader))
    except (yaml.YAMLError, ValueError) as error:
        place = getattr(error, "problem_mark", None)
        where = f"line {place.line + 1}: " if place is not None else ""
        words = getattr(error, "problem", None) or "is no text in UTF-8"
        raise UnreadableError(f"is no YAML: {where}{words}") from error


def _values(node: Any) -> Any:
    """Return what a node holds; a key that is there twice is a slip of the hand."""
    if node is None or node.id == "scalar":
        return "" if node is None else node.value
    if node.id == "sequence":
        return [_values(item) for item in node.value]
    values: dict[str, Any] = {}
    for key, value in node.value:
        if key.id != "scalar" or key.value in values:
            line = key.start_mark.line + 1
            raise UnreadableError(f"line {line}: a key that is there twice, or is no name")
        values[key.value] = _values(value)
    return values
