"""Says what a container needs to use Ascend chips, without `--privileged`."""

from __future__ import annotations

from collections.abc import Sequence

from agent.errors import ReadingUnavailable
from agent.model.accelerator import ContainerGrant
from collectors.accelerators.ascend.facts import Chip, Missing
from collectors.accelerators.ascend.machine import Machine

RUNTIME = "ascend"

# The nodes of the driver itself; which of them exist depends on chip and driver.
_MANAGER = "/dev/davinci_manager"
_SHARED_NODES = ("/dev/devmm_svm", "/dev/hisi_hdc", "/dev/uburma", "/dev/ummu")
# Video and picture units that stand in nodes of their own on the inference chips.
_MEDIA_NODES = ("/dev/dvpp_cmdlist", "/dev/vdec", "/dev/vpc", "/dev/pngd", "/dev/venc")
# A chip that is the system's own processor has these in place of the shared ones.
_SYSTEM_NODES = (
    "/dev/svm0",
    "/dev/ts_aisle",
    "/dev/upgrade",
    "/dev/sys",
    "/dev/log_drv",
    "/dev/event_sched",
    "/dev/hi_dvpp",
    "/dev/xsmem_dev",
)
_FIRST_SLOT_NUMBER = 32
_MOUNTS = (
    "/usr/local/dcmi",
    "/usr/local/bin/npu-smi",
    "/usr/local/sbin/npu-smi",
    "/usr/local/Ascend/driver/lib64",
    "/usr/local/Ascend/driver/tools",
    "/usr/local/Ascend/driver/version.info",
    "/etc/ascend_install.info",
)


def grant(chips: Sequence[Chip], *, machine: Machine) -> ContainerGrant:
    """Return what a container needs to use these chips; none of them gives an empty grant.

    Where docker knows the maker's runtime, that runtime hands over nodes and libraries itself, by
    the numbers in ASCEND_VISIBLE_DEVICES. Elsewhere everything that exists on this machine is
    named here. All paths are the same inside.

    Raises:
        ReadingUnavailable: a chip has no device node.
    """
    if not chips:
        return ContainerGrant()
    numbers = sorted({_node_number(chip) for chip in chips})
    environment = {"ASCEND_VISIBLE_DEVICES": ",".join(str(number) for number in numbers)}
    nodes = [f"/dev/davinci{number}" for number in numbers]
    for node in (*nodes, _MANAGER):
        if not machine.has(node):
            raise ReadingUnavailable(
                f"{node} is not on this machine", hint="load the Ascend driver, or look at dmesg"
            )
    if RUNTIME in machine.docker_runtimes():
        return ContainerGrant(environment=environment, runtime=RUNTIME)
    wanted: list[str] = [*nodes, _MANAGER, *_SHARED_NODES]
    if any(_is_inference(chip) for chip in chips):
        wanted += _MEDIA_NODES
    if any(isinstance(chip.bus_id, Missing) for chip in chips):
        wanted += _SYSTEM_NODES
    return ContainerGrant(
        devices=tuple(node for node in wanted if machine.has(node)),
        mounts=tuple((path, path) for path in _MOUNTS if machine.has(path)),
        environment=environment,
    )


def _node_number(chip: Chip) -> int:
    if chip.node_number is None and chip.index is None and chip.card < _FIRST_SLOT_NUMBER:
        # A tool that does not number chips has one on each card, and goes by the cards' numbers.
        return chip.card
    if chip.node_number is None:
        raise ReadingUnavailable(
            f"the device node of card {chip.card}, chip {chip.chip} is not known",
            hint="`npu-smi info -m` lists the numbers",
        )
    return chip.node_number


def _is_inference(chip: Chip) -> bool:
    return not isinstance(chip.name, Missing) and "310" in chip.name
