"""The plugin for Ascend chips: chooses the source and walks over the chips."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from agent.contracts import AcceleratorPlugin, GrantsToContainers, Records, Replays
from agent.errors import NotPresent, PermanentError, ReadingUnavailable
from agent.model.accelerator import Accelerator, AcceleratorReading, ContainerGrant
from collectors.accelerators.ascend import containers, convert, explain, facts
from collectors.accelerators.ascend.dcmi import Dcmi, Failure
from collectors.accelerators.ascend.facts import Chip, Missing
from collectors.accelerators.ascend.library import (
    DEFAULT,
    Library,
    LiveLibrary,
    RecordedLibrary,
    RecordingLibrary,
)
from collectors.accelerators.ascend.machine import Machine
from collectors.accelerators.ascend.npu_smi import NpuSmi
from collectors.accelerators.recording import Recording
from collectors.accelerators.vendor_tool import LiveTool, RecordingTool, Tool

_log = logging.getLogger(__name__)

_NO_DRIVER = "load the Ascend driver; in a container, hand over /dev/davinci*"
_STILL_ON_BUS = "the driver does not list this chip any more, but it is still on the PCI bus"


@dataclass(frozen=True, slots=True, kw_only=True)
class AscendConfig:
    """Names the sources and which to use.

    `library` is a name that the dynamic loader finds, or a path; `tool` a name that PATH finds, or
    a path. `auto` takes the library where it answers, else the tool. `board` is what cards with one
    chip were sold as ("Atlas 300I Pro"), where the driver does not tell.
    """

    tool: str = "npu-smi"
    library: str = DEFAULT
    source: Literal["auto", "library", "tool"] = "auto"
    board: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """Is what one pass over all chips gave."""

    chips: tuple[Chip, ...]
    source: str


class AscendPlugin:
    """Reads Ascend chips through DCMI or npu-smi; for one thread.

    One entry is one chip; the chips of a card share `card`. A chip that was listed before and that
    the driver lists no more, while it is still on the PCI bus, keeps its place without values.
    """

    name: ClassVar[str] = "ascend"
    config_type: ClassVar[type[AscendConfig]] = AscendConfig

    def __init__(
        self,
        config: AscendConfig,
        *,
        tool: Tool | None = None,
        library: Library | None = None,
        root: Path | None = Path("/"),
    ) -> None:
        self._config = config
        self._tool = LiveTool(config.tool) if tool is None else tool
        self._library = LiveLibrary(config.library) if library is None else library
        self._npu_smi = NpuSmi(self._tool, is_recorded=root is None)
        self._dcmi = Dcmi(self._library)
        self._machine = Machine(root)
        self._fresh: _Pass | None = None
        self._last: dict[tuple[int, int], Chip] = {}
        self._fell_back_because: str | None = None

    def probe(self) -> None:
        """Return if chips are here, even such as cannot be read at present.

        npu-smi is run only where the driver has made no device node.

        Raises:
            NotPresent: neither library nor tool, no driver, or no chip.
        """
        failure = self._probe_library()
        if failure is None:
            return
        if self._config.source != "library":
            try:
                self._npu_smi.find()
            except NotPresent as error:
                failure = self._neither(failure, error)
            else:
                if not self._machine.has_nodes():
                    self._probe_tool()
                return
        if failure.is_installed and self._machine.has_nodes():
            return
        raise NotPresent(failure.reason, hint=failure.hint)

    def list_accelerators(self) -> Sequence[Accelerator]:
        """Return every chip, in the order of the source.

        Raises:
            ReadingUnavailable: neither library nor tool gave a list.
        """
        done = self._fresh = self._pass()
        return [
            convert.accelerator(self._as_sold(chip), source=done.source, position=position)
            for position, chip in enumerate(done.chips)
        ]

    def read(self) -> Sequence[AcceleratorReading]:
        """Return one reading of each chip, of the pass that the list before it began.

        Raises:
            ReadingUnavailable: neither library nor tool gave a list.
        """
        done = self._pass() if self._fresh is None else self._fresh
        self._fresh = None
        return [convert.reading(chip) for chip in done.chips]

    def grant(self, uuids: Sequence[str]) -> ContainerGrant:
        """Return what a container needs to use these chips; [] gives an empty grant.

        Raises:
            ReadingUnavailable: a chip of these is not there, or has no device node.
        """
        if not uuids:
            return ContainerGrant()
        chips = {convert.uuid(chip): chip for chip in self._pass().chips}
        for uuid in uuids:
            if uuid not in chips:
                raise ReadingUnavailable(f"no Ascend chip is called {uuid}")
        return containers.grant([chips[uuid] for uuid in uuids], machine=self._machine)

    def record(self) -> Mapping[str, str]:
        """Return all answers of tool and library as texts by file name.

        Raises:
            ReadingUnavailable: neither tool nor library answered.
        """
        library, tool = RecordingLibrary(self._library), RecordingTool(self._tool)
        dcmi = Dcmi(library)
        if dcmi.open() is None:
            dcmi.chips()
        reason = ""
        try:
            tool.find()
            NpuSmi(tool).ask_everything()
        except (NotPresent, ReadingUnavailable) as error:
            reason = error.reason
        if not tool.answers and not library.answers:
            raise ReadingUnavailable(f"neither DCMI nor npu-smi answers: {reason}")
        return Recording(
            tools={tool.program: tool.answers} if tool.answers else {}, library=library.answers
        ).to_files()

    @classmethod
    def replay(cls, config: AscendConfig, files: Mapping[str, str]) -> AscendPlugin:
        """Return a plugin that reads a recording and touches nothing of this machine.

        Raises:
            PermanentError: the files are no recording of Ascend chips.
        """
        recording = Recording.from_files(files)
        tool = recording.tool(Path(config.tool).name)
        library = RecordedLibrary(recording.library)
        try:
            tool.find()
        except NotPresent as error:
            if library.load() != explain.OK:
                raise PermanentError(
                    f"the recording has no answer of {tool.program} or DCMI"
                ) from error
        return cls(config, tool=tool, library=library, root=None)

    def close(self) -> None:
        """Forget what was learnt; the library stays in the process."""
        self._dcmi.close()
        self._fresh = None

    def _probe_library(self) -> _Problem | None:
        if self._config.source == "tool":
            return _Problem(reason="the library is not to be used", is_installed=False)
        failure = self._dcmi.open()
        if failure is not None:
            return self._problem(failure)
        cards = self._dcmi.cards()
        if isinstance(cards, Failure):
            return self._problem(cards)
        if not cards:
            return _Problem(
                reason="the Ascend driver finds no card (DCMI)",
                hint="see `lspci -d 19e5:`; in a container, hand the cards to it",
                is_installed=False,
            )
        return None

    def _probe_tool(self) -> None:
        try:
            self._npu_smi.chips()
        except ReadingUnavailable as error:
            raise NotPresent(error.reason, hint=error.hint or _NO_DRIVER) from error

    def _neither(self, failure: _Problem, error: NotPresent) -> _Problem:
        if self._config.source == "tool":
            return _Problem(reason=error.reason, hint=error.hint, is_installed=False)
        return replace(failure, reason=f"{failure.reason}; {error.reason}")

    def _problem(self, failure: Failure) -> _Problem:
        known = explain.explain(failure.code)
        is_installed = failure.code != explain.LIBRARY_NOT_FOUND
        reason = known.reason if is_installed else f"{known.reason}: {self._config.library}"
        if failure.code < 0:
            reason = f"DCMI: {reason} ({failure.code})"
        return _Problem(reason=reason, hint=known.hint, is_installed=is_installed)

    def _pass(self) -> _Pass:
        """Read all chips once.

        Raises:
            ReadingUnavailable: neither library nor tool gave a list.
        """
        self._fresh = None
        problem: _Problem | None = None
        if self._config.source != "tool":
            done = self._pass_of_library()
            if isinstance(done, _Pass):
                self._note_fallback(None)
                return self._kept(done)
            problem = done
        if self._config.source == "library" and problem is not None:
            raise ReadingUnavailable(problem.reason, hint=problem.hint)
        return self._kept(self._pass_of_tool(problem))

    def _pass_of_library(self) -> _Pass | _Problem:
        failure = self._dcmi.open()
        chips = self._dcmi.chips() if failure is None else failure
        if isinstance(chips, Failure):
            return self._problem(chips)
        if not chips:
            return _Problem(reason="the Ascend driver finds no card (DCMI)", is_installed=True)
        return _Pass(chips=tuple(chips), source=convert.DCMI)

    def _pass_of_tool(self, problem: _Problem | None) -> _Pass:
        try:
            self._npu_smi.find()
            chips = self._npu_smi.chips()
        except (NotPresent, ReadingUnavailable) as error:
            if problem is None or not problem.is_installed:
                raise ReadingUnavailable(error.reason, hint=error.hint) from error
            raise ReadingUnavailable(
                f"{problem.reason}; {error.reason}", hint=error.hint or problem.hint
            ) from error
        if problem is not None and problem.is_installed:
            self._note_fallback(problem.reason)
        return _Pass(chips=tuple(convert.with_power_of_cards(chips)), source=convert.NPU_SMI)

    def _note_fallback(self, reason: str | None) -> None:
        if reason == self._fell_back_because:
            return
        self._fell_back_because = reason
        if reason is None:
            _log.info("ascend_source=dcmi")
        else:
            _log.warning("ascend_source=npu-smi because=%s", reason)

    def _kept(self, done: _Pass) -> _Pass:
        """Return the pass with identities that the source forgot, and chips that it lost."""
        before = self._last
        chips = [self._with_known_identity(chip) for chip in done.chips]
        now = {(chip.card, chip.chip): chip for chip in chips}
        gone = [chip for key, chip in before.items() if key not in now]
        if gone:
            on_bus = self._machine.pci_addresses()
            lost = [
                _lost(chip)
                for chip in gone
                if not isinstance(chip.bus_id, Missing) and chip.bus_id in on_bus
            ]
            chips += lost
            now |= {(chip.card, chip.chip): chip for chip in lost}
        if before.keys() != now.keys():
            self._note_change(before=len(before), chips=chips)
        self._last = now
        return replace(done, chips=tuple(chips))

    def _as_sold(self, chip: Chip) -> Chip:
        # A card with several chips is known by their number.
        if chip.board_name is not None or chip.chips_on_card not in (1, None):
            return chip
        return replace(chip, board_name=self._config.board)

    def _note_change(self, *, before: int, chips: Sequence[Chip]) -> None:
        listed = {chip.bus_id for chip in chips if not isinstance(chip.bus_id, Missing)}
        # In a container these may be the cards of others; elsewhere they are sick.
        on_bus = self._machine.pci_addresses()
        unlisted = sorted(on_bus - listed)
        _log.log(
            logging.WARNING if before or unlisted else logging.INFO,
            "ascend_chips=%d before=%d on_bus=%d on_bus_but_not_listed=%s",
            len(chips),
            before,
            len(on_bus),
            ",".join(unlisted) or "none",
        )

    def _with_known_identity(self, chip: Chip) -> Chip:
        known = self._last.get((chip.card, chip.chip))
        if known is None or not isinstance(chip.bus_id, Missing):
            return chip
        name = known.name if isinstance(chip.name, Missing) else chip.name
        return replace(chip, bus_id=known.bus_id, name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """Is why the library as a whole gave nothing; `is_installed` if it was found at least."""

    reason: str
    hint: str | None = None
    is_installed: bool


def _lost(chip: Chip) -> Chip:
    return replace(
        facts.unread(card=chip.card, chip=chip.chip, reason=_STILL_ON_BUS),
        bus_id=chip.bus_id,
        name=chip.name,
        index=chip.index,
        node_number=chip.node_number,
        chips_on_card=chip.chips_on_card,
        board_name=chip.board_name,
    )


_conforms: type[AcceleratorPlugin] = AscendPlugin
_grants: type[GrantsToContainers] = AscendPlugin
_records: type[Records] = AscendPlugin
_replays: type[Replays] = AscendPlugin
