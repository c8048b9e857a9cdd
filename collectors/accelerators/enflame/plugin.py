"""The plugin for Enflame cards: what to ask `efsmi`, and which cards they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agent.contracts import AcceleratorPlugin
from agent.errors import NotPresent
from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading
from collectors.accelerators import tool_passes
from collectors.accelerators.enflame import parse
from collectors.accelerators.recording import Recording
from collectors.accelerators.tool_passes import Form, PassKeeper, ToolForms
from collectors.accelerators.vendor_tool import Tool

# Both forms fit into the agent's deadline for one pass.
_DEADLINE_SECONDS = 7.0
_TOOL_FOLDERS = ("/usr/local/efsmi",)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnflameConfig:
    """Names the vendor's tool: a name that PATH finds, or a path."""

    tool: str = "efsmi"


class EnflamePlugin:
    """Reads Enflame cards through `efsmi`.

    `efsmi -q` tells everything; the short table is read where that gives nothing, and lacks what is
    in use, the health and the UUID.
    """

    name: ClassVar[str] = "enflame"
    config_type: ClassVar[type[EnflameConfig]] = EnflameConfig

    def __init__(self, config: EnflameConfig, *, tool: Tool | None = None) -> None:
        self._tool = tool or tool_passes.live_tool(
            config.tool, folders=_TOOL_FOLDERS, deadline_seconds=_DEADLINE_SECONDS
        )
        self._forms = ToolForms(
            self._tool,
            (
                Form(words=("-q",), read=parse.any_cards),
                Form(words=(), read=parse.table_cards),
            ),
        )
        self._passes = PassKeeper(vendor=self.name, kind=AcceleratorKind.GCU, ask=self._forms.ask)

    def probe(self) -> None:
        """Return if the tool is here; raises NotPresent if not."""
        try:
            self._tool.find()
        except NotPresent as error:
            raise tool_passes.absent_without(self._tool, maker="Enflame") from error

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
    def replay(cls, config: EnflameConfig, files: Mapping[str, str]) -> EnflamePlugin:
        """Return a plugin that reads a recording; raises PermanentError if it is of another."""
        recording = Recording.from_files(files)
        program = tool_passes.only_tool(recording, Path(config.tool).name)
        return cls(config, tool=recording.tool(program))

    def close(self) -> None:
        """Release nothing: no process runs between passes."""


_conforms: type[AcceleratorPlugin] = EnflamePlugin
