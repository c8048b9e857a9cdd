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
from collectors.accelerators.machine_files import MachineFiles
from collectors.accelerators.nvidia import explain
from collectors.accelerators.nvidia.answers import Nodes, Number
from collectors.accelerators.nvidia.explain import Failure
from collectors.accelerators.nvidia.files import KernelFiles, Unreadable

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
# What else computing, decoding video and NVML need of the driver, where it has it.
_LIBRARIES = (
    "libcudadebugger.so.1",
    "libnvcuvid.so.1",
    "libnvidia-allocator.so.1",
    "libnvidia-encode.so.1",
    "libnvidia-ml.so.1",
    "libnvidia-nvvm.so.4",
    "libnvidia-opencl.so.1",
    "libnvidia-opticalflow.so.1",
    "libnvidia-ptxjitcompiler.so.1",
)
# Those without a short name end with the driver's version.
_VERSIONED_LIBRARIES = ("libnvidia-gpucomp.so",)
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


def has_runtime(files: KernelFiles) -> bool:
    """Tell whether docker is configured with NVIDIA's runtime."""
    text = files.read(_DOCKER_CONFIGURATION)
    return not isinstance(text, Unreadable) and _names_runtime(text)


class FilesWorthRecording:
    """Passes on to files, and gives of docker's configuration what is read of it alone.

    The rest of it, such as proxies and registries, is nobody's business.
    """

    def __init__(self, files: MachineFiles) -> None:
        self._files = files

    def read(self, path: str) -> str:
        """Return a file's text; raises OSError as the kernel does."""
        text = self._files.read(path)
        if path != _DOCKER_CONFIGURATION:
            return text
        return json.dumps({"runtimes": {RUNTIME: {}} if _names_runtime(text) else {}})

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a folder; raises OSError as the kernel does."""
        return self._files.names(path)

    def exists(self, path: str) -> bool:
        """Return whether there is anything at the path."""
        return self._files.exists(path)


def through_runtime(visible_devices: Sequence[str]) -> ContainerGrant:
    """Return what NVIDIA's runtime has to be told."""
    return ContainerGrant(
        environment={
            "NVIDIA_VISIBLE_DEVICES": ",".join(visible_devices),
            "NVIDIA_DRIVER_CAPABILITIES": "compute,utility,video",
        },
        runtime=RUNTIME,
    )


def through_devices(
    chips: Sequence[GrantedChip], files: KernelFiles, *, driver_version: str | None
) -> ContainerGrant:
    """Return device nodes and libraries that are on this machine.

    Raises:
        ReadingUnavailable: one that is needed is not, or its number is not known.
    """
    for name in _CONTROL_NODES:
        if not files.exists(f"/dev/{name}"):
            raise ReadingUnavailable(
                f"/dev/{name} is not on this machine",
                hint="create the device nodes with `nvidia-modprobe -c 0 -u`",
            )
    cards = dict.fromkeys(_card_node(chip, files) for chip in chips)
    control = [f"/dev/{name}" for name in (*_CONTROL_NODES, *_OPTIONAL_NODES)]
    capabilities = dict.fromkeys(
        node for chip in chips if chip.is_slice for node in _capability_nodes(chip, files)
    )
    return ContainerGrant(
        devices=(*cards, *filter(files.exists, control), *capabilities),
        mounts=tuple(_library_mounts(files, driver_version=driver_version)),
        environment={"LD_LIBRARY_PATH": _LIBRARY_PATH},
    )


def _names_runtime(text: str) -> bool:
    try:
        runtimes = json.loads(text)["runtimes"]
    except (KeyError, TypeError, ValueError):
        return False
    return isinstance(runtimes, dict) and RUNTIME in runtimes


def _card_node(chip: GrantedChip, files: KernelFiles) -> str:
    node = f"/dev/nvidia{_known(chip.card.minor, chip=chip)}"
    if not files.exists(node):
        raise ReadingUnavailable(f"{node}, the node of {chip.uuid}, is not on this machine")
    return node


def _capability_nodes(chip: GrantedChip, files: KernelFiles) -> Iterator[str]:
    card = _known(chip.card.minor, chip=chip)
    instance = f"{_CAPABILITIES}/gpu{card}/mig/gi{_known(chip.own.gpu_instance, chip=chip)}"
    compute = f"ci{_known(chip.own.compute_instance, chip=chip)}"
    for path in (f"{instance}/access", f"{instance}/{compute}/access"):
        text = files.read(path)
        found = None if isinstance(text, Unreadable) else _CAPABILITY_NODE.search(text)
        node = None if found is None else f"/dev/nvidia-caps/nvidia-cap{found[1]}"
        if node is None or not files.exists(node):
            raise ReadingUnavailable(
                f"the access node of the slice {chip.uuid} is not on this machine",
                hint=f"create it with `nvidia-modprobe -f {path}`",
            )
        yield node


def _library_mounts(files: KernelFiles, *, driver_version: str | None) -> Iterator[tuple[str, str]]:
    folder = next((each for each in _LIBRARY_FOLDERS if files.exists(f"{each}/{_CUDA}")), None)
    if folder is None:
        raise ReadingUnavailable(
            f"the driver's {_CUDA} is in none of {', '.join(_LIBRARY_FOLDERS)}",
            hint="install the NVIDIA Container Toolkit: it knows every place",
        )
    names = [_CUDA, *_LIBRARIES]
    if driver_version is not None:
        names += [f"{each}.{driver_version}" for each in _VERSIONED_LIBRARIES]
    for name in names:
        if files.exists(f"{folder}/{name}"):
            yield f"{folder}/{name}", f"{_CONTAINER_FOLDER}/{name}"


def _known(number: Number, *, chip: GrantedChip) -> int:
    if isinstance(number, Failure):
        explanation = explain.explain(number)
        raise ReadingUnavailable(
            f"the device node of {chip.uuid} is not known: {explanation.reason}",
            hint=explanation.hint,
        )
    return number
