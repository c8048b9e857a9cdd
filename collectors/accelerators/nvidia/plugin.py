"""The plugin for NVIDIA cards: which source answers, and what a pass over the cards gives."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from agent.contracts import AcceleratorPlugin, GrantsToContainers, Records, Replays
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.accelerator import Accelerator, AcceleratorReading, ContainerGrant, Health
from collectors.accelerators import tool_passes
from collectors.accelerators.machine_files import (
    LiveFiles,
    MachineFiles,
    RecordedFiles,
    RecordingFiles,
)
from collectors.accelerators.nvidia import chosen, convert, explain, grants, smi, tegra_convert
from collectors.accelerators.nvidia.answers import Condition, Occupancy, Users
from collectors.accelerators.nvidia.calls import (
    BINDINGS_LIBRARY,
    OPENING,
    Handle,
    Library,
    LiveLibrary,
    RecordedLibrary,
    RecordingLibrary,
    checked_answers,
)
from collectors.accelerators.nvidia.explain import Failure
from collectors.accelerators.nvidia.files import KernelFiles
from collectors.accelerators.nvidia.grants import GrantedChip
from collectors.accelerators.nvidia.nvml import Nvml
from collectors.accelerators.nvidia.smi import Smi, SmiPass
from collectors.accelerators.nvidia.tegra import Tegra
from collectors.accelerators.nvidia.walk import ABSENT, Unit, Walk, reason
from collectors.accelerators.recording import Recording
from collectors.accelerators.vendor_tool import RecordedTool, RecordingTool, Tool

_log = logging.getLogger(__name__)

# Under WSL the tool is not on the PATH of a service.
_FOLDERS = ("/usr/lib/wsl/lib",)
# With these from the tool there is nothing to read, now or later, until somebody does something.
_NOTHING_HERE = frozenset({explain.DRIVER_NOT_LOADED, explain.LIBRARY_NOT_FOUND, explain.NO_CARD})
_CHECK_BUS = "see `lspci -d 10de:`; in a container, hand the cards to it"


@dataclass(frozen=True, slots=True, kw_only=True)
class NvidiaConfig:
    """Says where the NVML library and nvidia-smi are, and how containers are given cards.

    `library` is a file name that the dynamic loader finds, or a path; `tool` a name that PATH
    finds, or a path. `source` is `library`, `tool`, or `auto`: the tool where the library cannot
    be used. `container_access` is `runtime` (NVIDIA's, by docker), `devices` (nodes and
    libraries), or `auto`: the runtime where docker is configured with it.
    """

    library: str = BINDINGS_LIBRARY
    tool: str = "nvidia-smi"
    source: Literal["auto", "library", "tool"] = "auto"
    container_access: Literal["auto", "runtime", "devices"] = "auto"


class NvidiaPlugin:
    """Reads NVIDIA cards through NVML, and the GPU of a Jetson through the kernel's files too.

    Where NVML does not answer in this process, `nvidia-smi` is asked in the same pass: it brings a
    process of its own, which after an upgrade of the driver loads the new library.

    A card that is divided by MIG is listed as its slices, because these are what can be scheduled;
    with MIG on and no slice made, the card itself is listed. A slice's `index` counts within its
    card, as in `nvidia-smi -L`. A card that is lost keeps its place and its last identity.

    The library stays open between passes (opening takes up to seconds where no persistence
    daemon runs), so the cards' device nodes are held: a reset of a card, or of the driver, needs
    the agent stopped. It is opened anew when the driver binds or releases a card.
    """

    name: ClassVar[str] = "nvidia"
    config_type: ClassVar[type[NvidiaConfig]] = NvidiaConfig

    def __init__(
        self,
        config: NvidiaConfig,
        *,
        library: Library | None = None,
        files: MachineFiles | None = None,
        tool: Tool | None = None,
    ) -> None:
        self._config = config
        self._tool = tool or tool_passes.live_tool(
            config.tool, folders=_FOLDERS, deadline_seconds=smi.DEADLINE_SECONDS
        )
        self._smi = Smi(self._tool)
        self._library = LiveLibrary(config.library) if library is None else library
        self._machine_files = LiveFiles() if files is None else files
        self._files = KernelFiles(self._machine_files)
        self._nvml = Nvml(self._library)
        self._tegra = Tegra(self._files)
        self._walk = Walk(self._library, self._files)
        self._last_health: dict[str, Health] = {}
        self._kept: SmiPass | None = None
        self._why_tool = ""

    def probe(self) -> None:
        """Return if a card is here, even one that cannot be read at present.

        The tool is run only where it is the one source there is.

        Raises:
            NotPresent: no library and no tool, no driver, or no card, and no Jetson either.
        """
        if self._config.source == "tool":
            self._probe_tool()
            return
        count = self._walk.count()
        if isinstance(count, Failure):
            if count.code not in ABSENT or self._tegra.is_present():
                return
            if count.code == explain.LIBRARY_NOT_FOUND and self._has_tool():
                self._probe_tool()
                return
            raise NotPresent(reason(count, library=self._library), hint=explain.explain(count).hint)
        if count == 0 and not self._tegra.is_present():
            self.close()
            raise NotPresent("the NVIDIA driver finds no card", hint=_CHECK_BUS)

    def list_accelerators(self) -> Sequence[Accelerator]:
        """Return cards and slices in NVML's order, which is the tool's too.

        Raises:
            ReadingUnavailable: neither NVML nor the tool gave a list.
        """
        taken = self._take()
        if isinstance(taken, SmiPass):
            self._kept = taken
            return [unit.accelerator for unit in taken.units]
        self._kept = None
        return [unit.accelerator for unit in taken]

    def read(self) -> Sequence[AcceleratorReading]:
        """Return one reading of each card or slice, in the order of the list.

        Raises:
            ReadingUnavailable: neither NVML nor the tool answered.
        """
        taken = self._kept or self._take()
        self._kept = None
        if isinstance(taken, SmiPass):
            for entry in taken.units:
                self._log_health(entry.accelerator.uuid, entry.verdict)
            readings = [entry.reading for entry in taken.units]
        else:
            conditions: dict[int, Condition] = {}
            readings = [self._reading(unit, conditions=conditions) for unit in taken]
        self._last_health = {reading.uuid: reading.health for reading in readings}
        return readings

    def grant(self, uuids: Sequence[str]) -> ContainerGrant:
        """Return what a container needs to use these cards or slices; [] gives an empty grant.

        Raises:
            ReadingUnavailable: one of them is not there, or what it needs cannot be told.
        """
        if not uuids:
            return ContainerGrant()
        taken = self._take()
        if isinstance(taken, SmiPass):
            return self._granted_by_tool(taken, uuids=uuids)
        units = chosen.by_library(taken, uuids=uuids)
        built_in = any(unit.is_built_in for unit in units)
        if self._is_through_runtime():
            # A Jetson's runtime has one GPU to give and knows no UUID.
            return grants.through_runtime(
                ["all"] if built_in else [unit.accelerator.uuid for unit in units]
            )
        if built_in:
            raise ReadingUnavailable(
                "a container on a Jetson needs NVIDIA's runtime, and docker does not know it",
                hint="install nvidia-container-toolkit, then "
                "`nvidia-ctk runtime configure --runtime=docker`, and restart docker",
            )
        chips = [
            GrantedChip(
                uuid=unit.accelerator.uuid,
                is_slice=unit.accelerator.parent_uuid is not None,
                card=self._nvml.nodes(unit.card),
                own=self._nvml.nodes(unit.handle),
            )
            for unit in units
            if isinstance(unit.card, Handle) and isinstance(unit.handle, Handle)
        ]
        version = self._nvml.driver_version()
        return grants.through_devices(
            chips, self._files, driver_version=None if isinstance(version, Failure) else version
        )

    def record(self) -> Mapping[str, str]:
        """Return what NVML, the kernel and the tool answer, call by call, nothing redacted.

        Raises:
            ReadingUnavailable: neither library nor tool is on this machine, and this is no Jetson.
        """
        self.close()
        tool = RecordingTool(self._tool)
        if self._has_tool():
            for words in smi.FORMS:
                with contextlib.suppress(ReadingUnavailable):
                    tool.run(*words)
        library = RecordingLibrary(self._library)
        files = RecordingFiles(grants.FilesWorthRecording(self._machine_files))
        plugin = NvidiaPlugin(
            self._config,
            library=library,
            files=files,
            tool=RecordedTool(tool.program, tool.answers),
        )
        try:
            plugin.read()
            for accelerator in plugin.list_accelerators():
                # What a grant needs is worth recording; what it lacks too.
                with contextlib.suppress(ReadingUnavailable):
                    plugin.grant([accelerator.uuid])
        except ReadingUnavailable:
            # So is a driver that fails.
            opening = library.answers.get(OPENING, {"code": explain.LIBRARY_NOT_FOUND})
            if opening["code"] == explain.LIBRARY_NOT_FOUND and not tool.answers:
                raise
        finally:
            plugin.close()
        tools = {tool.program: tool.answers} if tool.answers else {}
        return Recording(tools=tools, library={**files.answers, **library.answers}).to_files()

    @classmethod
    def replay(cls, config: NvidiaConfig, files: Mapping[str, str]) -> NvidiaPlugin:
        """Return a plugin that reads such a recording and touches nothing of this machine.

        Raises:
            PermanentError: the files are no recording of NVIDIA cards.
        """
        recording = Recording.from_files(files)
        program = Path(config.tool).name
        answers = recording.library
        if answers or not recording.tools.get(program):
            answers = checked_answers(answers)
        return cls(
            config,
            library=RecordedLibrary(answers),
            files=RecordedFiles(answers),
            tool=recording.tool(program),
        )

    def close(self) -> None:
        """Shut NVML down; the library itself stays in the process."""
        self._library.close()

    def _has_tool(self) -> bool:
        if self._config.source == "library":
            return False
        try:
            self._smi.find()
        except NotPresent:
            return False
        return True

    def _probe_tool(self) -> None:
        if not self._has_tool():
            raise tool_passes.absent_without(self._tool, maker="NVIDIA")
        try:
            shown = self._smi.ask()
        except ReadingUnavailable as error:
            raise NotPresent(error.reason, hint=error.hint) from error
        if isinstance(shown, Failure) and shown.code in _NOTHING_HERE:
            explanation = explain.explain(shown)
            raise NotPresent(explanation.reason, hint=explanation.hint)

    def _take(self) -> Sequence[Unit] | SmiPass:
        """Return NVML's cards; where it gives none, the pass of the tool."""
        failure: ReadingUnavailable | None = None
        if self._config.source != "tool":
            try:
                units = self._walk.units()
            except ReadingUnavailable as error:
                if not self._has_tool():
                    raise
                failure = error
            else:
                self._why_tool = ""
                return units
        elif not self._has_tool():
            missing = tool_passes.absent_without(self._tool, maker="NVIDIA")
            raise ReadingUnavailable(missing.reason, hint=missing.hint)
        try:
            taken = self._smi.take()
        except ReadingUnavailable as error:
            if failure is None or failure.reason in error.reason:
                raise
            raise ReadingUnavailable(
                f"{failure.reason}; {error.reason}", hint=error.hint or failure.hint
            ) from error
        if failure is not None and failure.reason != self._why_tool:
            _log.warning("nvidia source=tool because=%s", failure.reason)
            self._why_tool = failure.reason
        return taken

    def _is_through_runtime(self) -> bool:
        access = self._config.container_access
        return access == "runtime" or (access == "auto" and grants.has_runtime(self._files))

    def _granted_by_tool(self, taken: SmiPass, *, uuids: Sequence[str]) -> ContainerGrant:
        units = chosen.by_tool(taken.units, uuids=uuids)
        if self._is_through_runtime():
            return grants.through_runtime(chosen.visible_names(units))
        return grants.through_devices(
            chosen.tool_chips(units), self._files, driver_version=taken.driver_version
        )

    def _reading(self, unit: Unit, *, conditions: dict[int, Condition]) -> AcceleratorReading:
        uuid = unit.accelerator.uuid
        if unit.is_built_in and isinstance(unit.card, Failure):
            return tegra_convert.reading(uuid, self._tegra.sensors())
        if isinstance(unit.card, Failure):
            verdict = convert.failed(unit.card)
            reading = convert.failed_reading(uuid, unit.card)
        else:
            condition = conditions.get(unit.card_index)
            if condition is None:
                condition = conditions[unit.card_index] = self._nvml.condition(unit.card)
            users = self._users(unit)
            occupancy = self._occupancy(unit)
            parent_uuid = unit.accelerator.parent_uuid
            if parent_uuid is not None:
                verdict = convert.verdict(
                    condition, failures=convert.failure_codes(occupancy, users)
                )
                reading = convert.slice_reading(
                    uuid,
                    parent_uuid=parent_uuid,
                    occupancy=occupancy,
                    verdict=verdict,
                    users=users,
                    memory_total_bytes=unit.accelerator.memory_total_bytes,
                )
            else:
                sensors = self._nvml.sensors(unit.card)
                verdict = convert.verdict(
                    condition, failures=convert.failure_codes(occupancy, sensors, users)
                )
                reading = convert.card_reading(
                    uuid,
                    occupancy=occupancy,
                    sensors=sensors,
                    verdict=verdict,
                    users=users,
                    memory_total_bytes=unit.accelerator.memory_total_bytes,
                )
        self._log_health(uuid, verdict)
        if unit.is_built_in:
            kernel = tegra_convert.reading(uuid, self._tegra.sensors())
            return tegra_convert.completed_reading(reading, kernel)
        return reading

    def _occupancy(self, unit: Unit) -> Occupancy:
        if isinstance(unit.handle, Failure):
            return Occupancy(memory_used_bytes=unit.handle, utilization_percent=unit.handle)
        return self._nvml.occupancy(unit.handle)

    def _users(self, unit: Unit) -> Users:
        return unit.handle if isinstance(unit.handle, Failure) else self._nvml.users(unit.handle)

    def _log_health(self, uuid: str, verdict: convert.Verdict) -> None:
        before = self._last_health.get(uuid)
        if verdict.health is before:
            return
        if verdict.health in (Health.WARNING, Health.CRITICAL):
            _log.warning(
                "accelerator health=%s uuid=%s because=%s",
                verdict.health.value,
                uuid,
                verdict.because,
            )
        elif before in (Health.WARNING, Health.CRITICAL):
            _log.info("accelerator health=%s uuid=%s", verdict.health.value, uuid)


_conforms: type[AcceleratorPlugin] = NvidiaPlugin
_grants: type[GrantsToContainers] = NvidiaPlugin
_records: type[Records] = NvidiaPlugin
_replays: type[Replays] = NvidiaPlugin
