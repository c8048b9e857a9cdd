"""The plugin for MetaX cards: what to ask `mx-smi`, and which cards they are."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agent.contracts import AcceleratorPlugin
from agent.errors import NotPresent
from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading
from collectors.accelerators import tool_passes
from collectors.accelerators.metax import parse
from collectors.accelerators.recording import Recording
from collectors.accelerators.tool_passes import Form, PassKeeper, ToolForms
from collectors.accelerators.vendor_tool import Tool

_DEADLINE_SECONDS = 10.0
_TOOL_FOLDERS = ("/opt/mxdriver/bin", "/opt/maca/bin")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaxConfig:
    """Names the vendor's tools: names that PATH finds, or paths.

    `other_tool` is asked where `tool` is not there.
    """

    tool: str = "mx-smi"
    other_tool: str = "ht-smi"


class MetaxPlugin:
    """Reads MetaX cards from the table that `mx-smi` prints.

    The same cards are sold under another brand with the tool under another name, `ht-smi`; the
    product name tells them apart.
    """

    name: ClassVar[str] = "metax"
    config_type: ClassVar[type[MetaxConfig]] = MetaxConfig

    def __init__(self, config: MetaxConfig, *, tool: Tool | None = None) -> None:
        self._tool = tool or _first_there(config)
        self._forms = ToolForms(self._tool, (Form(words=(), read=parse.table_cards),))
        self._passes = PassKeeper(vendor=self.name, kind=AcceleratorKind.GPU, ask=self._forms.ask)

    def probe(self) -> None:
        """Return if the tool is here; raises NotPresent if not."""
        try:
            self._tool.find()
        except NotPresent as error:
            raise tool_passes.absent_without(self._tool, maker="MetaX") from error

    def list_accelerators(self) -> Sequence[Accelerator]:
        """Return the chips in the tool's order; raises ReadingUnavailable if it lists none."""
        return self._passes.list_accelerators()

    def read(self) -> Sequence[AcceleratorReading]:
        """Return one reading of each chip; raises ReadingUnavailable if the tool lists none."""
        return self._passes.read()

    def record(self) -> Mapping[str, str]:
        """Return what the tool prints, by file name; raises ReadingUnavailable if nothing."""
        return self._forms.record().to_files()

    @classmethod
    def replay(cls, config: MetaxConfig, files: Mapping[str, str]) -> MetaxPlugin:
        """Return a plugin that reads a recording; raises PermanentError if it is of another."""
        recording = Recording.from_files(files)
        program = tool_passes.only_tool(
            recording, Path(config.tool).name, Path(config.other_tool).name
        )
        return cls(config, tool=recording.tool(program))

    def close(self) -> None:
        """Release nothing: no process runs between passes."""


def _first_there(config: MetaxConfig) -> Tool:
    tools = [
        tool_passes.live_tool(program, folders=_TOOL_FOLDERS, deadline_seconds=_DEADLINE_SECONDS)
        for program in (config.tool, config.other_tool)
    ]
    for tool in tools:
        with contextlib.suppress(NotPresent):
            tool.find()
            return tool
    return tools[0]


_conforms: type[AcceleratorPlugin] = MetaxPlugin
