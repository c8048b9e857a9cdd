"""Accelerators (加速卡): one entry is one chip, or one slice, that can be scheduled by itself."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class AcceleratorKind(str, enum.Enum):
    """Names the family of a chip as its maker calls it."""

    GPU = "GPU"
    NPU = "NPU"
    MLU = "MLU"
    XPU = "XPU"
    DCU = "DCU"
    TPU = "TPU"
    GCU = "GCU"


class Health(str, enum.Enum):
    """Grades a chip: `unknown` where the vendor's interface says nothing that can be trusted."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """Describes a chip: what does not change while it is in the machine.

    `index` is the number under which the vendor's tool lists it; `uuid` is unique and survives a
    reboot. `parent_uuid` is set for a slice (MIG) and names the card it was cut from.
    `product_name` is the vendor's own text, chip or card as its interface gives it. `board_name` is
    the product as it is sold ("Atlas 300I Pro"), None where the interface does not tell it.
    `card` is what the chips of one card share (a slot, a card number), and `chips_on_card` how many
    these are; None where that is not known.
    """

    uuid: str
    vendor: str
    kind: AcceleratorKind
    index: int
    product_name: str | None
    memory_total_bytes: int | None
    pci_address: str | None = None
    parent_uuid: str | None = None
    board_name: str | None = None
    card: str | None = None
    chips_on_card: int | None = None
    source: str = ""
    unknown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorProcess:
    """Tells what one process uses of a chip, or of a slice.

    `pid` is that of this node's own namespace. `utilization_ratio` is 0 to 1 of the whole chip over
    the vendor's own short window. None is what the vendor's interface does not tell of processes.
    """

    pid: int
    memory_used_bytes: int | None = None
    utilization_ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorReading:
    """Holds what a chip does now.

    `utilization_ratio` is 0 to 1 over the vendor's own short window; `energy_joules` counts since
    the driver was loaded. `processes` are by pid, each once; () says that nobody uses the chip,
    None that it is not told who does. `unknown` says for every None why it is unknown.
    """

    uuid: str
    memory_used_bytes: int | None = None
    utilization_ratio: float | None = None
    temperature_celsius: float | None = None
    power_watts: float | None = None
    energy_joules: int | None = None
    health: Health = Health.UNKNOWN
    processes: tuple[AcceleratorProcess, ...] | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerGrant:
    """Lists what a container needs to use the accelerators given to it, without `--privileged`."""

    devices: tuple[str, ...] = ()
    mounts: tuple[tuple[str, str], ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    runtime: str | None = None
