"""Makes the JSON document of `computility-agent collect --json` and its form for people.

The document is a contract (DESIGN: every field is always present; a value that is not known is
null, and for an accelerator `unknown` says why).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

from agent.config.settings import NodeSettings
from agent.model.accelerator import Accelerator
from agent.model.view import AcceleratorView, AgentView
from agent.protocols.acsmp.identifiers import Identification

IdentifyAccelerator = Callable[[Accelerator], Identification]


def document(
    view: AgentView,
    *,
    node: NodeSettings | None,
    address: str | None,
    identify: IdentifyAccelerator,
) -> dict[str, Any]:
    """Return what one sample of everything found.

    `address` is the IPv4 address told to platforms, None where no route leads anywhere. `node` is
    None for a recording of another machine, and where there is no configuration.
    """
    host, cpu, memory = view.host, view.cpu, view.memory
    return {
        "taken_at": timestamp(view.taken_at),
        "node": {
            "computility_code": node.code if node else None,
            "type": node.type if node else None,
            "host_name": host.host_name if host else None,
            "os": host.os_name if host else None,
            "architecture": host.architecture if host else None,
            "address": address,
        },
        "cpu": {
            "logical_cores": cpu.logical_cores if cpu else None,
            "utilization_ratio": cpu.utilization_ratio if cpu else None,
        },
        "memory": {
            "total_bytes": memory.total_bytes if memory else None,
            "used_bytes": memory.used_bytes if memory else None,
        },
        "disks": [
            {
                "mount_path": disk.mount_path,
                "total_bytes": disk.total_bytes,
                "used_bytes": disk.used_bytes,
            }
            for disk in view.disks or ()
        ],
        "accelerators": [_accelerator(each, identify=identify) for each in view.accelerators],
        "plugins": [
            {
                "group": plugin.group,
                "name": plugin.name,
                "state": plugin.state.value,
                "detail": plugin.detail,
            }
            for plugin in view.plugins
        ],
    }


def _accelerator(each: AcceleratorView, *, identify: IdentifyAccelerator) -> dict[str, Any]:
    card, reading = each.accelerator, each.reading
    unknown = {**card.unknown, **reading.unknown}
    # Who uses a card is for the services of this node, and no field of the document.
    unknown.pop("processes", None)
    identification = identify(card)
    if identification.unknown_because is not None:
        unknown["standard_identifier"] = identification.unknown_because
    return {
        "vendor": card.vendor,
        "kind": card.kind.value,
        "index": card.index,
        "uuid": card.uuid,
        "product_name": card.product_name,
        "standard_identifier": identification.identifier,
        "memory_total_bytes": card.memory_total_bytes,
        "memory_used_bytes": reading.memory_used_bytes,
        "utilization_ratio": reading.utilization_ratio,
        "temperature_celsius": reading.temperature_celsius,
        "power_watts": reading.power_watts,
        "energy_joules": reading.energy_joules,
        "health": reading.health.value,
        "source": card.source,
        "unknown": dict(sorted(unknown.items())),
    }


def timestamp(moment: datetime) -> str:
    """Return a moment as ISO 8601 in UTC, to the second."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def text(found: dict[str, Any]) -> str:
    """Return the document as a table for people; a value that is not known reads `unknown`."""
    node, cpu, memory = found["node"], found["cpu"], found["memory"]
    lines = [
        f"{found['taken_at']}  {_or_unknown(node['computility_code'])} {_or_unknown(node['type'])}",
        f"host         {_or_unknown(node['host_name'])}, {_or_unknown(node['os'])} "
        f"{_or_unknown(node['architecture'])}, address {_or_unknown(node['address'])}",
        f"cpu          {_or_unknown(cpu['logical_cores'])} cores, "
        f"{percent(cpu['utilization_ratio'])} busy",
        f"memory       {gibibytes(memory['used_bytes'])} of {gibibytes(memory['total_bytes'])}",
    ]
    lines += [
        f"disk         {gibibytes(disk['used_bytes'])} of {gibibytes(disk['total_bytes'])}  "
        f"{disk['mount_path']}"
        for disk in found["disks"]
    ]
    for card in found["accelerators"]:
        lines.append(
            f"accelerator  {card['vendor']} {card['index']}  {_or_unknown(card['product_name'])}  "
            f"{percent(card['utilization_ratio'])} busy, "
            f"{gibibytes(card['memory_used_bytes'])} of {gibibytes(card['memory_total_bytes'])}, "
            f"{_with_unit(card['temperature_celsius'], '°C')}, "
            f"{_with_unit(card['power_watts'], 'W')}, health {card['health']}"
        )
        lines += [f"             {name}: {why}" for name, why in card["unknown"].items()]
    if not found["accelerators"]:
        lines.append("accelerator  none found")
    lines += [plugin_line(plugin) for plugin in found["plugins"]]
    return "\n".join(lines)


def plugin_line(plugin: dict[str, Any]) -> str:
    """Return one plugin's state as a line for people."""
    detail = f"  {plugin['detail']}" if plugin["detail"] else ""
    return f"plugin       {plugin['name']:<12} {plugin['state']}{detail}"


def percent(ratio: float | None) -> str:
    """Return a ratio as a percentage."""
    return "unknown" if ratio is None else f"{ratio:.1%}"


def gibibytes(count: int | None) -> str:
    """Return bytes as GiB."""
    return "unknown" if count is None else f"{count / 2**30:.1f} GiB"


def _with_unit(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:.1f} {unit}"


def _or_unknown(value: object) -> str:
    return "unknown" if value is None else str(value)


def broken(plugins: Sequence[dict[str, Any]]) -> bool:
    """Tell whether a plugin is at fault, as opposed to absent or switched off."""
    return any(plugin["state"] in {"broken", "failing", "stalled"} for plugin in plugins)
