"""The plugin for Cambricon cards: chooses the library or the tool, and walks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from agent.contracts import AcceleratorPlugin, GrantsToContainers, Records, Replays
from agent.errors import NotPresent, PermanentError, ReadingUnavailable
from agent.model.accelerator import Accelerator, AcceleratorReading, ContainerGrant, Health
from collectors.accelerators.cambricon import convert, explain, table
from collectors.accelerators.cambricon import grant as grants
from collectors.accelerators.cambricon.cndev import Cndev
from collectors.accelerators.cambricon.convert import Entry
from collectors.accelerators.cambricon.facts import Chip, Unknown, known
from collectors.accelerators.cambricon.library import (
    Calls,
    LiveCalls,
    RecordedCalls,
    RecordingCalls,
)
from collectors.accelerators.recording import Recording
from collectors.accelerators.vendor_tool import LiveTool, RecordingTool, Tool

_log = logging.getLogger(__name__)

TOOL = "cnmon"
_LIBRARY_SOURCE = "cndev"
# What a bug report needs besides the table.
_RECORDED_COMMANDS = (("info",), ("version",))


@dataclass(frozen=True, slots=True, kw_only=True)
class CambriconConfig:
    """Names the tool, the library (a file name that the loader finds, or a path) and which to use.

    `auto` takes the library, and the tool where the library fails.
    """

    tool: str = TOOL
    library: str = "libcndev.so"
    source: Literal["auto", "library", "tool"] = "auto"


class CambriconPlugin:
    """Reads Cambricon cards through libcndev or cnmon.

    A chip that is divided by MIM is listed as its instances, because these are what can be
    scheduled; an instance's `index` is its number on the chip. A chip that no longer answers keeps
    its last identity.

    The library stays open between passes. What a pass of `list_accelerators` read is handed out by
    the `read` that follows it.
    """

    name: ClassVar[str] = "cambricon"
    config_type: ClassVar[type[CambriconConfig]] = CambriconConfig

    def __init__(
        self,
        config: CambriconConfig,
        *,
        calls: Calls | None = None,
        tool: Tool | None = None,
        exists: Callable[[str], bool] = lambda path: Path(path).exists(),
    ) -> None:
        self._source = config.source
        self._calls = LiveCalls(config.library) if calls is None else calls
        self._cndev = Cndev(self._calls)
        self._tool = LiveTool(config.tool) if tool is None else tool
        self._exists = exists
        self._listed: list[Entry] | None = None
        self._last_seen: dict[int, Chip] = {}
        self._names_by_address: dict[str, str] = {}
        self._last_health: dict[str, Health] = {}
        self._last_fallback: str | None = None

    def probe(self) -> None:
        """Return if a card may be here, even one that cannot be read at present.

        Raises:
            NotPresent: neither the library nor the tool is here, or the library says that there is
                no driver or no card.
        """
        if self._source != "tool":
            refused = self._cndev.open()
            if refused is None and self._cndev.count() == 0:
                self._cndev.close()
                refused = explain.failure(explain.NO_DEVICES)
            if refused is None:
                return
            is_here = refused.code != explain.LIBRARY_NOT_FOUND
            if is_here and refused.code not in explain.ABSENT:
                return
            if is_here or self._source == "library":
                raise NotPresent(refused.reason, hint=_hint(refused))
            try:
                self._tool.find()
            except NotPresent as absent:
                reason = f"{refused.reason}; {absent.reason}"
                raise NotPresent(reason, hint=_hint(refused)) from absent
        else:
            self._tool.find()

    def list_accelerators(self) -> Sequence[Accelerator]:
        """Return every chip or instance in the driver's order.

        Raises:
            ReadingUnavailable: neither library nor tool gave a list.
        """
        self._listed = self._pass()
        return [entry.accelerator for entry in self._listed]

    def read(self) -> Sequence[AcceleratorReading]:
        """Return one reading of each chip or instance, in the order of the list.

        Raises:
            ReadingUnavailable: neither library nor tool answered.
        """
        entries, self._listed = self._listed, None
        if entries is None:
            entries = self._pass()
        self._log_health(entries)
        return [entry.reading for entry in entries]

    def grant(self, uuids: Sequence[str]) -> ContainerGrant:
        """Return the device nodes and the environment for these chips; [] gives an empty grant.

        Raises:
            ReadingUnavailable: a chip of these, or its device node, is not there.
        """
        if not uuids:
            return ContainerGrant()
        found = {entry.accelerator.uuid: entry for entry in self._pass()}
        for uuid in uuids:
            if uuid not in found:
                raise ReadingUnavailable(f"there is no Cambricon chip {uuid} on this machine")
        return grants.grant([found[uuid] for uuid in uuids], exists=self._exists)

    def record(self) -> Mapping[str, str]:
        """Return the answers of the library and of the tool, by file name.

        Raises:
            ReadingUnavailable: neither of them answered.
        """
        # Whether the library counts how often it was opened is not documented.
        self._cndev.close()
        calls = RecordingCalls(self._calls)
        cndev = Cndev(calls)
        if cndev.open() is None:
            cndev.chips()
            cndev.close()
        tool = RecordingTool(self._tool)
        for words in ((), *_RECORDED_COMMANDS):
            try:
                tool.find()
                tool.run(*words)
            except (NotPresent, ReadingUnavailable) as error:
                _log.debug("cambricon not recorded: %s", error.reason)
        if not calls.answers and not tool.answers:
            raise ReadingUnavailable("neither libcndev nor cnmon answered")
        tools = {TOOL: tool.answers} if tool.answers else {}
        return Recording(tools=tools, library=calls.answers).to_files()

    @classmethod
    def replay(cls, config: CambriconConfig, files: Mapping[str, str]) -> CambriconPlugin:
        """Return a plugin that reads these files and touches nothing of this machine.

        Raises:
            PermanentError: the files are no recording of this plugin.
        """
        recording = Recording.from_files(files)
        if not recording.library and TOOL not in recording.tools:
            raise PermanentError("this recording holds no answers of cndev or cnmon")
        return cls(
            config,
            calls=RecordedCalls(recording.library),
            tool=recording.tool(TOOL),
            exists=lambda _: False,
        )

    def close(self) -> None:
        """Release the library; it stays in the process."""
        self._listed = None
        self._cndev.close()

    def _pass(self) -> list[Entry]:
        if self._source == "tool":
            return self._tool_pass()
        try:
            entries = self._library_pass()
        except ReadingUnavailable as refused:
            self._cndev.close()
            if self._source == "library":
                raise
            return self._fall_back(refused)
        self._note_fallback(None)
        return entries

    def _fall_back(self, refused: ReadingUnavailable) -> list[Entry]:
        try:
            self._tool.find()
        except NotPresent as absent:
            raise ReadingUnavailable(
                f"{refused.reason}; {absent.reason}", hint=refused.hint or absent.hint
            ) from refused
        self._note_fallback(refused.reason)
        try:
            return self._tool_pass()
        except ReadingUnavailable as error:
            raise ReadingUnavailable(
                f"{error.reason}; {refused.reason}", hint=error.hint or refused.hint
            ) from refused

    def _library_pass(self) -> list[Entry]:
        refused = self._cndev.open()
        if refused is not None:
            raise ReadingUnavailable(refused.reason, hint=_hint(refused))
        chips = self._cndev.chips()
        if isinstance(chips, Unknown):
            raise ReadingUnavailable(chips.reason, hint=_hint(chips))
        if chips and all(_is_silent(chip) for chip in chips):
            why = chips[0].load.memory_total_mebibytes
            reason = why.reason if isinstance(why, Unknown) else "nothing is measured"
            raise ReadingUnavailable(f"no card answers cndev: {reason}", hint=_hint(why))
        entries = convert.entries(self._with_last_identity(chips), source=_LIBRARY_SOURCE)
        self._names_by_address |= {
            entry.accelerator.pci_address: entry.accelerator.parent_uuid or entry.accelerator.uuid
            for entry in entries
            if entry.accelerator.pci_address is not None
        }
        return entries

    def _tool_pass(self) -> list[Entry]:
        answer = self._tool.run()
        chips = table.read(answer.text)
        if not chips:
            why = explain.tool_failure(answer.text, exit_status=answer.exit_status)
            raise ReadingUnavailable(why.reason, hint=why.hint)
        return convert.entries(
            chips, source=self._tool.program, names_by_address=self._names_by_address
        )

    def _with_last_identity(self, chips: Sequence[Chip]) -> list[Chip]:
        """Give chips that no longer say who they are the identity they had.

        The driver counts a sick chip at its old number. Where another chip has moved up to that
        number, it is not the one that was seen there.
        """
        present = {chip.uuid for chip in chips if not isinstance(chip.uuid, Unknown)}
        named = []
        for chip in chips:
            last = self._last_seen.get(chip.index)
            if isinstance(chip.uuid, Unknown) and last is not None and last.uuid not in present:
                named.append(
                    replace(
                        last,
                        load=replace(
                            chip.load, memory_total_mebibytes=last.load.memory_total_mebibytes
                        ),
                        temperature_celsius=chip.temperature_celsius,
                        power_watts=chip.power_watts,
                        verdict=chip.verdict,
                        instances=tuple(
                            replace(
                                each,
                                load=replace(
                                    each.load,
                                    memory_used_mebibytes=chip.uuid,
                                    utilization_percent=chip.uuid,
                                ),
                            )
                            for each in last.instances
                        ),
                    )
                )
            else:
                named.append(chip)
        self._last_seen = {chip.index: chip for chip in named if known(chip.uuid) is not None}
        return named

    def _note_fallback(self, reason: str | None) -> None:
        if reason == self._last_fallback:
            return
        if reason is None:
            _log.info("cambricon source=%s", _LIBRARY_SOURCE)
        else:
            _log.warning("cambricon source=%s because=%s", self._tool.program, reason)
        self._last_fallback = reason

    def _log_health(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            uuid, health = entry.reading.uuid, entry.reading.health
            before = self._last_health.get(uuid)
            if health is before:
                continue
            if health in (Health.WARNING, Health.CRITICAL):
                _log.warning(
                    "accelerator health=%s uuid=%s because=%s", health.value, uuid, entry.because
                )
            elif before in (Health.WARNING, Health.CRITICAL):
                _log.info("accelerator health=%s uuid=%s", health.value, uuid)
        self._last_health = {entry.reading.uuid: entry.reading.health for entry in entries}


def _is_silent(chip: Chip) -> bool:
    measured = (
        chip.load.memory_total_mebibytes,
        chip.load.utilization_percent,
        chip.temperature_celsius,
        chip.power_watts,
    )
    return all(isinstance(answer, Unknown) for answer in measured)


def _hint(answer: object) -> str | None:
    if isinstance(answer, Unknown) and answer.code is not None:
        return explain.explain(answer.code).hint
    return None


_conforms: type[AcceleratorPlugin] = CambriconPlugin
_grants: type[GrantsToContainers] = CambriconPlugin
_records: type[Records] = CambriconPlugin
_replays: type[Replays] = CambriconPlugin
