"""Turns what NVML answered into the model: base units, and a reason for each unknown; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from agent.model.accelerator import (
    Accelerator,
    AcceleratorKind,
    AcceleratorProcess,
    AcceleratorReading,
    Health,
)
from collectors.accelerators import processes
from collectors.accelerators.nvidia import explain
from collectors.accelerators.nvidia.answers import (
    Condition,
    Identity,
    Number,
    Occupancy,
    Sensors,
    Text,
    User,
    Users,
)
from collectors.accelerators.nvidia.explain import Failure
from collectors.accelerators.quantities import Unknown

VENDOR = "nvidia"
SOURCE = "nvml"

_Value = TypeVar("_Value", int, float)

# NVML's way to say "not available" in a call that succeeded; -1 is the same in a signed field.
_ALL_ONES = frozenset({-1, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF})
_NO_TEXT = frozenset({"", "n/a", "[n/a]", "unknown error", "[unknown error]"})

# `nvmlDeviceGpuRecoveryAction_t`: the driver's own advice. Actions that want the work drained
# first leave it running for now; the others mean that work on the card fails already.
_RECOVERY_ACTIONS: Mapping[int, tuple[Health, str]] = {
    1: (Health.CRITICAL, "the driver wants the card reset"),
    2: (Health.CRITICAL, "the driver wants a reboot"),
    3: (Health.WARNING, "the driver wants peer-to-peer work drained"),
    4: (Health.WARNING, "the driver wants the card drained and reset"),
    5: (Health.WARNING, "the driver wants the IMEX domain recovered"),
    6: (Health.CRITICAL, "the driver wants the card's bus reset"),
    7: (Health.CRITICAL, "the driver wants a reboot"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Is the health of a card and why: in words, for a log and for `unknown`."""

    health: Health
    because: str


@dataclass(slots=True)
class _Values:
    """Gathers values of one object, and beside them why some are unknown."""

    unknown: dict[str, str] = field(default_factory=dict)

    def number(
        self,
        name: str,
        answer: Number,
        *,
        convert: Callable[[int], _Value],
        low: int,
        high: int | None,
    ) -> _Value | None:
        reason = _why_unknown(answer)
        if reason or isinstance(answer, Failure):
            self.missing(name, reason)
            return None
        if answer < low or (high is not None and answer > high):
            self.missing(name, f"not plausible: NVML answered {answer}")
            return None
        return convert(answer)

    def text(self, name: str, answer: Text) -> str | None:
        reason = _why_unknown(answer)
        if reason or isinstance(answer, Failure):
            self.missing(name, reason)
            return None
        return answer.strip()

    def missing(self, name: str, reason: str) -> None:
        self.unknown[name] = reason

    def inherit(self, name: str, parent: Accelerator) -> None:
        if name in parent.unknown:
            self.unknown[name] = parent.unknown[name]


def given_uuid(identity: Identity) -> Text:
    """Return a UUID; a failure where NVML gives none or a text that says so."""
    if not isinstance(identity.uuid, Failure) and _why_unknown(identity.uuid):
        return Failure(explain.NOT_SUPPORTED)
    return identity.uuid


def accelerator(
    identity: Identity,
    *,
    uuid: str,
    index: int,
    parent: Accelerator | None = None,
    source: str = SOURCE,
) -> Accelerator:
    """Return a card, or a slice if it has a parent, whose PCI address is then its own."""
    values = _Values()
    if parent is None:
        bus_id = values.text("pci_address", identity.bus_id)
        address = None if bus_id is None else pci_address(bus_id)
    else:
        address = parent.pci_address
        values.inherit("pci_address", parent)
    return Accelerator(
        uuid=uuid,
        vendor=VENDOR,
        kind=AcceleratorKind.GPU,
        index=index,
        product_name=values.text("product_name", identity.name),
        memory_total_bytes=values.number(
            "memory_total_bytes", identity.memory_total_bytes, convert=int, low=1, high=None
        ),
        pci_address=address,
        parent_uuid=None if parent is None else parent.uuid,
        source=source,
        unknown=values.unknown,
    )


def unidentified(
    failure: Failure, *, index: int, parent: Accelerator | None = None, source: str = SOURCE
) -> Accelerator:
    """Return a card or slice that was sick from the start: nothing but its index is known.

    Its `uuid` is made of the index: it has to be listed under some name, and no UUID of NVIDIA's
    looks like this.
    """
    values = _Values()
    reason = explain.explain(failure).reason
    values.missing("product_name", reason)
    values.missing("memory_total_bytes", reason)
    if parent is None:
        values.missing("pci_address", reason)
    else:
        values.inherit("pci_address", parent)
    return Accelerator(
        uuid=f"{VENDOR if parent is None else parent.uuid}#{index}",
        vendor=VENDOR,
        kind=AcceleratorKind.GPU,
        index=index,
        product_name=None,
        memory_total_bytes=None,
        pci_address=None if parent is None else parent.pci_address,
        parent_uuid=None if parent is None else parent.uuid,
        source=source,
        unknown=values.unknown,
    )


def card_reading(
    uuid: str,
    *,
    occupancy: Occupancy,
    sensors: Sensors,
    verdict: Verdict,
    users: Users,
    memory_total_bytes: int | None = None,
) -> AcceleratorReading:
    """Return the reading of a whole card."""
    values = _Values()
    return AcceleratorReading(
        uuid=uuid,
        memory_used_bytes=_memory_used(values, occupancy),
        utilization_ratio=_utilization(values, occupancy),
        temperature_celsius=values.number(
            "temperature_celsius", sensors.temperature_celsius, convert=float, low=-100, high=250
        ),
        power_watts=values.number(
            "power_watts", sensors.power_milliwatts, convert=_thousandth, low=0, high=None
        ),
        energy_joules=values.number(
            "energy_joules",
            sensors.energy_millijoules,
            convert=lambda millijoules: millijoules // 1000,
            low=0,
            high=None,
        ),
        health=_health(values, verdict),
        processes=_processes(values, users, memory_total_bytes=memory_total_bytes),
        unknown=values.unknown,
    )


def slice_reading(
    uuid: str,
    *,
    parent_uuid: str,
    occupancy: Occupancy,
    verdict: Verdict,
    users: Users,
    memory_total_bytes: int | None = None,
) -> AcceleratorReading:
    """Return the reading of a MIG slice; its health is that of the card it was cut from.

    Power, energy and temperature exist once for the card: given to each slice, a sum over slices
    would count them as often as there are slices, so that here they are unknown.
    """
    values = _Values()
    for name in ("temperature_celsius", "power_watts", "energy_joules"):
        values.missing(name, f"measured for the whole card {parent_uuid}")
    return AcceleratorReading(
        uuid=uuid,
        memory_used_bytes=_memory_used(values, occupancy),
        utilization_ratio=_utilization(values, occupancy),
        health=_health(values, verdict),
        processes=_processes(values, users, memory_total_bytes=memory_total_bytes),
        unknown=values.unknown,
    )


def verdict(condition: Condition, *, failures: frozenset[int] = frozenset()) -> Verdict:
    """Return the health of a card from what it says of itself.

    Critical: lost, or in need of a reset (`failures` holds the codes of other calls that failed),
    memory rows that could not be replaced, or the driver's advice to reset or reboot.
    Warning: uncorrectable memory errors since the driver was loaded, rows that wait for a reset
    to be replaced, or the driver's advice to drain the card.
    Ok: at least one of these figures was given, and none is bad. Unknown: none was given.
    """
    answers = (
        condition.uncorrected_errors,
        condition.rows_pending,
        condition.rows_failed,
        condition.recovery_action,
    )
    codes = failures | {answer.code for answer in answers if isinstance(answer, Failure)}
    for code in (explain.GPU_IS_LOST, explain.RESET_REQUIRED):
        if code in codes:
            return Verdict(health=Health.CRITICAL, because=explain.explain(Failure(code)).reason)
    bad = _complaints(condition)
    for health in (Health.CRITICAL, Health.WARNING):
        reasons = [because for grade, because in bad if grade is health]
        if reasons:
            return Verdict(health=health, because="; ".join(reasons))
    if any(_given(answer) is not None for answer in answers):
        return Verdict(health=Health.OK, because="nothing is reported")
    return Verdict(health=Health.UNKNOWN, because="this card gives no health figures (NVML)")


def failed(failure: Failure) -> Verdict:
    """Return the health of a card that could not even be found."""
    reason = explain.explain(failure).reason
    if failure.code in (explain.GPU_IS_LOST, explain.RESET_REQUIRED):
        return Verdict(health=Health.CRITICAL, because=reason)
    return Verdict(health=Health.UNKNOWN, because=reason)


def failed_reading(uuid: str, failure: Failure) -> AcceleratorReading:
    """Return the reading of a card that could not even be found."""
    return card_reading(
        uuid,
        occupancy=Occupancy(memory_used_bytes=failure, utilization_percent=failure),
        sensors=Sensors(
            temperature_celsius=failure, power_milliwatts=failure, energy_millijoules=failure
        ),
        verdict=failed(failure),
        users=failure,
    )


def failure_codes(*answers: Occupancy | Sensors | Users) -> frozenset[int]:
    """Return the codes of all calls that gave no value."""
    values: list[Number] = []
    for answer in answers:
        if isinstance(answer, Occupancy):
            values += [answer.memory_used_bytes, answer.utilization_percent]
        elif isinstance(answer, Failure):
            values.append(answer)
        elif isinstance(answer, Sensors):
            values += [
                answer.temperature_celsius,
                answer.power_milliwatts,
                answer.energy_millijoules,
            ]
    return frozenset(value.code for value in values if isinstance(value, Failure))


def pci_address(bus_id: str) -> str:
    """Return a bus id as the kernel writes it: `0000:3b:00.0`, where NVML pads the domain to 8."""
    domain, colon, rest = bus_id.strip().lower().partition(":")
    return f"{domain[-4:] if not domain[:-4].strip('0') else domain}{colon}{rest}"


def _complaints(condition: Condition) -> list[tuple[Health, str]]:
    complaints = []
    if _given(condition.rows_failed):
        complaints.append((Health.CRITICAL, "bad memory rows could not be replaced"))
    if _given(condition.rows_pending):
        complaints.append((Health.WARNING, "bad memory rows wait for a reset to be replaced"))
    errors = _given(condition.uncorrected_errors)
    if errors:
        complaints.append(
            (Health.WARNING, f"{errors} uncorrectable memory errors since the driver was loaded")
        )
    action = _given(condition.recovery_action)
    if action:
        complaints.append(
            _RECOVERY_ACTIONS.get(
                action, (Health.WARNING, f"the driver wants recovery action {action}")
            )
        )
    return complaints


def _why_unknown(answer: Number | Text) -> str:
    """Return why an answer holds no value; "" if it holds one."""
    if isinstance(answer, Failure):
        return explain.explain(answer).reason
    no_value = (
        answer in _ALL_ONES if isinstance(answer, int) else answer.strip().lower() in _NO_TEXT
    )
    return "the card calls it not available (NVML)" if no_value else ""


def _given(answer: Number) -> int | None:
    return None if isinstance(answer, Failure) or answer in _ALL_ONES else answer


def _memory_used(values: _Values, occupancy: Occupancy) -> int | None:
    return values.number(
        "memory_used_bytes", occupancy.memory_used_bytes, convert=int, low=0, high=None
    )


def _utilization(values: _Values, occupancy: Occupancy) -> float | None:
    return values.number(
        "utilization_ratio",
        occupancy.utilization_percent,
        convert=lambda percent: percent / 100,
        low=0,
        high=100,
    )


def _processes(
    values: _Values, users: Users, *, memory_total_bytes: int | None
) -> processes.Processes | None:
    if isinstance(users, Failure):
        values.missing("processes", explain.explain(users).reason)
        return None
    found = processes.gathered(
        (_process(each) for each in users), memory_total_bytes=memory_total_bytes
    )
    if isinstance(found, Unknown):
        values.missing("processes", found.reason)
        return None
    return found


def _process(user: User) -> AcceleratorProcess:
    used, percent = user.memory_used_bytes, user.utilization_percent
    return AcceleratorProcess(
        pid=user.pid,
        memory_used_bytes=None if used in _ALL_ONES else used,
        utilization_ratio=percent / 100 if percent is not None and 0 <= percent <= 100 else None,
    )


def _health(values: _Values, verdict: Verdict) -> Health:
    if verdict.health is Health.UNKNOWN:
        values.missing("health", verdict.because)
    return verdict.health


def _thousandth(value: int) -> float:
    return value / 1000
