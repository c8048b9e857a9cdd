"""The plugin for AMD cards: the driver's files first, `rocm-smi` where they are not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from agent.contracts import AcceleratorPlugin, GrantsToContainers
from agent.errors import NotPresent, PermanentError, ReadingUnavailable
from agent.model.accelerator import (
    Accelerator,
    AcceleratorKind,
    AcceleratorReading,
    ContainerGrant,
)
from collectors.accelerators import pci, tool_passes
from collectors.accelerators.amd import convert, parse, sysfs
from collectors.accelerators.cards import CardFacts
from collectors.accelerators.machine_files import (
    LiveFiles,
    MachineFiles,
    RecordedFiles,
    RecordingFiles,
)
from collectors.accelerators.recording import Recording
from collectors.accelerators.tool_passes import CardPass, Form, PassKeeper, ToolForms
from collectors.accelerators.vendor_tool import Tool, ToolAnswer

SYSFS = "amdgpu"

_DEADLINE_SECONDS = 10.0
_TOOL_FOLDERS = ("/opt/rocm/bin",)
# What every version from 5.7 on answers; the driver's files are there for those who count costs.
_JSON = ("-a", "--json")
_COMPUTE_NODE = "/dev/kfd"


@dataclass(frozen=True, slots=True, kw_only=True)
class AmdConfig:
    """Names the tool, a name that PATH finds or a path, and says what is asked.

    `auto` reads the driver's files, and asks the tool where the driver shows no card.
    """

    tool: str = "rocm-smi"
    source: Literal["auto", "sysfs", "tool"] = "auto"


class AmdPlugin:
    """Reads AMD cards through the amdgpu driver's files, or through `rocm-smi`.

    The files are the kernel's documented interface and cost no process; the tool's keys change
    with every version. `index` counts the driver's cards in the order of the PCI bus. Graphics in
    a CPU that amdgpu drives is listed too. A card that was cut into partitions is listed whole.
    """

    name: ClassVar[str] = "amd"
    config_type: ClassVar[type[AmdConfig]] = AmdConfig

    def __init__(
        self,
        config: AmdConfig,
        *,
        tool: Tool | None = None,
        files: MachineFiles | None = None,
    ) -> None:
        self._source = config.source
        self._tool = tool or tool_passes.live_tool(
            config.tool, folders=_TOOL_FOLDERS, deadline_seconds=_DEADLINE_SECONDS
        )
        self._files = files or LiveFiles()
        self._forms = ToolForms(self._tool, (Form(words=_JSON, read=parse.json_cards),))
        self._passes = PassKeeper(vendor=self.name, kind=AcceleratorKind.GPU, ask=self._ask)

    def probe(self) -> None:
        """Return if the driver or the tool has a card of AMD's.

        The tool is asked only where there is no card on the PCI bus to judge by.

        Raises:
            NotPresent: neither has.
        """
        if self._source != "tool" and self._addresses():
            return
        if self._source == "sysfs":
            raise NotPresent("amdgpu drives no card", hint="see `lspci -d 1002:` and `dmesg`")
        self._find_tool()

    def list_accelerators(self) -> Sequence[Accelerator]:
        """Return the cards; raises ReadingUnavailable if neither source lists any."""
        return self._passes.list_accelerators()

    def read(self) -> Sequence[AcceleratorReading]:
        """Return one reading of each card; raises ReadingUnavailable like the list."""
        return self._passes.read()

    def grant(self, uuids: Sequence[str]) -> ContainerGrant:
        """Return the compute node and the render nodes of the cards.

        Raises:
            ReadingUnavailable: a card of these is not there, or its nodes cannot be told.
        """
        cards = self._passes.cards_of(uuids)
        if not cards:
            return ContainerGrant()
        if not self._files.exists(_COMPUTE_NODE):
            raise ReadingUnavailable(
                f"{_COMPUTE_NODE} is not there",
                hint="the driver was built or loaded without compute; see `dmesg | grep kfd`",
            )
        nodes = [_COMPUTE_NODE]
        for card in cards:
            render_nodes = pci.render_nodes(self._files, card.pci_address or "")
            if not render_nodes:
                raise ReadingUnavailable(
                    f"which node in /dev/dri is card {card.index} is not known"
                )
            nodes += render_nodes
        return ContainerGrant(devices=tuple(nodes))

    def record(self) -> Mapping[str, str]:
        """Return the driver's files and the tool's answer, by file name.

        Raises:
            ReadingUnavailable: neither driver nor tool answered.
        """
        files = RecordingFiles(self._files)
        found = self._cards(files)
        tools: Mapping[str, Mapping[tuple[str, ...], ToolAnswer]] = {}
        try:
            self._tool.find()
            tools = self._forms.record().tools
        except (NotPresent, ReadingUnavailable) as error:
            if not found:
                raise ReadingUnavailable(error.reason, hint=error.hint) from error
        pci.cards(files)
        return Recording(tools=tools, library=files.answers).to_files()

    @classmethod
    def replay(cls, config: AmdConfig, files: Mapping[str, str]) -> AmdPlugin:
        """Return a plugin that reads a recording; raises PermanentError if it is of another."""
        recording = Recording.from_files(files)
        program = Path(config.tool).name
        if not recording.tools.get(program) and f"names({sysfs.DRIVER})" not in recording.library:
            raise PermanentError(f"the recording holds nothing of amdgpu or {program}")
        return cls(config, tool=recording.tool(program), files=RecordedFiles(recording.library))

    def close(self) -> None:
        """Release nothing: no file is open and no process runs between passes."""

    def _ask(self) -> CardPass:
        if self._source != "tool":
            found = self._cards(self._files)
            if found:
                return CardPass(source=SYSFS, cards=found)
        if self._source == "sysfs":
            raise ReadingUnavailable(
                "amdgpu drives no card any more", hint="see `lspci -d 1002:` and `dmesg`"
            )
        try:
            self._tool.find()
        except NotPresent as error:
            raise ReadingUnavailable(f"amdgpu drives no card, and {error.reason}") from error
        return self._forms.ask()

    def _cards(self, files: MachineFiles) -> tuple[CardFacts, ...]:
        return tuple(
            convert.facts(sysfs.card(files, address), index=index)
            for index, address in enumerate(self._addresses(files))
        )

    def _addresses(self, files: MachineFiles | None = None) -> list[str]:
        try:
            return sysfs.addresses(files or self._files)
        except OSError:
            return []

    def _find_tool(self) -> None:
        try:
            self._tool.find()
        except NotPresent as error:
            raise NotPresent(
                "amdgpu drives no card",
                hint="if there are AMD cards, load the driver: `modprobe amdgpu`",
            ) from error
        makers = {card.vendor_id for card in pci.cards(self._files)}
        if pci.AMD in makers:
            return
        program = self._tool.program
        if pci.HYGON in makers:
            raise NotPresent(f"the cards of {program} are Hygon's")
        try:
            answer = self._tool.run(*_JSON)
        except ReadingUnavailable as error:
            raise NotPresent(f"{program} shows no card of AMD's: {error.reason}") from error
        if not parse.is_amd(answer.text):
            raise NotPresent(f"{program} shows no card that says it is AMD's")


_conforms: type[AcceleratorPlugin] = AmdPlugin
_grants: type[GrantsToContainers] = AmdPlugin
