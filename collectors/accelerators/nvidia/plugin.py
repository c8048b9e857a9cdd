"""The plugin for NVIDIA cards: walks over cards, MIG slices and the GPU of a Jetson."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from agent.contracts import AcceleratorPlugin, GrantsToContainers, Records, Replays
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.accelerator import Accelerator, AcceleratorReading, ContainerGrant, Health
from collectors.accelerators.machine_files import (
    LiveFiles,
    MachineFiles,
    RecordedFiles,
    RecordingFiles,
)
from collectors.accelerators.nvidia import convert, explain, grants, tegra_convert
from collectors.accelerators.nvidia.answers import Condition, Occupancy
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
from collectors.accelerators.nvidia.tegra import Tegra
from collectors.accelerators.nvidia.walk import ABSENT, Unit, Walk, reason
from collectors.accelerators.recording import Recording

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NvidiaConfig:
    """Says where the NVML library is, and how containers are given cards.

    `library` is a file name that the dynamic loader finds, or a path. `container_access` is
    `runtime` (NVIDIA's, by docker), `devices` (nodes and libraries), or `auto`: the runtime where
    docker is configured with it.
    """

    library: str = BINDINGS_LIBRARY
    container_access: Literal["auto", "runtime", "devices"] = "auto"


class NvidiaPlugin:
    """Reads NVIDIA cards through NVML, and the GPU of a Jetson through the kernel's files too.

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
    ) -> None:
        self._config = config
        self._library = LiveLibrary(config.library) if library is None else library
        self._machine_files = LiveFiles() if files is None else files
        self._files = KernelFiles(self._machine_files)
        self._nvml = Nvml(self._library)
        self._tegra = Tegra(self._files)
        self._walk = Walk(self._library, self._files)
        self._last_health: dict[str, Health] = {}

    def probe(self) -> None:
        """Return if a card is here, even one that cannot be read at present.

        Raises:
            NotPresent: no library, no driver, or no card, and no Jetson either.
        """
        count = self._walk.count()
        if isinstance(count, Failure):
            if count.code in ABSENT and not self._tegra.is_present():
                raise NotPresent(
                    reason(count, library=self._library), hint=explain.explain(count).hint
                )
        elif count == 0 and not self._tegra.is_present():
            self.close()
            raise NotPresent(
                "the NVIDIA driver finds no card",
                hint="see `lspci -d 10de:`; in a container, hand the cards to it",
            )

    def list_accelerators(self) -> Sequence[Accelerator]:
        """Return cards and slices in NVML's order.

        Raises:
            ReadingUnavailable: NVML gave no list.
        """
        return [unit.accelerator for unit in self._walk.units()]

    def read(self) -> Sequence[AcceleratorReading]:
        """Return one reading of each card or slice, in the order of the list.

        Raises:
            ReadingUnavailable: NVML gave no list.
        """
        conditions: dict[int, Condition] = {}
        readings = [self._reading(unit, conditions=conditions) for unit in self._walk.units()]
        self._last_health = {reading.uuid: reading.health for reading in readings}
        return readings

    def grant(self, uuids: Sequence[str]) -> ContainerGrant:
        """Return what a container needs to use these cards or slices; [] gives an empty grant.

        Raises:
            ReadingUnavailable: one of them is not there, or what it needs cannot be told.
        """
        if not uuids:
            return ContainerGrant()
        chosen = self._chosen(uuids)
        built_in = any(unit.is_built_in for unit in chosen)
        access = self._config.container_access
        if access == "runtime" or (access == "auto" and grants.has_runtime(self._files)):
            # A Jetson's runtime has one GPU to give and knows no UUID.
            return grants.through_runtime(
                ["all"] if built_in else [unit.accelerator.uuid for unit in chosen]
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
            for unit in chosen
            if isinstance(unit.card, Handle) and isinstance(unit.handle, Handle)
        ]
        version = self._nvml.driver_version()
        return grants.through_devices(
            chips, self._files, driver_version=None if isinstance(version, Failure) else version
        )

    def record(self) -> Mapping[str, str]:
        """Return what NVML and the kernel answer, call by call, nothing redacted.

        Raises:
            ReadingUnavailable: the library is not on this machine, and this is no Jetson.
        """
        self.close()
        library = RecordingLibrary(self._library)
        files = RecordingFiles(grants.FilesWorthRecording(self._machine_files))
        plugin = NvidiaPlugin(self._config, library=library, files=files)
        try:
            plugin.read()
            for accelerator in plugin.list_accelerators():
                # What a grant needs is worth recording; what it lacks too.
                with contextlib.suppress(ReadingUnavailable):
                    plugin.grant([accelerator.uuid])
        except ReadingUnavailable:
            # So is a driver that fails.
            if library.answers[OPENING]["code"] == explain.LIBRARY_NOT_FOUND:
                raise
        finally:
            plugin.close()
        return Recording(library={**files.answers, **library.answers}).to_files()

    @classmethod
    def replay(cls, config: NvidiaConfig, files: Mapping[str, str]) -> NvidiaPlugin:
        """Return a plugin that reads such a recording and touches nothing of this machine.

        Raises:
            PermanentError: the files are no recording of NVIDIA cards.
        """
        answers = checked_answers(Recording.from_files(files).library)
        return cls(config, library=RecordedLibrary(answers), files=RecordedFiles(answers))

    def close(self) -> None:
        """Shut NVML down; the library itself stays in the process."""
        self._library.close()

    def _chosen(self, uuids: Sequence[str]) -> list[Unit]:
        units = {unit.accelerator.uuid: unit for unit in self._walk.units()}
        chosen = []
        for uuid in dict.fromkeys(uuids):
            unit = units.get(uuid)
            if unit is None:
                raise ReadingUnavailable(f"no NVIDIA card or slice {uuid} is on this machine")
            if isinstance(unit.handle, Failure) and not unit.is_built_in:
                explanation = explain.explain(unit.handle)
                raise ReadingUnavailable(f"{uuid}: {explanation.reason}", hint=explanation.hint)
            chosen.append(unit)
        return chosen

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
            occupancy = self._occupancy(unit)
            parent_uuid = unit.accelerator.parent_uuid
            if parent_uuid is not None:
                verdict = convert.verdict(condition, failures=convert.failure_codes(occupancy))
                reading = convert.slice_reading(
                    uuid, parent_uuid=parent_uuid, occupancy=occupancy, verdict=verdict
                )
            else:
                sensors = self._nvml.sensors(unit.card)
                verdict = convert.verdict(
                    condition, failures=convert.failure_codes(occupancy, sensors)
                )
                reading = convert.card_reading(
                    uuid, occupancy=occupancy, sensors=sensors, verdict=verdict
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
