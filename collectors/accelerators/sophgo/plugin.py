"""The plugin for Sophgo cards: what to ask `bm-smi`, and which cards they are."""

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
from collectors.accelerators.machine_files import LiveFiles, MachineFiles, RecordedFiles
from collectors.accelerators.recording import Recording
from collectors.accelerators.sophgo import parse
from collectors.accelerators.tool_passes import Form, PassKeeper, ToolForms
from collectors.accelerators.vendor_tool import Tool

_DEADLINE_SECONDS = 10.0
_TOOL_FOLDERS = ("/opt/sophon/libsophon-current/bin",)
_ONCE = ("--loop=false", "--file=/dev/stdout")
_CONTROL_NODE = "/dev/bmdev-ctl"
_LIBRARIES = "/opt/sophon"


@dataclass(frozen=True, slots=True, kw_only=True)
class SophgoConfig:
    """Names the vendor's tool: a name that PATH finds, or a path."""

    tool: str = "bm-smi"


class SophgoPlugin:
    """Reads Sophgo cards from the table that `bm-smi` prints.

    Bitmain's cards are the same make and have the same tool. It is a screen for a terminal, and
    writes a plain copy of it to a file: here to its own standard output.
    """

    name: ClassVar[str] = "sophgo"
    config_type: ClassVar[type[SophgoConfig]] = SophgoConfig

    def __init__(
        self,
        config: SophgoConfig,
        *,
        tool: Tool | None = None,
        files: MachineFiles | None = None,
    ) -> None:
        self._files = files or LiveFiles()
        self._tool = tool or tool_passes.live_tool(
            config.tool, folders=_TOOL_FOLDERS, deadline_seconds=_DEADLINE_SECONDS
        )
        self._forms = ToolForms(self._tool, (Form(words=_ONCE, read=parse.table_cards),))
        self._passes = PassKeeper(vendor=self.name, kind=AcceleratorKind.TPU, ask=self._forms.ask)

    def probe(self) -> None:
        """Return if the tool is here; raises NotPresent if not."""
        try:
            self._tool.find()
        except NotPresent as error:
            raise tool_passes.absent_without(self._tool, maker="Sophgo") from error

    def list_accelerators(self) -> Sequence[Accelerator]:
        """Return the chips in the tool's order; raises ReadingUnavailable if it lists none."""
        return self._passes.list_accelerators()

    def read(self) -> Sequence[AcceleratorReading]:
        """Return one reading of each chip; raises ReadingUnavailable if the tool lists none."""
        return self._passes.read()

    def grant(self, uuids: Sequence[str]) -> ContainerGrant:
        """Return the control node, the nodes of the chips and the vendor's libraries.

        Raises:
            ReadingUnavailable: a chip of these is not there, or has no node (a SoC has none).
        """
        chips = self._passes.cards_of(uuids)
        if not chips:
            return ContainerGrant()
        devices = (_CONTROL_NODE, *(f"/dev/bm-sophon{chip.index}" for chip in chips))
        lost = [node for node in devices if not self._files.exists(node)]
        if lost:
            raise ReadingUnavailable(
                f"{', '.join(lost)} not there",
                hint="load the driver (`modprobe bmsophon`); on a SoC there is none of these",
            )
        mounts = ((_LIBRARIES, _LIBRARIES),) if self._files.exists(_LIBRARIES) else ()
        return ContainerGrant(devices=devices, mounts=mounts)

    def record(self) -> Mapping[str, str]:
        """Return what the tool prints, by file name; raises ReadingUnavailable if nothing."""
        return self._forms.record().to_files()

    @classmethod
    def replay(cls, config: SophgoConfig, files: Mapping[str, str]) -> SophgoPlugin:
        """Return a plugin that reads a recording; raises PermanentError if it is of another."""
        recording = Recording.from_files(files)
        program = tool_passes.only_tool(recording, Path(config.tool).name)
        return cls(config, tool=recording.tool(program), files=RecordedFiles(recording.library))

    def close(self) -> None:
        """Release nothing: no process runs between passes."""


_conforms: type[AcceleratorPlugin] = SophgoPlugin
_grants: type[GrantsToContainers] = SophgoPlugin
