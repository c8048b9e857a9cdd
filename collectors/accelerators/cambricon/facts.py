"""What cndev or cnmon told of chips, unconverted: the vendor's units, reasons for the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from agent.model.accelerator import AcceleratorProcess, Health


@dataclass(frozen=True, slots=True)
class Unknown:
    """Stands where a value is missing, and says why; `code` is cndev's, None without one."""

    reason: str
    code: int | None = None


Number = int | float | Unknown
Text = str | Unknown
Users = tuple[AcceleratorProcess, ...] | Unknown

_Value = TypeVar("_Value", int, float, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Is the health of a chip and why: in words, for a log and for `unknown`."""

    health: Health
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Is what a chip or an instance has and does; memory in MiB, utilization in percent."""

    memory_total_mebibytes: Number
    memory_used_mebibytes: Number
    utilization_percent: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """Is a part of a chip that was cut off by MIM or SR-IOV.

    `number` is unique on the chip. `nodes` are the device nodes that are the instance's own.
    """

    number: int
    uuid: Text
    profile: Text
    load: Load
    users: Users = Unknown("not asked")
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """Is one entry of the driver's list.

    `index` is the driver's number of the chip, the N of /dev/cambricon_devN. The serial numbers
    are hexadecimal: `serial` is of the card that the chip sits on, `board_serial` of the board that
    carries cards. Temperature in degrees Celsius, power in watts.
    """

    index: int
    uuid: Text
    name: Text
    pci_address: Text
    serial: Text
    board_serial: Text
    load: Load
    temperature_celsius: Number
    power_watts: Number
    verdict: Verdict
    users: Users = Unknown("not asked")
    instances: tuple[Instance, ...] = ()


def known(answer: _Value | Unknown) -> _Value | None:
    """Return a value, or None where there is none."""
    return None if isinstance(answer, Unknown) else answer


def silent_chip(index: int, *, why: Unknown, verdict: Verdict) -> Chip:
    """Return a chip that is in the list and tells nothing."""
    return Chip(
        index=index,
        uuid=why,
        name=why,
        pci_address=why,
        serial=why,
        board_serial=why,
        load=Load(memory_total_mebibytes=why, memory_used_mebibytes=why, utilization_percent=why),
        temperature_celsius=why,
        power_watts=why,
        verdict=verdict,
        users=why,
    )
