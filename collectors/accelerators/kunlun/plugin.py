"""The plugin for Kunlunxin cards: chooses the source, takes a pass, hands out what it gave."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from agent.contracts import AcceleratorPlugin, GrantsToContainers, Records, Replays
from agent.errors import NotPresent, PermanentError, ReadingUnavailable
from agent.model.accelerator import Accelerator, AcceleratorReading, ContainerGrant
from collectors.accelerators.kunlun import convert, explain, library_chips, xpuml
from collectors.accelerators.kunlun.driver import Driver, RecordedDriver, RecordingDriver
from collectors.accelerators.kunlun.explain import Explanation
from collectors.accelerators.kunlun.facts import Chip, Missing
from collectors.accelerators.kunlun.tool_chips import FORMS, ToolReader
from collectors.accelerators.recording import Recording
from collectors.accelerators.vendor_tool import LiveTool, RecordingTool, Tool

_log = logging.getLogger(__name__)

LIBRARY_SOURCE = "xpuml"
# The codes with which a source says that it has no state to give; None is a tool's.
_NOT_OFFERED = frozenset({None, explain.NOT_SUPPORTED, explain.FUNCTION_NOT_FOUND})
_SPELLINGS = ("xpu-smi", "xpu_smi")
_INSTALLED_TOOLS = tuple(f"/usr/local/xpu/bin/{name}" for name in _SPELLINGS)
# Shorter than the host's deadlines, two runs too: a tool that hangs is ended by its own plugin.
_DEADLINE_SECONDS = 7.0
_LIBRARY = "libxpuml.so"
_INSTALLED_LIBRARIES = (
    "libxpuml.so.1",
    "/usr/local/xpu/lib64/libxpuml.so",
    "/usr/local/xpu/lib64/libxpuml.so.1",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KunlunConfig:
    """Says what is asked.

    `tool` is a name that PATH finds or a path; of the two names that the maker uses, the other is
    tried too, and both where XRE installs them. `library` likewise. `source` keeps to one of both;
    auto takes the library of XRE 4, and else the tool.
    """

    tool: str = "xpu-smi"
    library: str = _LIBRARY
    source: Literal["auto", "library", "tool"] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    source: str
    entries: tuple[convert.Entry, ...]


class KunlunPlugin:
    """Reads Kunlunxin cards through libxpuml or xpu-smi.

    A card of K200 is listed as its two chips; a card that SR-IOV divides as its functions. A
    device that libxpuml cannot open any more keeps its place and its last identity.
    """

    name: ClassVar[str] = "kunlun"
    config_type: ClassVar[type[KunlunConfig]] = KunlunConfig

    def __init__(
        self,
        config: KunlunConfig,
        *,
        tools: Sequence[Tool] | None = None,
        forms: Sequence[tuple[str, ...]] = FORMS,
        library: xpuml.Library | None = None,
        driver: Driver | RecordedDriver | None = None,
    ) -> None:
        self._config = config
        self._tools = _live_tools(config) if tools is None else tuple(tools)
        self._tool_reader = ToolReader(self._tools, forms=forms)
        self._library = _live_library(config) if library is None else library
        self._driver = Driver(Path("/")) if driver is None else driver
        self._taken: _Pass | None = None
        self._last_seen: dict[int, Chip] = {}
        self._fallback_reason = ""
        self._is_library_newer = False

    def probe(self) -> None:
        """Return if cards of this vendor can be read here.

        Where the PCI bus shows no such card, the sources are asked: Intel has a tool of the same
        name, and a container may hide the bus.

        Raises:
            NotPresent: no library and no tool, another vendor's tool, or no card.
        """
        is_on_bus = self._driver.is_card_on_bus()
        if not self._has_library() and not self._has_tool():
            found = explain.not_found("neither libxpuml nor xpu-smi is")
            # A card without its software is a fault; nothing of either is the usual machine.
            only_if = "" if is_on_bus else "if Kunlunxin cards are in it, "
            raise NotPresent(found.reason, hint=f"{only_if}{found.hint}")
        if is_on_bus:
            return
        try:
            self._take_pass()
        except ReadingUnavailable as error:
            bus = "" if is_on_bus is None else "no Kunlunxin card is on the PCI bus; "
            raise NotPresent(f"{bus}{error.reason}", hint=error.hint) from error

    def list_accelerators(self) -> Sequence[Accelerator]:
        """Return chips and functions in the source's order.

        Raises:
            ReadingUnavailable: neither library nor tool gave a list.
        """
        taken = self._taken = self._take_pass()
        return [convert.accelerator(entry, source=taken.source) for entry in taken.entries]

    def read(self) -> Sequence[AcceleratorReading]:
        """Return one reading of each chip or function, in the order of the list.

        The pass that a list before it was made of is used here, and only once.

        Raises:
            ReadingUnavailable: neither library nor tool answered.
        """
        taken = self._taken or self._take_pass()
        self._taken = None
        return [convert.reading(entry, source=taken.source) for entry in taken.entries]

    def grant(self, uuids: Sequence[str]) -> ContainerGrant:
        """Return the device nodes, the tool and the variables that a container needs.

        Raises:
            ReadingUnavailable: a chip of these, or its node, is not there.
        """
        if not uuids:
            return ContainerGrant()
        entries = {entry.uuid: entry for entry in self._take_pass().entries}
        numbers = []
        for uuid in dict.fromkeys(uuids):
            if uuid not in entries:
                raise ReadingUnavailable(f"no Kunlunxin chip has the uuid {uuid}")
            chip = entries[uuid].chip
            numbers.append(chip.index if chip.node_number is None else chip.node_number)
        nodes = [self._node(number) for number in numbers]
        control = self._driver.control_node()
        # The first is read in the container, by XRE; the second by the maker's docker runtime,
        # which where it is docker's default gives every card to an image that asks for all.
        visible = ",".join(map(str, numbers))
        return ContainerGrant(
            devices=(*nodes, *([control] if control else ())),
            mounts=tuple((path, path) for path in self._driver.container_files()),
            environment={"XPU_VISIBLE_DEVICES": visible, "CXPU_VISIBLE_DEVICES": visible},
        )

    def record(self) -> Mapping[str, str]:
        """Return what library and tool answer now, every form of the tool.

        Raises:
            ReadingUnavailable: neither answered.
        """
        library = xpuml.RecordingXpuml(self._library)
        driver = RecordingDriver(self._driver)
        chips: list[Chip] = []
        if self._has_library():
            chips += library_chips.read(library, unless_newer=self._has_tool()).chips
        tools = {}
        for each in self._tools:
            tool = RecordingTool(each)
            if each.program not in tools and ToolReader([tool]).is_found():
                for form in FORMS:
                    done = ToolReader([tool], forms=[form]).read()
                    chips += done.chips
                    if done.is_final:
                        break
                tools[each.program] = tool.answers
        for chip in chips:
            driver.state(chip.index if chip.node_number is None else chip.node_number)
        answers = {**library.answers, **driver.answers}
        if not answers and not any(tools.values()):
            raise ReadingUnavailable("neither libxpuml nor xpu-smi answered")
        return Recording(tools=tools, library=answers).to_files()

    @classmethod
    def replay(cls, config: KunlunConfig, files: Mapping[str, str]) -> AcceleratorPlugin:
        """Return a plugin that reads a recording and touches nothing of this machine.

        Raises:
            PermanentError: the files are no recording of this plugin.
        """
        recording = Recording.from_files(files)
        programs = [name for name in recording.tools if Path(name).name in _names(config)]
        library = xpuml.RecordedXpuml(recording.library)
        if not programs and library.find().code != explain.SUCCESS:
            raise PermanentError("this recording holds neither libxpuml's nor xpu-smi's answers")
        recorded = {words for name in programs for words in recording.tools[name]}
        return cls(
            config,
            tools=[recording.tool(name) for name in programs],
            forms=[form for form in FORMS if form in recorded],
            library=library,
            driver=RecordedDriver(recording.library),
        )

    def close(self) -> None:
        """Forget what was read; nothing is held open between passes."""
        self._taken = None

    def _has_library(self) -> bool:
        return self._config.source != "tool" and self._library.find().code == explain.SUCCESS

    def _has_tool(self) -> bool:
        return self._config.source != "library" and self._tool_reader.is_found()

    def _take_pass(self) -> _Pass:
        source, chips = self._ask()
        chips = self._with_last_identity(chips)
        self._last_seen = {chip.index: chip for chip in chips}
        chips = [self._with_state(chip) for chip in chips]
        return _Pass(source=source, entries=tuple(convert.arrange(chips)))

    def _ask(self) -> tuple[str, Sequence[Chip]]:
        """Return the source that answered, and its chips."""
        library: library_chips.LibraryPass | None = None
        has_tool = self._has_tool()
        if self._has_library() and not (has_tool and self._is_library_newer):
            library = library_chips.read(self._library, unless_newer=has_tool)
            self._is_library_newer = library.is_newer
            if library.chips:
                self._log_fallback(None)
                return LIBRARY_SOURCE, library.chips
        if not has_tool:
            raise _library_failed(library)
        tool = self._tool_reader.read()
        if tool.failure is not None:
            raise _both_failed(tool.failure, library=library)
        self._log_fallback(library)
        return tool.program, tool.chips

    def _with_last_identity(self, chips: Sequence[Chip]) -> list[Chip]:
        """Return the chips, a lost one with what was known of it, unless others have moved up."""
        have_moved = any(
            not isinstance(chip.pci_address, Missing)
            and chip.index in self._last_seen
            and chip.pci_address != self._last_seen[chip.index].pci_address
            for chip in chips
        )
        return [
            _named_as(chip, before=self._last_seen[chip.index])
            if isinstance(chip.pci_address, Missing)
            and chip.index in self._last_seen
            and not have_moved
            else chip
            for chip in chips
        ]

    def _with_state(self, chip: Chip) -> Chip:
        # A device that failed is not called well because the driver has noticed nothing yet.
        if not isinstance(chip.state, Missing) or chip.state.code not in _NOT_OFFERED:
            return chip
        number = chip.index if chip.node_number is None else chip.node_number
        return replace(chip, state=self._driver.state(number))

    def _node(self, number: int) -> str:
        node = self._driver.node(number)
        if node is None:
            raise ReadingUnavailable(
                f"the device node /dev/xpu{number} is not on this machine",
                hint="load the driver: `modprobe kunlun`",
            )
        return node

    def _log_fallback(self, library: library_chips.LibraryPass | None) -> None:
        reason = library.failure.reason if library is not None and library.failure else ""
        if reason and reason != self._fallback_reason:
            _log.warning("kunlun source=tool because=%s", reason)
        self._fallback_reason = reason


def _named_as(chip: Chip, *, before: Chip) -> Chip:
    return replace(
        chip,
        pci_address=before.pci_address,
        model=before.model,
        serial=before.serial,
        uuid=before.uuid,
        memory_total_bytes=before.memory_total_bytes,
        chip_on_card=before.chip_on_card,
        node_number=before.node_number,
    )


def _names(config: KunlunConfig) -> tuple[str, ...]:
    return (*_SPELLINGS, Path(config.tool).name)


def _live_tools(config: KunlunConfig) -> tuple[Tool, ...]:
    if config.tool not in _SPELLINGS:
        return (LiveTool(config.tool, deadline_seconds=_DEADLINE_SECONDS),)
    other = [name for name in _SPELLINGS if name != config.tool]
    return tuple(
        LiveTool(program, deadline_seconds=_DEADLINE_SECONDS)
        for program in (config.tool, *other, *_INSTALLED_TOOLS)
    )


def _live_library(config: KunlunConfig) -> xpuml.Library:
    installed = _INSTALLED_LIBRARIES if config.library == _LIBRARY else ()
    return xpuml.Xpuml((config.library, *installed))


def _library_failed(library: library_chips.LibraryPass | None) -> ReadingUnavailable:
    if library is None:
        failure = explain.code(explain.LIBRARY_NOT_FOUND)
    else:
        failure = library.failure or Explanation("libxpuml lists no card", explain.CHECK_BUS)
    return ReadingUnavailable(failure.reason, hint=failure.hint)


def _both_failed(
    failure: Explanation, *, library: library_chips.LibraryPass | None
) -> ReadingUnavailable:
    if library is None or library.failure is None:
        return ReadingUnavailable(failure.reason, hint=failure.hint)
    return ReadingUnavailable(
        f"{library.failure.reason}; {failure.reason}", hint=library.failure.hint or failure.hint
    )


_conforms: type[AcceleratorPlugin] = KunlunPlugin
_grants: type[GrantsToContainers] = KunlunPlugin
_records: type[Records] = KunlunPlugin
_replays: type[Replays] = KunlunPlugin
