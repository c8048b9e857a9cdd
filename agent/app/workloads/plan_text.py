"""The plan of a service in words, for people."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from agent.workloads import labels

_GIB = 2**30


def text(plan: Mapping[str, Any]) -> str:
    """Return each replica in plain words, and after them exactly what the engine would be sent."""
    package = plan["package"]
    parts = [
        f"package      {package['package_id']}: {package['name']} {package['version']}, "
        f"{len(plan['replicas'])} replicas, by {plan['runtime']}"
    ]
    for replica in plan["replicas"]:
        parts += [
            "",
            f"replica {replica['index']}",
            *_lines(replica["gets"]),
            "what the engine would be sent:",
            json.dumps(replica["sent"], ensure_ascii=False, indent=2),
        ]
    return "\n".join(parts)


def _lines(gets: Mapping[str, Any]) -> list[str]:
    command = gets["command"]
    lines = [
        f"  container    {gets['name']}",
        f"  image        {gets['image']}",
        f"  command      {'that of the image' if command is None else shlex.join(command)}",
        *(
            f"  accelerator  {vendor} {uuid}"
            for vendor, _, uuid in (
                chip.partition(":")
                for chip in gets["labels"].get(labels.ACCELERATORS, "").split(",")
                if chip
            )
        ),
    ]
    if labels.ACCELERATORS not in gets["labels"]:
        lines.append("  accelerator  none")
    lines += [f"  device       {device}" for device in gets["devices"]]
    if gets["runtime"] is not None:
        lines.append(f"  runtime      {gets['runtime']} of the engine")
    lines += [_mount(each) for each in gets["mounts"]]
    lines += [f"  environment  {name}={value}" for name, value in gets["environment"].items()]
    lines += [_port(each) for each in gets["ports"]]
    memory_bytes, shared_bytes = gets["memory_bytes"], gets["shared_memory_bytes"]
    lines += [
        f"  cpus         {_limit(gets['cpus'])}",
        f"  memory       {_limit(None if memory_bytes is None else memory_bytes / _GIB, ' GiB')}",
        *([] if shared_bytes is None else [f"  /dev/shm     {shared_bytes / _GIB:g} GiB"]),
        f"  processes    {_limit(gets['processes_maximum'])}",
        f"  capabilities {', '.join(gets['capabilities']) or 'none'}; all others are dropped, and "
        "none can be gained; not privileged",
        "  file system  "
        + ("read-only but for /tmp, in memory" if gets["read_only_root"] else "its own, writable"),
    ]
    return lines


def _mount(each: Mapping[str, Any]) -> str:
    access = "read-only" if each["read_only"] else "writable"
    return f"  mount        {each['source']} at {each['target']}, {access}"


def _port(each: Mapping[str, Any]) -> str:
    inside = f"{each['container_port']}/{each['protocol']}"
    if each["host_port"] is None:
        return f"  port         {inside}, in the container's network alone"
    return f"  port         {inside}, reached on {each['host_port']} of this node"


def _limit(value: float | None, unit: str = "") -> str:
    return "no limit" if value is None else f"{value:g}{unit}"
