"""Puts environment variables into a configuration: `${NAME}`, and `$$` for a dollar sign."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from agent.config.findings import Findings
from agent.config.nodes import Node, Nothing, Section, Text, join_index, join_key

_REFERENCE = re.compile(r"\$(?:\$|\{([^{}]*)\}|\{)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """Replaces `${NAME}` in values and notes each that is missing or unusable."""

    environment: Mapping[str, str]
    findings: Findings

    def in_section(self, section: Section, *, key: str = "") -> Section:
        """Return the section with every `${NAME}` in its values replaced; keys stay."""
        entries = tuple(
            dataclasses.replace(
                entry, value=self._in_node(entry.value, key=join_key(key, entry.key))
            )
            for entry in section.entries
        )
        return dataclasses.replace(section, entries=entries)

    def _in_node(self, node: Node, *, key: str) -> Node:
        if isinstance(node, Text):
            return self._in_text(node, key=key)
        if isinstance(node, Section):
            return self.in_section(node, key=key)
        if isinstance(node, Nothing):
            return node
        items = tuple(
            self._in_node(item, key=join_index(key, index)) for index, item in enumerate(node.items)
        )
        return dataclasses.replace(node, items=items)

    def _in_text(self, node: Text, *, key: str) -> Text:
        parts: list[str] = []
        problem: str | None = None
        is_replaced = False
        end = 0
        for match in _REFERENCE.finditer(node.text):
            parts.append(node.text[end : match.start()])
            end = match.end()
            if match[0] == "$$":
                parts.append("$")
                continue
            is_replaced = True
            problem = problem or self._problem_of(match[1])
            parts.append(self.environment.get(match[1] or "", ""))
        if not parts:
            return node
        if problem is not None:
            self.findings.problem(key, problem, place=node.place)
        return dataclasses.replace(
            node,
            text="".join(parts) + node.text[end:],
            written=node.text if is_replaced else None,
            is_noted=node.is_noted or problem is not None,
        )

    def _problem_of(self, name: str | None) -> str | None:
        if name is None or _NAME.fullmatch(name) is None:
            return "expected ${NAME}; a dollar sign itself is written $$"
        if name not in self.environment:
            return f"the environment variable {name} is not set"
        if _CONTROL.search(self.environment[name]):
            return (
                f"the environment variable {name} has a line break "
                "or another control character in it"
            )
        return None
