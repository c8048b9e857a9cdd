"""The plugin for Moore Threads cards: what to ask `mthreads-gmi`, and which cards they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agent.contracts import AcceleratorPlugin
from agent.errors import NotPresent
from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading
from collectors.accelerators import tool_passes
from collectors.accelerators.mthreads import parse
from collectors.accelerators.recording import Recording
from collectors.accelerators.tool_passes import Form, PassKeeper, ToolForms
from collectors.accelerators.vendor_tool import LiveTool, Tool

_DEADLINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MThreadsConfig:
    """Names the vendor's tool: a name that PATH finds, or a path."""

    tool: str = "mthreads-gmi"


class MThreadsPlugin:
    """Reads Moore Threads cards from the table that `mthreads-gmi` prints.

    The table has no power, no energy and no health: these stay unknown.
    """

    name: ClassVar[str] = "mthreads"
    config_type: ClassVar[type[MThreadsConfig]] = MThreadsConfig

    def __init__(self, config: MThreadsConfig, *, tool: Tool | None = None) -> None:
        self._tool = tool or LiveTool(config.tool, deadline_seconds=_DEADLINE_SECONDS)
        self._forms = ToolForms(self._tool, (Form(words=(), read=parse.table_cards),))
        self._passes = PassKeeper(vendor=self.name, kind=AcceleratorKind.GPU, ask=self._forms.ask)

    def probe(self) -> None:
        """Return if the tool is here; raises NotPresent if not."""
        try:
            self._tool.find()
        except NotPresent as error:
            raise tool_passes.absent_without(self._tool, maker="Moore Threads") from error

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
    def replay(cls, config: MThreadsConfig, files: Mapping[str, str]) -> MThreadsPlugin:
        """Return a plugin that reads a recording; raises PermanentError if it is of another."""
        recording = Recording.from_files(files)
        program = tool_passes.only_tool(recording, Path(config.tool).name)
        return cls(config, tool=recording.tool(program))

    def close(self) -> None:
        """Release nothing: no process runs between passes."""


_conforms: type[AcceleratorPlugin] = MThreadsPlugin
