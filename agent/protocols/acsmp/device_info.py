"""Turns the view of this node into DeviceInfo (T/BAX 0006.5, example of annex G); pure.

Conversion to the standard's units happens here and nowhere else: bytes to GiB, ratios as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from agent.model.readings import DiskReading
from agent.model.view import AcceleratorView, AgentView, PluginState
from agent.model.workloads import Service
from agent.protocols.acsmp import xpu_types
from agent.protocols.acsmp.wire_monitoring import (
    AlgoServiceMonitor,
    DeviceInfo,
    DiskDetail,
    XpuMonitor,
)
from agent.protocols.acsmp.xpu_types import IdentifyAccelerator

_GIB_BYTES = 2**30
# 1 MiB in GiB is 0.000977: finer than that nobody plans with.
_GIB_DECIMALS = 3
_RATIO_DECIMALS = 6
_MAY_HIDE_CARDS = frozenset(
    {PluginState.STARTING, PluginState.FAILING, PluginState.STALLED, PluginState.BROKEN}
)
# The example says x86 for what the kernel calls x86_64. Other families have no example and keep
# the kernel's name.
_CPU_TYPES = {"x86_64": "x86", "i686": "x86", "i586": "x86", "i386": "x86"}


def device_info(
    view: AgentView,
    *,
    computility_code: str,
    address: str | None,
    identify: IdentifyAccelerator,
    services: Sequence[Service] | None = (),
) -> DeviceInfo:
    """Return what is known of this node; what is not known has no key. `services` None is unknown.

    A sum of which a part is unknown is unknown: `Disk` and `DiskUsed` are there only if every
    file system answered, and agree with the sum of `DiskDetails` up to rounding.
    """
    host, cpu, memory, disks = view.host, view.cpu, view.memory, view.disks
    return DeviceInfo(
        device_id=computility_code,
        ip=UNSET if address is None else address,
        host_name=host.host_name if host else UNSET,
        os=host.os_name if host else UNSET,
        cpu=_known(cpu.logical_cores) if cpu else UNSET,
        cpu_type=_CPU_TYPES.get(host.architecture, host.architecture) if host else UNSET,
        cpu_utilization=_ratio(cpu.utilization_ratio) if cpu else UNSET,
        memory=_gib(memory.total_bytes) if memory else UNSET,
        memory_used=_gib(memory.used_bytes) if memory else UNSET,
        disk=UNSET if disks is None else _sum_gib([disk.total_bytes for disk in disks]),
        disk_used=UNSET if disks is None else _sum_gib([disk.used_bytes for disk in disks]),
        disk_details=UNSET if disks is None else [_disk(disk) for disk in disks],
        xpu_monitors=_accelerators(view, identify=identify),
        algo_service_monitors=UNSET
        if services is None
        else [_service(each, view=view, identify=identify) for each in services],
    )


def _accelerators(
    view: AgentView, *, identify: IdentifyAccelerator
) -> Sequence[XpuMonitor] | UnsetType:
    """Return the cards that are known; no key while a plugin may hide the only ones.

    An empty list says that there is no card, and a plugin that has not answered yet, or that is at
    fault, says nothing of the kind.
    """
    if not view.accelerators and any(
        plugin.group == "accelerators" and plugin.state in _MAY_HIDE_CARDS
        for plugin in view.plugins
    ):
        return UNSET
    return [_accelerator(each, identify=identify) for each in view.accelerators]


def _disk(disk: DiskReading) -> DiskDetail:
    return DiskDetail(
        path=disk.mount_path, total=_gib(disk.total_bytes), used=_gib(disk.used_bytes)
    )


def _accelerator(each: AcceleratorView, *, identify: IdentifyAccelerator) -> XpuMonitor:
    card, reading = each.accelerator, each.reading
    identifier = identify(card)
    return XpuMonitor(
        memory=_gib(card.memory_total_bytes),
        memory_used=_gib(reading.memory_used_bytes),
        utilization=_ratio(reading.utilization_ratio),
        type=UNSET if identifier is None else identifier,
    )


def _service(
    service: Service, *, view: AgentView, identify: IdentifyAccelerator
) -> AlgoServiceMonitor:
    usage = service.usage
    identifier = xpu_types.of_chips(usage.accelerators, view=view, identify=identify)
    return AlgoServiceMonitor(
        service_id=service.desired.service_id,
        package_id=service.desired.package_id,
        memory=_gib(usage.accelerator_memory_total_bytes),
        memory_used=_gib(usage.accelerator_memory_used_bytes),
        utilization=_ratio(usage.accelerator_utilization_ratio),
        type=UNSET if identifier is None else identifier,
    )


def _sum_gib(counts: Sequence[int | None]) -> float | UnsetType:
    known = [count for count in counts if count is not None]
    # No file system at all is a gap in what we see, not a machine without disks.
    return _gib(sum(known)) if known and len(known) == len(counts) else UNSET


def _gib(count: int | None) -> float | UnsetType:
    if count is None:
        return UNSET
    value = round(count / _GIB_BYTES, _GIB_DECIMALS)
    # The example writes whole numbers without a point; a reader that expects an int can have one.
    return int(value) if value.is_integer() else value


def _ratio(value: float | None) -> float | UnsetType:
    return UNSET if value is None else round(value, _RATIO_DECIMALS)


def _known(value: int | None) -> int | UnsetType:
    return UNSET if value is None else value
