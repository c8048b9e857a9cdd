"""The plugin for NVIDIA cards: walks over cards and MIG slices."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from agent.contracts import AcceleratorPlugin
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.accelerator import Accelerator, AcceleratorReading, Health
from collectors.accelerators.nvidia import convert, explain
from collectors.accelerators.nvidia.answers import Condition, Occupancy
from collectors.accelerators.nvidia.explain import Failure
from collectors.accelerators.nvidia.nvml import BINDINGS_LIBRARY, Handle, Nvml

_log = logging.getLogger(__name__)

# With these the machine has no NVIDIA card to offer; every other failure is one of a card's.
_ABSENT = frozenset({explain.LIBRARY_NOT_FOUND, explain.DRIVER_NOT_LOADED})
_LOST = Failure(explain.GPU_IS_LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class NvidiaConfig:
    """Names the NVML library: a file name that the dynamic loader finds, or a path."""

    library: str = BINDINGS_LIBRARY


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """Is one entry of the list: a card, or a slice of one.

    `card` is the card's handle, or a failure where the card cannot be found. `handle` is the
    entry's own: the same for a whole card.
    """

    accelerator: Accelerator
    card_index: int
    card: Handle | Failure
    handle: Handle | Failure


class NvidiaPlugin:
    """Reads NVIDIA cards through NVML.

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
        bound_cards: Path = Path("/proc/driver/nvidia/gpus"),
    ) -> None:
        self._library = config.library
        self._nvml = Nvml(config.library)
        self._bound_cards = bound_cards
        self._bound_at_opening: frozenset[str] = frozenset()
        self._last_seen: dict[int, tuple[Accelerator, ...]] = {}
        self._last_health: dict[str, Health] = {}

    def probe(self) -> None:
        """Return if a card is here, even one that cannot be read at present.

        Raises:
            NotPresent: no library, no driver, or no card.
        """
        failure = self._open()
        if failure is not None:
            if failure.code in _ABSENT:
                raise NotPresent(self._reason(failure), hint=explain.explain(failure).hint)
            return
        if self._nvml.count() == 0:
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
        return [unit.accelerator for unit in self._units()]

    def read(self) -> Sequence[AcceleratorReading]:
        """Return one reading of each card or slice, in the order of the list.

        Raises:
            ReadingUnavailable: NVML gave no list.
        """
        conditions: dict[int, Condition] = {}
        readings = [self._reading(unit, conditions=conditions) for unit in self._units()]
        self._last_health = {reading.uuid: reading.health for reading in readings}
        return readings

    def close(self) -> None:
        """Shut NVML down; the library itself stays in the process."""
        self._nvml.close()

    def _open(self) -> Failure | None:
        bound = self._bound()
        if self._nvml.is_open and bound == self._bound_at_opening:
            return None
        self._nvml.close()
        self._bound_at_opening = bound
        return self._nvml.open()

    def _bound(self) -> frozenset[str]:
        try:
            return frozenset(path.name for path in self._bound_cards.iterdir())
        except OSError:  # another kind of driver, or a container that hides it
            return frozenset()

    def _units(self) -> list[_Unit]:
        failure = self._open()
        if failure is not None:
            raise self._unavailable(failure)
        count = self._nvml.count()
        if isinstance(count, Failure):
            self.close()
            raise self._unavailable(count)
        cards = {index: self._units_of_card(index) for index in range(count)}
        found = {
            unit.accelerator.uuid
            for units in cards.values()
            if not isinstance(units, Failure)
            for unit in units
        }
        listed: list[_Unit] = []
        for index, units in cards.items():
            if isinstance(units, Failure):
                listed += self._units_of_lost_card(index, failure=units, found=found)
            else:
                listed += units
        self._last_seen = {
            index: tuple(unit.accelerator for unit in listed if unit.card_index == index)
            for index in cards
        }
        return listed

    def _units_of_card(self, index: int) -> list[_Unit] | Failure:
        card = self._nvml.card(index)
        if isinstance(card, Failure):
            return card
        identity = self._nvml.identity(card)
        uuid = convert.given_uuid(identity)
        if isinstance(uuid, Failure):
            return uuid
        slices = self._nvml.slices(card)
        # A card that is lost in the middle of a pass answers some of this and fails the rest:
        # what was known of it is better.
        answers = (identity.name, identity.bus_id, identity.memory_total_bytes, slices)
        if _LOST in answers and self._was_at(index, uuid=uuid):
            return _LOST
        whole = _Unit(
            accelerator=convert.accelerator(identity, uuid=uuid, index=index),
            card_index=index,
            card=card,
            handle=card,
        )
        if isinstance(slices, Failure) or not slices:
            return [whole]
        return [self._slice(number, handle=handle, whole=whole) for number, handle in slices]

    def _slice(self, index: int, *, handle: Handle | Failure, whole: _Unit) -> _Unit:
        uuid = handle
        if not isinstance(handle, Failure):
            identity = self._nvml.identity(handle)
            uuid = convert.given_uuid(identity)
        if isinstance(uuid, Failure):
            accelerator = convert.unidentified(uuid, index=index, parent=whole.accelerator)
            handle = uuid
        else:
            accelerator = convert.accelerator(
                identity, uuid=uuid, index=index, parent=whole.accelerator
            )
        return replace(whole, accelerator=accelerator, handle=handle)

    def _units_of_lost_card(
        self, index: int, *, failure: Failure, found: AbstractSet[str]
    ) -> list[_Unit]:
        # NVML counts a lost card at its old index. Where other cards have moved up, it is not the
        # one that was seen there last.
        accelerators = self._last_seen.get(index, ())
        if not accelerators or any(each.uuid in found for each in accelerators):
            accelerators = (convert.unidentified(failure, index=index),)
        return [
            _Unit(accelerator=each, card_index=index, card=failure, handle=failure)
            for each in accelerators
        ]

    def _was_at(self, index: int, *, uuid: str) -> bool:
        return any(uuid in (each.uuid, each.parent_uuid) for each in self._last_seen.get(index, ()))

    def _reading(self, unit: _Unit, *, conditions: dict[int, Condition]) -> AcceleratorReading:
        uuid = unit.accelerator.uuid
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
        return reading

    def _occupancy(self, unit: _Unit) -> Occupancy:
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

    def _unavailable(self, failure: Failure) -> ReadingUnavailable:
        return ReadingUnavailable(self._reason(failure), hint=explain.explain(failure).hint)

    def _reason(self, failure: Failure) -> str:
        reason = explain.explain(failure).reason
        if failure.code == explain.LIBRARY_NOT_FOUND:
            return f"{reason}: {self._library}"
        return reason


_conforms: type[AcceleratorPlugin] = NvidiaPlugin
