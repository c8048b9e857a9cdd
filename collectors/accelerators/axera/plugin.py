"""The plugin for Axera cards: what to ask `axcl-smi`, and which cards they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agent.contracts import AcceleratorPlugin, GrantsToContainers
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.accelerator import (
    Accelerator,
    AcceleratorKind,
    AcceleratorReading,
    ContainerGrant,
)
from collectors.accelerators import tool_passes
from collectors.accelerators.axera import parse
from collectors.accelerators.machine_files import LiveFiles, MachineFiles, RecordedFiles
from collectors.accelerators.recording import Recording
from collectors.accelerators.tool_passes import Form, PassKeeper, ToolForms
from collectors.accelerators.vendor_tool import Tool

_DEADLINE_SECONDS = 10.0
_TOOL_FOLDERS = ("/usr/bin/axcl",)
# The same for every card of a machine.
_NODES = ("/dev/axcl_host", "/dev/ax_mmb_dev", "/dev/msg_userdev")
_FOLDERS = ("/usr/lib/axcl", "/usr/bin/axcl")


@dataclass(frozen=True, slots=True, kw_only=True)
class AxeraConfig:
    """Names the vendor's tool: a name that PATH finds, or a path."""

    tool: str = "axcl-smi"


class AxeraPlugin:
    """Reads Axera cards from the table that `axcl-smi` prints.

    Utilisation is that of the NPU, memory is CMM. A container that is given one card can reach all:
    the driver has one set of device nodes for all cards.
    """

    name: ClassVar[str] = "axera"
    config_type: ClassVar[type[AxeraConfig]] = AxeraConfig

    def __init__(
        self,
        config: AxeraConfig,
        *,
        tool: Tool | None = None,
        files: MachineFiles | None = None,
    ) -> None:
        self._files = files or LiveFiles()
        self._tool = tool or tool_passes.live_tool(
            config.tool, folders=_TOOL_FOLDERS, deadline_seconds=_DEADLINE_SECONDS
        )
        self._forms = ToolForms(self._tool, (Form(words=(), read=parse.table_cards),))
        self._passes = PassKeeper(vendor=self.name, kind=AcceleratorKind.NPU, ask=self._forms.ask)

    def probe(self) -> None:
        """Return if the tool is here; raises NotPresent if not."""
        try:
            self._tool.find()
        except NotPresent as error:
            raise tool_passes.absent_without(self._tool, maker="Axera") from error

    def list_accelerators(self) -> Sequence[Accelerator]:
        """Return the chips in the tool's order; raises ReadingUnavailable if it lists none."""
        return self._passes.list_accelerators()

    def read(self) -> Sequence[AcceleratorReading]:
        """Return one reading of each chip; raises ReadingUnavailable if the tool lists none."""
        return self._passes.read()

    def grant(self, uuids: Sequence[str]) -> ContainerGrant:
        """Return the driver's nodes and its libraries.

        Raises:
            ReadingUnavailable: a card of these is not there, or the driver's nodes are not.
        """
        if not self._passes.cards_of(uuids):
            return ContainerGrant()
        devices = tuple(node for node in _NODES if self._files.exists(node))
        if _NODES[0] not in devices:
            raise ReadingUnavailable(
                f"{_NODES[0]} is not there", hint="load the AXCL driver: `modprobe axcl_host`"
            )
        return ContainerGrant(
            devices=devices,
            mounts=tuple((path, path) for path in _FOLDERS if self._files.exists(path)),
        )

    def record(self) -> Mapping[str, str]:
        """Return what the tool prints, by file name; raises ReadingUnavailable if nothing."""
        return self._forms.record().to_files()

    @classmethod
    def replay(cls, config: AxeraConfig, files: Mapping[str, str]) -> AxeraPlugin:
        """Return a plugin that reads a recording; raises PermanentError if it is of another."""
        recording = Recording.from_files(files)
        program = tool_passes.only_tool(recording, Path(config.tool).name)
        return cls(config, tool=recording.tool(program), files=RecordedFiles(recording.library))

    def close(self) -> None:
        """Release nothing: no process runs between passes."""


_conforms: type[AcceleratorPlugin] = AxeraPlugin
_grants: type[GrantsToContainers] = AxeraPlugin
