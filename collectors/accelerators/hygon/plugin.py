"""The plugin for Hygon cards (DCU): which tool is theirs, and what it is asked."""

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
from collectors.accelerators import pci, tool_passes
from collectors.accelerators.hygon import parse
from collectors.accelerators.machine_files import (
    LiveFiles,
    MachineFiles,
    RecordedFiles,
    RecordingFiles,
)
from collectors.accelerators.recording import Recording
from collectors.accelerators.tool_passes import CardPass, Form, PassKeeper, ToolForms
from collectors.accelerators.vendor_tool import Tool

# Both forms fit into the agent's deadline for one pass.
_DEADLINE_SECONDS = 7.0
_TOOL_FOLDERS = ("/opt/hyhal/bin", "/usr/local/hyhal/bin", "/opt/dtk/bin")
_JSON = (
    "--showid",
    "--showproductname",
    "--showuniqueid",
    "--showbus",
    "--showtemp",
    "--showpower",
    "--showuse",
    "--showmeminfo",
    "vram",
    "--json",
)
_FORMS = (Form(words=_JSON, read=parse.any_cards), Form(words=(), read=parse.table_cards))
_COMPUTE_NODES = ("/dev/kfd", "/dev/mkfd")
_LIBRARIES = "/opt/hyhal"


@dataclass(frozen=True, slots=True, kw_only=True)
class HygonConfig:
    """Names the vendor's tools: names that PATH finds, or paths.

    `older_tool` is asked where `tool` is not there. AMD's tool has the same name, so it is used
    only where the machine or its text says that the cards are Hygon's; set `tool: rocm-smi` to say
    so yourself.
    """

    tool: str = "hy-smi"
    older_tool: str = "rocm-smi"


class HygonPlugin:
    """Reads Hygon cards through `hy-smi`, or through `rocm-smi` of an older DTK.

    Their JSON tells everything; the short table is read where the tool gives no JSON, and lacks
    sizes of memory, names and every identity but the tool's number.
    """

    name: ClassVar[str] = "hygon"
    config_type: ClassVar[type[HygonConfig]] = HygonConfig

    def __init__(
        self,
        config: HygonConfig,
        *,
        tool: Tool | None = None,
        older_tool: Tool | None = None,
        files: MachineFiles | None = None,
    ) -> None:
        self._tool = tool or tool_passes.live_tool(
            config.tool, folders=_TOOL_FOLDERS, deadline_seconds=_DEADLINE_SECONDS
        )
        self._older_tool = older_tool or tool_passes.live_tool(
            config.older_tool, folders=_TOOL_FOLDERS, deadline_seconds=_DEADLINE_SECONDS
        )
        self._files = files or LiveFiles()
        self._chosen: ToolForms | None = None
        self._passes = PassKeeper(vendor=self.name, kind=AcceleratorKind.DCU, ask=self._ask)

    def probe(self) -> None:
        """Return if a tool of Hygon's is here.

        Only where there is `rocm-smi` alone and no card on the PCI bus to judge by, it is asked.

        Raises:
            NotPresent: there is none, or its cards are AMD's or nobody's.
        """
        self._chosen = None
        self._chosen = ToolForms(self._choose(self._files), _FORMS)

    def list_accelerators(self) -> Sequence[Accelerator]:
        """Return the cards by the tool's number; raises ReadingUnavailable if it lists none."""
        return self._passes.list_accelerators()

    def read(self) -> Sequence[AcceleratorReading]:
        """Return one reading of each card; raises ReadingUnavailable if the tool lists none."""
        return self._passes.read()

    def grant(self, uuids: Sequence[str]) -> ContainerGrant:
        """Return the compute node, the render nodes of the cards and the vendor's libraries.

        Raises:
            ReadingUnavailable: a card of these is not there, or its nodes cannot be told.
        """
        cards = self._passes.cards_of(uuids)
        if not cards:
            return ContainerGrant()
        nodes = [node for node in _COMPUTE_NODES if self._files.exists(node)]
        if _COMPUTE_NODES[0] not in nodes:
            raise ReadingUnavailable(
                f"{_COMPUTE_NODES[0]} is not there", hint="load the DCU driver; see `dmesg`"
            )
        for card in cards:
            render_nodes = pci.render_nodes(self._files, card.pci_address or "")
            if not render_nodes:
                raise ReadingUnavailable(
                    f"which node in /dev/dri is card {card.index} is not known"
                )
            nodes += render_nodes
        there = self._files.exists(_LIBRARIES)
        return ContainerGrant(
            devices=tuple(nodes), mounts=((_LIBRARIES, _LIBRARIES),) if there else ()
        )

    def record(self) -> Mapping[str, str]:
        """Return what the tool answers and the cards on the PCI bus, by file name.

        Raises:
            ReadingUnavailable: the tool answered nothing.
        """
        files = RecordingFiles(self._files)
        try:
            forms = ToolForms(self._choose(files), _FORMS)
        except NotPresent as error:
            raise ReadingUnavailable(error.reason, hint=error.hint) from error
        return Recording(tools=forms.record().tools, library=files.answers).to_files()

    @classmethod
    def replay(cls, config: HygonConfig, files: Mapping[str, str]) -> HygonPlugin:
        """Return a plugin that reads a recording; raises PermanentError if it is of another."""
        recording = Recording.from_files(files)
        program, older = Path(config.tool).name, Path(config.older_tool).name
        tool_passes.only_tool(recording, program, older)
        return cls(
            config,
            tool=recording.tool(program),
            older_tool=recording.tool(older),
            files=RecordedFiles(recording.library),
        )

    def close(self) -> None:
        """Release nothing: no process runs between passes."""

    def _ask(self) -> CardPass:
        if self._chosen is None:
            self.probe()
        assert self._chosen is not None  # noqa: S101 - the probe chose it or raised
        return self._chosen.ask()

    def _choose(self, files: MachineFiles) -> Tool:
        try:
            self._tool.find()
        except NotPresent:
            try:
                self._older_tool.find()
            except NotPresent as error:
                raise tool_passes.absent_without(self._tool, maker="Hygon") from error
        else:
            return self._tool
        makers = {card.vendor_id for card in pci.cards(files)}
        if pci.AMD in makers and pci.HYGON not in makers:
            raise NotPresent(f"the cards of {self._older_tool.program} are AMD's")
        if makers & {pci.AMD, pci.HYGON} == {pci.HYGON} or self._says_so():
            return self._older_tool
        raise NotPresent(
            f"{self._older_tool.program} does not say whose cards it shows",
            hint=f"if they are Hygon's, set accelerators.hygon.tool: {self._older_tool.program}",
        )

    def _says_so(self) -> bool:
        for form in _FORMS:
            try:
                verdict = parse.is_hygon(self._older_tool.run(*form.words).text)
            except ReadingUnavailable:
                continue
            if verdict is not None:
                return verdict
        return False


_conforms: type[AcceleratorPlugin] = HygonPlugin
_grants: type[GrantsToContainers] = HygonPlugin
