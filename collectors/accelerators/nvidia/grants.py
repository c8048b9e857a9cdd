"""What a container needs to use NVIDIA cards, without `--privileged`.

Where docker knows NVIDIA's runtime, that does it all, and is told which cards by their UUIDs.
Elsewhere the grant lists device nodes and the driver's libraries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.errors import ReadingUnavailable
from agent.model.accelerator import ContainerGrant
from collectors.accelerators.nvidia import explain
from collectors.accelerators.nvidia.answers import Nodes, Number
from collectors.accelerators.nvidia.explain import Failure
from collectors.accelerators.nvidia.files import Files, Unreadable

RUNTIME = "nvidia"

_DOCKER_CONFIGURATION = "/etc/docker/daemon.json"
# Without these CUDA does not start; the third is for debuggers and may be missing.
_CONTROL_NODES = ("nvidiactl", "nvidia-uvm")
_OPTIONAL_NODES = ("nvidia-uvm-tools",)
_CAPABILITIES = "/proc/driver/nvidia/capabilities"
_CAPABILITY_NODE = re.compile(r"^DeviceFileMinor:\s*([0-9]+)\s*$", re.MULTILINE)

_LIBRARY_FOLDERS = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
)
_CUDA = "libcuda.so.1"
# What computing, decoding video and NVML need of the driver, by name without version.
_LIBRARIES = re.compile(
    r"(?P<library>lib(?:cuda|cudadebugger|nvcuvid|nvidia-(?:allocator|encode|gpucomp|ml|nvvm"
    r"|opencl|opticalflow|ptxjitcompiler)))\.so\.(?P<version>[0-9.]+)"
)
# CUDA's own images look for the driver here.
_CONTAINER_FOLDER = "/usr/local/nvidia/lib64"
_LIBRARY_PATH = f"/usr/local/nvidia/lib:{_CONTAINER_FOLDER}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedChip:
    """Is a card or a slice to be granted: its card's node, and its own if it is a slice."""

    uuid: str
    is_slice: bool
    card: Nodes
    own: Nodes


def has_runtime(files: Files) -> bool:
    """Tell whether docker is configured with NVIDIA's runtime."""
    text = files.read(_DOCKER_CONFIGURATION)
    if isinstance(text, Unreadable):
        return False
    try:
        runtimes = json.loads(text)["runtimes"]
    except (KeyError, TypeError, ValueError):
        return False
    return isinstance(runtimes, dict) and RUNTIME in runtimes


def through_runtime(visible_devices: Sequence[str]) -> ContainerGrant:
    """Return what NVIDIA's runtime has to be told."""
    return ContainerGrant(
        environment={
            "NVIDIA_VISIBLE_DEVICES": ",".join(visible_devices),
            "NVIDIA_DRIVER_CAPABILITIES": "compute,utility,video",
        },
        runtime=RUNTIME,
    )


def through_devices(chips: Sequence[GrantedChip], files: Files) -> ContainerGrant:
    """Return device nodes and libraries that are on this machine.

    Raises:
        ReadingUnavailable: one that is needed is not, or its number is not known.
    """
    present = frozenset(files.names("/dev", prefix="nvidia"))
    missing = [name for name in _CONTROL_NODES if name not in present]
    if missing:
        raise ReadingUnavailable(
            f"/dev/{missing[0]} is not on this machine",
            hint="create the device nodes with `nvidia-modprobe -c 0 -u`",
        )
    cards = dict.fromkeys(_card_node(chip, present=present) for chip in chips)
    control = [f"/dev/{name}" for name in (*_CONTROL_NODES, *_OPTIONAL_NODES) if name in present]
    capabilities = dict.fromkeys(
        node for chip in chips if chip.is_slice for node in _capability_nodes(chip, files)
    )
    return ContainerGrant(
        devices=(*cards, *control, *capabilities),
        mounts=tuple(_library_mounts(files)),
        environment={"LD_LIBRARY_PATH": _LIBRARY_PATH},
    )


def _card_node(chip: GrantedChip, *, present: frozenset[str]) -> str:
    name = f"nvidia{_known(chip.card.minor, chip=chip)}"
    if name not in present:
        raise ReadingUnavailable(f"/dev/{name}, the node of {chip.uuid}, is not on this machine")
    return f"/dev/{name}"


def _capability_nodes(chip: GrantedChip, files: Files) -> Iterator[str]:
    card = _known(chip.card.minor, chip=chip)
    instance = f"{_CAPABILITIES}/gpu{card}/mig/gi{_known(chip.own.gpu_instance, chip=chip)}"
    compute = f"ci{_known(chip.own.compute_instance, chip=chip)}"
    present = frozenset(files.names("/dev/nvidia-caps", prefix="nvidia-cap"))
    for path in (f"{instance}/access", f"{instance}/{compute}/access"):
        text = files.read(path)
        found = None if isinstance(text, Unreadable) else _CAPABILITY_NODE.search(text)
        name = None if found is None else f"nvidia-cap{found[1]}"
        if name is None or name not in present:
            raise ReadingUnavailable(
                f"the access node of the slice {chip.uuid} is not on this machine",
                hint="create it with `nvidia-modprobe -f " + path + "`",
            )
        yield f"/dev/nvidia-caps/{name}"


def _library_mounts(files: Files) -> Iterator[tuple[str, str]]:
    for folder in _LIBRARY_FOLDERS:
        names = files.names(folder, prefix="lib")
        if _CUDA in names:
            break
    else:
        raise ReadingUnavailable(
            f"the driver's {_CUDA} is in none of {', '.join(_LIBRARY_FOLDERS)}",
            hint="install the NVIDIA Container Toolkit: it knows every place",
        )
    by_library: dict[str, list[str]] = {}
    for name in names:
        if match := _LIBRARIES.fullmatch(name):
            by_library.setdefault(match["library"], []).append(name)
    for versions in by_library.values():
        # The name that programs are linked to is the short one; some have the long one alone.
        name = min(versions, key=len)
        yield f"{folder}/{name}", f"{_CONTAINER_FOLDER}/{name}"


def _known(number: Number, *, chip: GrantedChip) -> int:
    if isinstance(number, Failure):
        explanation = explain.explain(number)
        raise ReadingUnavailable(
            f"the device node of {chip.uuid} is not known: {explanation.reason}",
            hint=explanation.hint,
        )
    return number
