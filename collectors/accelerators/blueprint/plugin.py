"""The plugin for ACME cards: what to ask `acme-smi`, and what a container needs of a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agent.contracts import AcceleratorPlugin, GrantsToContainers, Records, Replays
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.accelerator import (
    Accelerator,
    AcceleratorKind,
    AcceleratorReading,
    ContainerGrant,
)
from collectors.accelerators import tool_passes
from collectors.accelerators.blueprint import parse
from collectors.accelerators.machine_files import LiveFiles, MachineFiles, RecordedFiles
from collectors.accelerators.recording import Recording
from collectors.accelerators.tool_passes import Form, PassKeeper, ToolForms
from collectors.accelerators.vendor_tool import LiveTool, Tool

# Shorter than the agent's deadline for one pass, so that a tool that hangs is named.
_DEADLINE_SECONDS = 8.0
_CONTROL_NODE = "/dev/acme_ctl"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcmeConfig:
    """Names the vendor's tool: a name that PATH finds, or a path."""

    tool: str = "acme-smi"


class AcmePlugin:
    """Reads ACME cards through `acme-smi`; one run of it gives all that is told of every card."""

    name: ClassVar[str] = "acme"
    config_type: ClassVar[type[AcmeConfig]] = AcmeConfig

    def __init__(
        self,
        config: AcmeConfig,
        *,
        tool: Tool | None = None,
        files: MachineFiles | None = None,
    ) -> None:
        self._tool = tool or LiveTool(config.tool, deadline_seconds=_DEADLINE_SECONDS)
        self._files = files or LiveFiles()
        self._forms = ToolForms(self._tool, (Form(words=(), read=parse.table_cards),))
        self._passes = PassKeeper(vendor=self.name, kind=AcceleratorKind.XPU, ask=self._forms.ask)

    def probe(self) -> None:
        """Return if the tool is here; raises NotPresent if not."""
        try:
            self._tool.find()
        except NotPresent as error:
            raise tool_passes.absent_without(self._tool, maker="ACME") from error

    def list_accelerators(self) -> Sequence[Accelerator]:
        """Return the chips in the tool's order; raises ReadingUnavailable if it lists none."""
        return self._passes.list_accelerators()

    def read(self) -> Sequence[AcceleratorReading]:
        """Return one reading of each chip; raises ReadingUnavailable if the tool lists none."""
        return self._passes.read()

    def grant(self, uuids: Sequence[str]) -> ContainerGrant:
        """Return the device nodes of these chips, and the one that all of them need.

        Raises:
            ReadingUnavailable: a chip of these is not there, or has no node on this machine.
        """
        chips = self._passes.cards_of(uuids)
        if not chips:
            return ContainerGrant()
        nodes = (_CONTROL_NODE, *(f"/dev/acme{chip.index}" for chip in chips))
        missing = [node for node in nodes if not self._files.exists(node)]
        if missing:
            raise ReadingUnavailable(
                f"{', '.join(missing)} is not on this machine",
                hint="load the driver of ACME; in a container, hand the device nodes to it",
            )
        return ContainerGrant(devices=nodes)

    def record(self) -> Mapping[str, str]:
        """Return what the tool prints, by file name; raises ReadingUnavailable if nothing."""
        return self._forms.record().to_files()

    @classmethod
    def replay(cls, config: AcmeConfig, files: Mapping[str, str]) -> AcmePlugin:
        """Return a plugin that reads a recording; raises PermanentError if it is of another."""
        recording = Recording.from_files(files)
        program = tool_passes.only_tool(recording, Path(config.tool).name)
        return cls(config, tool=recording.tool(program), files=RecordedFiles({}))

    def close(self) -> None:
        """Release nothing: no process runs between passes."""


_conforms: type[AcceleratorPlugin] = AcmePlugin
_grants: type[GrantsToContainers] = AcmePlugin
_records: type[Records] = AcmePlugin
_replays: type[Replays] = AcmePlugin
