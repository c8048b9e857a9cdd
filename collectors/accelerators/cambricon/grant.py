"""Names what a container needs to use chips: device nodes first of all.

These are the nodes that Cambricon's own device plugin for Kubernetes hands over where it does not
use the vendor's container runtime. Of all of them only the chip's own node must exist.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.errors import ReadingUnavailable
from agent.model.accelerator import ContainerGrant
from collectors.accelerators.cambricon.convert import Entry

_FOR_ALL = ("/dev/cambricon_ctl", "/dev/cambricon_gdr")
_OF_ONE_CHIP = (
    "/dev/cambr-msgq:{}",
    "/dev/cambr-rpc:{}",
    "/dev/cmsg_ctrl{}",
    "/dev/commu{}",
    "/dev/cambricon_ipcm{}",
)
_TOOL = "/usr/bin/cnmon"


def grant(entries: Sequence[Entry], *, exists: Callable[[str], bool]) -> ContainerGrant:
    """Return what a container needs for these entries; `exists` tells whether a path is there.

    `CAMBRICON_VISIBLE_DEVICES` names whole chips and `VIRTUAL_DEVICES` instances, for hosts where
    the vendor's container runtime is the default one; plain runtimes leave them alone.

    Raises:
        ReadingUnavailable: the node of a chip or of an instance is not there.
    """
    if not entries:
        return ContainerGrant()
    devices = [node for node in _FOR_ALL if exists(node)]
    whole: list[str] = []
    parts: list[str] = []
    for entry in entries:
        own = f"/dev/cambricon_dev{entry.index}"
        needed = [own, *_instance_nodes(entry)]
        for node in needed:
            if not exists(node):
                raise ReadingUnavailable(
                    f"{node} is not on this machine, and {entry.accelerator.uuid} needs it",
                    hint="check that the Cambricon driver is loaded and the card is not lost",
                )
        if entry.accelerator.parent_uuid is None:
            optional = [node.format(entry.index) for node in _OF_ONE_CHIP]
            whole.append(str(entry.index))
        else:
            optional = [f"/dev/cambricon_ipcm{entry.index}"]
            parts.append(",".join(needed))
        devices += [*needed, *(node for node in optional if exists(node))]
    environment = {}
    if whole:
        environment["CAMBRICON_VISIBLE_DEVICES"] = ",".join(whole)
    if parts:
        environment["VIRTUAL_DEVICES"] = ";".join(parts)
    return ContainerGrant(
        devices=tuple(dict.fromkeys(devices)),
        mounts=((_TOOL, _TOOL),) if exists(_TOOL) else (),
        environment=environment,
    )


def _instance_nodes(entry: Entry) -> tuple[str, ...]:
    if entry.accelerator.parent_uuid is None:
        return ()
    if not entry.nodes:
        raise ReadingUnavailable(
            f"which device node belongs to {entry.accelerator.uuid} cannot be told",
            hint="the library tells it: install Cambricon Neuware (libcndev.so)",
        )
    return entry.nodes
