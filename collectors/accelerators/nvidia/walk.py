"""Walks over cards and MIG slices, and remembers who stood where for the day that one is lost."""

from __future__ import annotations

import logging
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from agent.errors import ReadingUnavailable
from agent.model.accelerator import Accelerator
from collectors.accelerators.nvidia import convert, explain, tegra_convert
from collectors.accelerators.nvidia.answers import Identity, Number
from collectors.accelerators.nvidia.calls import Handle, Library
from collectors.accelerators.nvidia.explain import Failure
from collectors.accelerators.nvidia.files import KernelFiles
from collectors.accelerators.nvidia.nvml import Nvml
from collectors.accelerators.nvidia.tegra import Tegra

_log = logging.getLogger(__name__)

# With these there is no library to ask, which is normal on a Jetson before JetPack 6.
ABSENT = frozenset({explain.LIBRARY_NOT_FOUND, explain.DRIVER_NOT_LOADED})
_LOST = Failure(explain.GPU_IS_LOST)
_NOT_OFFERED = Failure(explain.NOT_SUPPORTED)
# A card that the driver has bound has a folder here.
_BOUND_CARDS = "/proc/driver/nvidia/gpus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Is one entry of the list: a card, or a slice of one.

    `card` is the card's handle, or a failure where the card cannot be found. `handle` is the
    entry's own: the same for a whole card. `is_built_in` marks the GPU of a Jetson, of which the
    kernel knows too, and with a failure in `card` alone.
    """

    accelerator: Accelerator
    card_index: int
    card: Handle | Failure
    handle: Handle | Failure
    is_built_in: bool = False


class Walk:
    """Opens the library when that is due, and lists what there is. For one thread.

    It is opened anew when the driver binds or releases a card.
    """

    def __init__(self, library: Library, files: KernelFiles) -> None:
        self._library = library
        self._files = files
        self._nvml = Nvml(library)
        self._tegra = Tegra(files)
        self._bound_at_opening: frozenset[str] = frozenset()
        self._last_seen: dict[int, tuple[Accelerator, ...]] = {}
        self._last_failure: Failure | None = None

    def count(self) -> Number:
        """Return the number of NVML's cards, lost ones included; opens the library."""
        failure = self._open()
        return self._nvml.count() if failure is None else failure

    def units(self) -> list[Unit]:
        """Return cards and slices in NVML's order; on a Jetson without NVML, its GPU.

        Raises:
            ReadingUnavailable: NVML gave no list.
        """
        count = self.count()
        if isinstance(count, Failure):
            self._library.close()
        if (isinstance(count, Failure) or count == 0) and self._tegra.is_present():
            self._log_failure(count if isinstance(count, Failure) else None)
            return [self._built_in_alone(count)]
        if isinstance(count, Failure):
            raise ReadingUnavailable(
                reason(count, library=self._library), hint=explain.explain(count).hint
            )
        self._log_failure(None)
        cards = {index: self._units_of_card(index) for index in range(count)}
        found = {
            unit.accelerator.uuid
            for units in cards.values()
            if not isinstance(units, Failure)
            for unit in units
        }
        listed: list[Unit] = []
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

    def _open(self) -> Failure | None:
        bound = frozenset(self._files.names(_BOUND_CARDS))
        if self._library.is_open and bound == self._bound_at_opening:
            return None
        self._library.close()
        self._bound_at_opening = bound
        return self._library.open()

    def _units_of_card(self, index: int) -> list[Unit] | Failure:
        card = self._nvml.card(index)
        if isinstance(card, Failure):
            return card
        identity = self._nvml.identity(card)
        uuid = convert.given_uuid(identity)
        if self._is_built_in(identity):
            return [self._built_in(index, card=card, identity=identity)]
        if isinstance(uuid, Failure):
            return uuid
        slices = self._nvml.slices(card)
        # A card that is lost in the middle of a pass answers some of this and fails the rest:
        # what was known of it is better.
        answers = (identity.name, identity.bus_id, identity.memory_total_bytes, slices)
        if _LOST in answers and self._was_at(index, uuid=uuid):
            return _LOST
        whole = Unit(
            accelerator=convert.accelerator(identity, uuid=uuid, index=index),
            card_index=index,
            card=card,
            handle=card,
        )
        if isinstance(slices, Failure) or not slices:
            return [whole]
        return [self._slice(number, handle=handle, whole=whole) for number, handle in slices]

    def _slice(self, index: int, *, handle: Handle | Failure, whole: Unit) -> Unit:
        if isinstance(handle, Failure):
            uuid: str | Failure = handle
        else:
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

    def _is_built_in(self, identity: Identity) -> bool:
        # A card of its own always has memory to speak of, even in another box of NVIDIA's.
        return identity.memory_total_bytes == _NOT_OFFERED and self._tegra.is_present()

    def _built_in(self, index: int, *, card: Handle, identity: Identity) -> Unit:
        kernel = tegra_convert.accelerator(self._tegra.identity(), index=index)
        uuid = convert.given_uuid(identity)
        given = convert.accelerator(
            identity, uuid=kernel.uuid if isinstance(uuid, Failure) else uuid, index=index
        )
        return Unit(
            accelerator=tegra_convert.completed(given, kernel),
            card_index=index,
            card=card,
            handle=card,
            is_built_in=True,
        )

    def _built_in_alone(self, count: Number) -> Unit:
        failure = count if isinstance(count, Failure) else Failure(explain.NOT_FOUND)
        return Unit(
            accelerator=tegra_convert.accelerator(self._tegra.identity()),
            card_index=0,
            card=failure,
            handle=failure,
            is_built_in=True,
        )

    def _units_of_lost_card(
        self, index: int, *, failure: Failure, found: AbstractSet[str]
    ) -> list[Unit]:
        # NVML counts a lost card at its old index. Where other cards have moved up, it is not the
        # one that was seen there last.
        accelerators = self._last_seen.get(index, ())
        if not accelerators or any(each.uuid in found for each in accelerators):
            accelerators = (convert.unidentified(failure, index=index),)
        return [
            Unit(accelerator=each, card_index=index, card=failure, handle=failure)
            for each in accelerators
        ]

    def _was_at(self, index: int, *, uuid: str) -> bool:
        return any(uuid in (each.uuid, each.parent_uuid) for each in self._last_seen.get(index, ()))

    def _log_failure(self, failure: Failure | None) -> None:
        if failure is not None and failure != self._last_failure and failure.code not in ABSENT:
            _log.warning(
                "nvml failed, the kernel's files are read alone because=%s",
                reason(failure, library=self._library),
            )
        self._last_failure = failure


def reason(failure: Failure, *, library: Library) -> str:
    """Return why NVML as a whole did not answer, in words."""
    words = explain.explain(failure).reason
    if failure.code == explain.LIBRARY_NOT_FOUND:
        return f"{words}: {library.path}"
    return words
