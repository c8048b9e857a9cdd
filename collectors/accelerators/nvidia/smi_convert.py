"""Turns what nvidia-smi showed into the model, by the rules of NVML's own answers; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.model.accelerator import Accelerator, AcceleratorReading
from collectors.accelerators.nvidia import convert, explain
from collectors.accelerators.nvidia.answers import Identity, Nodes, Occupancy, Text
from collectors.accelerators.nvidia.explain import Failure
from collectors.accelerators.nvidia.smi_facts import LostGpu, Shown, SmiGpu, SmiSlice
from collectors.accelerators.nvidia.smi_output import SliceName

SOURCE = "nvidia-smi"

SliceNames = Mapping[tuple[str, int], SliceName]
# By PCI address, what was last listed of a card.
LastSeen = Mapping[str, Sequence[Accelerator]]

_NOT_SHOWN = Failure(explain.NOT_SHOWN)
_NO_NODES = Nodes(minor=_NOT_SHOWN, gpu_instance=_NOT_SHOWN, compute_instance=_NOT_SHOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmiUnit:
    """Is one entry of the list, a card or a slice, with what was read in the same pass.

    `number` is how NVIDIA's tools count it (`1`, or `1:3` for a slice), `card_nodes` and
    `own_nodes` number its device nodes; `failure` is set for a lost card.
    """

    accelerator: Accelerator
    reading: AcceleratorReading
    verdict: convert.Verdict
    number: str
    card_nodes: Nodes = _NO_NODES
    own_nodes: Nodes = _NO_NODES
    failure: Failure | None = None


def units(shown: Shown, *, names: SliceNames, last_seen: LastSeen) -> list[SmiUnit]:
    """Return cards and slices in the tool's order, each identity once."""
    uuids = Counter(gpu.identity.uuid for gpu in shown.gpus)
    found: dict[str, SmiUnit] = {}
    for index, entry in _numbered(shown):
        if isinstance(entry, LostGpu):
            entries = _lost_units(entry, index=index, last_seen=last_seen)
        else:
            is_shared = uuids[entry.identity.uuid] > 1
            entries = _gpu_units(entry, index=index, is_shared=is_shared, names=names)
        for unit in entries:
            found.setdefault(unit.accelerator.uuid, unit)
    return list(found.values())


def divided_cards(shown: Shown) -> frozenset[tuple[str, int, Nodes]]:
    """Return what tells the slices of this pass apart: while it stays, so do their names."""
    return frozenset(
        (str(gpu.identity.uuid), each.index, each.nodes)
        for gpu in shown.gpus
        for each in gpu.slices
    )


def _numbered(shown: Shown) -> Iterator[tuple[int, SmiGpu | LostGpu]]:
    """Return cards by index. Where none is told, it is the place; cards stand by PCI address."""
    here = {_address(gpu.identity.bus_id) for gpu in shown.gpus}
    lost = [each for each in shown.lost if _address(each.bus_id) not in here or not each.bus_id]
    if all(gpu.index is not None for gpu in shown.gpus):
        numbered: dict[int, SmiGpu | LostGpu] = {}
        for gpu in shown.gpus:
            numbered.setdefault(gpu.index or 0, gpu)
        for each in lost:
            free = next(number for number in range(len(numbered) + 1) if number not in numbered)
            is_free = each.index is not None and each.index not in numbered
            numbered[each.index if is_free and each.index is not None else free] = each
        yield from sorted(numbered.items())
        return
    placed: list[SmiGpu | LostGpu] = list(shown.gpus)
    for each in lost:
        address = _address(each.bus_id) or ""
        later = (
            place
            for place, other in enumerate(placed)
            if isinstance(other, SmiGpu) and (_address(other.identity.bus_id) or "") > address
        )
        placed.insert(next(later, len(placed)), each)
    yield from enumerate(placed)


def _gpu_units(gpu: SmiGpu, *, index: int, is_shared: bool, names: SliceNames) -> Iterator[SmiUnit]:
    uuid = convert.given_uuid(gpu.identity)
    if isinstance(uuid, Failure) or is_shared:
        address = _address(gpu.identity.bus_id)
        uuid = f"{convert.VENDOR}#{index}" if address is None else f"{convert.VENDOR}-{address}"
    card = convert.accelerator(gpu.identity, uuid=uuid, index=index, source=SOURCE)
    if not gpu.slices:
        verdict = convert.verdict(
            gpu.condition, failures=convert.failure_codes(gpu.occupancy, gpu.sensors)
        )
        yield SmiUnit(
            accelerator=card,
            reading=convert.card_reading(
                uuid,
                occupancy=gpu.occupancy,
                sensors=gpu.sensors,
                verdict=verdict,
                users=gpu.users,
                memory_total_bytes=card.memory_total_bytes,
            ),
            verdict=verdict,
            number=str(index),
            card_nodes=gpu.nodes,
            own_nodes=gpu.nodes,
        )
    for each in gpu.slices:
        yield _slice_unit(each, gpu=gpu, card=card, name=names.get((uuid, each.index)))


def _slice_unit(
    each: SmiSlice, *, gpu: SmiGpu, card: Accelerator, name: SliceName | None
) -> SmiUnit:
    uuid = _slice_uuid(each, card=card) if name is None else name.uuid
    occupancy = Occupancy(
        memory_used_bytes=each.memory_used_bytes,
        # For a slice the driver never gives it.
        utilization_percent=Failure(explain.NOT_SUPPORTED),
    )
    verdict = convert.verdict(gpu.condition, failures=convert.failure_codes(occupancy))
    accelerator = convert.accelerator(
        Identity(
            uuid=uuid,
            name=_slice_product(gpu.identity.name, name=name),
            bus_id=gpu.identity.bus_id,
            memory_total_bytes=each.identity.memory_total_bytes,
        ),
        uuid=uuid,
        index=each.index,
        parent=card,
        source=SOURCE,
    )
    return SmiUnit(
        accelerator=accelerator,
        reading=convert.slice_reading(
            uuid,
            parent_uuid=card.uuid,
            occupancy=occupancy,
            verdict=verdict,
            users=each.users,
            memory_total_bytes=accelerator.memory_total_bytes,
        ),
        verdict=verdict,
        number=f"{card.index}:{each.index}",
        card_nodes=gpu.nodes,
        own_nodes=each.nodes,
    )


def _slice_uuid(each: SmiSlice, *, card: Accelerator) -> str:
    """Return the name that NVIDIA's tools had for a slice before it had a UUID of its own."""
    instance, compute = each.nodes.gpu_instance, each.nodes.compute_instance
    if isinstance(instance, Failure) or isinstance(compute, Failure):
        return f"{card.uuid}#{each.index}"
    mark = "MIG-" if card.uuid.startswith("GPU-") else ""
    return f"{mark}{card.uuid}/{instance}/{compute}"


def _slice_product(card_name: Text, *, name: SliceName | None) -> Text:
    if isinstance(card_name, Failure):
        return card_name
    return _NOT_SHOWN if name is None else f"{card_name} {name.profile}"


def _lost_units(lost: LostGpu, *, index: int, last_seen: LastSeen) -> Iterator[SmiUnit]:
    address = _address(lost.bus_id)
    accelerators = last_seen.get(address or "", ())
    if not accelerators:
        unnamed = convert.unidentified(lost.failure, index=index, source=SOURCE)
        if address is not None:
            reasons = {k: why for k, why in unnamed.unknown.items() if k != "pci_address"}
            unnamed = replace(
                unnamed,
                uuid=f"{convert.VENDOR}-{address}",
                pci_address=address,
                unknown=reasons,
            )
        accelerators = (unnamed,)
    for each in accelerators:
        yield SmiUnit(
            accelerator=each,
            reading=convert.failed_reading(each.uuid, lost.failure),
            verdict=convert.failed(lost.failure),
            number=str(index),
            failure=lost.failure,
        )


def _address(bus_id: Text | None) -> str | None:
    if bus_id is None or isinstance(bus_id, Failure):
        return None
    return convert.pci_address(bus_id)
