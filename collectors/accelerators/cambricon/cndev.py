"""Asks cndev for every chip: which function, the new name before the old, and what it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from agent.model.accelerator import AcceleratorProcess, Health
from collectors.accelerators.cambricon import explain
from collectors.accelerators.cambricon.facts import (
    Chip,
    Instance,
    Load,
    Number,
    Text,
    Unknown,
    Users,
    Verdict,
    silent_chip,
)
from collectors.accelerators.cambricon.library import Calls

_MIM_ENABLED = 1
_CHIPS_AT_MOST = 256
_NOT_FILLED = Unknown("not filled by this version of the library (cndev)")
# A library may lack a function, or keep its name and no longer serve it.
_TRY_OLDER_CALL = frozenset(
    {explain.FUNCTION_NOT_FOUND, explain.NOT_SUPPORTED, explain.UNSUPPORTED_VERSION}
)

# `cndevNameEnum_t`: the family alone, for libraries that tell no more.
_FAMILIES: Mapping[int, str] = MappingProxyType(
    {
        0: "MLU100",
        1: "MLU270",
        16: "MLU220-M.2",
        17: "MLU220-EDGE",
        18: "MLU220-EVB",
        19: "MLU220-M.2i",
        20: "MLU290",
        23: "MLU370",
        24: "MLU365",
        25: "CE3226",
        26: "MLU590",
        27: "MLU585",
        30: "MLU580",
        31: "MLU570",
    }
)

# `cndevDriverHealthStateEnum_t`; 4 is "running".
_DRIVER_RUNNING = 4
_DRIVER_STATES: Mapping[int, tuple[Health, str]] = MappingProxyType(
    {
        0: (Health.WARNING, "the driver is starting"),
        1: (Health.WARNING, "the driver is loading"),
        2: (Health.WARNING, "the card is booting"),
        3: (Health.WARNING, "the driver is starting"),
        5: (Health.CRITICAL, "the card failed to boot"),
        6: (Health.WARNING, "the card is being reset"),
        7: (Health.CRITICAL, "the reset of the card failed"),
        8: (Health.WARNING, "the driver does not know its state"),
    }
)
_OVERALL_STATES: Mapping[int, tuple[Health, str]] = MappingProxyType(
    {
        10: (Health.WARNING, "the health check warns"),
        20: (Health.CRITICAL, "the health check failed"),
    }
)
# `cndevHealthError_t`, in its order; 0 is "no error".
_INCIDENTS = (
    "no error",
    "unknown error",
    "internal error",
    "Xid error",
    "too many PCI replays",
    "PCI generation too low",
    "PCI width too low",
    "bandwidth too low",
    "PCI latency too high",
    "MLU-Link down",
    "MLU-Link replays",
    "too many MLU-Link errors",
    "too many MLU-Link CRC errors",
    "too many die-to-die CRC errors",
    "single-bit memory error",
    "double-bit memory error",
    "too many single-bit memory errors",
    "too many double-bit memory errors",
    "row remapping failed",
    "row remapping waits",
    "address swapping failed",
    "address swapping waits",
    "page repair failed",
    "page repair waits",
    "page retirement waits",
    "too many retired pages",
    "temperature too high",
    "thermal violation",
    "number of devices differs",
    "driver error",
    "device system error",
)
_PCI_NUMBERS = (("domain", 0xFFFFFFFF), ("bus", 0xFF), ("device", 0x1F), ("function", 0x7))
_PROFILE_GIGABYTES = re.compile(r"(\d+(?:\.\d+)?)gb", re.IGNORECASE)


class Cndev:
    """Is the library, opened or not. For one thread."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._is_open = False

    def open(self) -> Unknown | None:
        """Load and initialize the library; return why not, or None."""
        if self._is_open:
            return None
        refused = self._calls.load()
        if refused is not None:
            return refused
        answer = self._calls.call("cndevInit", 0)
        if answer.code != explain.SUCCESS:
            return explain.failure(answer.code)
        self._is_open = True
        return None

    def close(self) -> None:
        """Release the library; it stays loaded. May be called twice."""
        if self._is_open:
            self._is_open = False
            self._calls.call("cndevRelease")

    def count(self) -> int | Unknown:
        """Return the number of chips, sick ones included."""
        count = self._number("cndevGetDeviceCount", "number")
        if isinstance(count, Unknown):
            return count
        if not 0 <= count <= _CHIPS_AT_MOST:
            return Unknown(f"not plausible: cndev counts {count} cards")
        return int(count)

    def chips(self) -> list[Chip] | Unknown:
        """Return every chip in the driver's order, sick ones included."""
        count = self.count()
        if isinstance(count, Unknown):
            return count
        return [self._chip(index) for index in range(count)]

    def _chip(self, index: int) -> Chip:
        answer = self._calls.call("cndevGetDeviceHandleByIndex", index)
        if answer.code == explain.SUCCESS:
            device = _whole(answer.value.get("device"), otherwise=index)
        elif answer.code in _TRY_OLDER_CALL:  # old libraries take the index itself
            device = index
        else:
            why = explain.failure(answer.code)
            is_sick = answer.code == explain.IN_PROBLEM
            health = Health.CRITICAL if is_sick else Health.UNKNOWN
            return silent_chip(index, why=why, verdict=Verdict(health=health, because=why.reason))
        serials = self._ask(("cndevGetCardSN",), device)
        return Chip(
            index=index,
            uuid=self._text("cndevGetUUID", "uuid", device),
            name=self._name(device),
            pci_address=self._pci_address(device),
            serial=_serial(serials, "serial"),
            board_serial=_serial(serials, "board_serial"),
            load=self._load(device),
            temperature_celsius=self._temperature(device),
            power_watts=_field(
                self._ask(("cndevGetDevicePowerInfo", "cndevGetPowerInfo"), device), "usage"
            ),
            verdict=self._verdict(device),
            users=self._users(device),
            instances=self._instances(device),
        )

    def _name(self, device: int) -> Text:
        functions = ("cndevGetCardNameStringByDevId", "getCardNameStringByDevId")
        for function in functions:
            name = self._text(function, "name", device)
            if not isinstance(name, Unknown) and name:
                return name
        family = self._number("cndevGetCardName", "id", device)
        if isinstance(family, Unknown):
            return family
        return _FAMILIES.get(int(family)) or Unknown(f"cndev's card name {family} is not known")

    def _load(self, device: int) -> Load:
        memory = self._ask(("cndevGetMemoryUsageV2", "cndevGetMemoryUsage"), device)
        return Load(
            memory_total_mebibytes=_field(memory, "physical_total"),
            memory_used_mebibytes=_field(memory, "physical_used"),
            utilization_percent=self._number("cndevGetDeviceUtilizationInfo", "average", device),
        )

    def _temperature(self, device: int) -> Number:
        values = self._ask(("cndevGetTemperatureInfo",), device)
        chip = _field(values, "chip")
        # A card without a sensor in the chip leaves it at 0 or below.
        if isinstance(chip, Unknown) or chip <= 0:
            return _field(values, "board")
        return chip

    def _pci_address(self, device: int) -> Text:
        values = self._ask(("cndevGetPCIeInfoV2", "cndevGetPCIeInfo"), device)
        numbers = []
        for name, most in _PCI_NUMBERS:
            number = _field(values, name)
            if isinstance(number, Unknown):
                return number
            if not 0 <= number <= most:
                return Unknown(f"not plausible: cndev answered PCI {name} {number}")
            numbers.append(int(number))
        domain, bus, slot, function = numbers
        return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"

    def _verdict(self, device: int) -> Verdict:
        values = self._ask(("cndevGetCardHealthStateV2", "cndevGetCardHealthState"), device)
        if isinstance(values, Unknown):
            is_sick = values.code == explain.IN_PROBLEM
            health = Health.CRITICAL if is_sick else Health.UNKNOWN
            return Verdict(health=health, because=values.reason)
        return verdict(values)

    def _instances(self, device: int) -> tuple[Instance, ...]:
        if self._number("cndevGetMimMode", "mode", device) != _MIM_ENABLED:
            return ()
        answer = self._calls.call("cndevGetAllMluInstanceInfo", device)
        if answer.code != explain.SUCCESS:
            return ()
        return tuple(self._instance(each, device) for each in answer.value.get("instances", ()))

    def _instance(self, values: Mapping[str, Any], device: int) -> Instance:
        number = _whole(values.get("instance_id"), otherwise=0)
        answer = self._calls.call("cndevGetMluInstanceById", number, device)
        handle = answer.value.get("device")
        if answer.code == explain.SUCCESS and isinstance(handle, int):
            load = self._load(handle)
            users = self._users(handle)
        else:
            why = users = explain.failure(answer.code)
            load = Load(
                memory_total_mebibytes=why, memory_used_mebibytes=why, utilization_percent=why
            )
        if isinstance(load.memory_total_mebibytes, Unknown):
            load = Load(
                memory_total_mebibytes=_profile_memory(values, otherwise=load),
                memory_used_mebibytes=load.memory_used_mebibytes,
                utilization_percent=load.utilization_percent,
            )
        return Instance(
            number=number,
            uuid=_words(values, "uuid"),
            profile=_words(values, "profile_name"),
            load=load,
            users=users,
            nodes=tuple(
                node
                for node in (values.get(name) for name in ("ipcm_node", "device_node"))
                if isinstance(node, str) and node
            ),
        )

    def _users(self, device: int) -> Users:
        values = self._ask(("cndevGetProcessInfo",), device)
        if isinstance(values, Unknown):
            return values
        found = []
        for row in values.get("processes", ()):
            pid, kibibytes = row.get("pid"), row.get("physical_used")
            if not isinstance(pid, int):
                return _NOT_FILLED
            used = kibibytes * 1024 if isinstance(kibibytes, int) else None
            found.append(AcceleratorProcess(pid=pid, memory_used_bytes=used))
        return tuple(found)

    def _ask(self, functions: tuple[str, ...], *arguments: int) -> Mapping[str, Any] | Unknown:
        """Return what the first of these functions answers that the library serves."""
        code = explain.FUNCTION_NOT_FOUND
        for function in functions:
            answer = self._calls.call(function, *arguments)
            if answer.code == explain.SUCCESS:
                return answer.value
            # "Not supported by the card" says more than "not in the library".
            if code == explain.FUNCTION_NOT_FOUND or answer.code not in _TRY_OLDER_CALL:
                code = answer.code
            if answer.code not in _TRY_OLDER_CALL:
                break
        return explain.failure(code)

    def _number(self, function: str, name: str, *arguments: int) -> Number:
        return _field(self._ask((function,), *arguments), name)

    def _text(self, function: str, name: str, *arguments: int) -> Text:
        values = self._ask((function,), *arguments)
        return values if isinstance(values, Unknown) else _words(values, name)


def verdict(values: Mapping[str, Any]) -> Verdict:
    """Return the health of a card from what cndev says of it.

    Ok only where the card is called healthy, and neither its device, its driver nor the health
    check of newer libraries says otherwise.
    """
    complaints: list[tuple[Health, str]] = []
    if values.get("health") == 0 or values.get("device_state") == 0:
        complaints.append((Health.CRITICAL, "the driver calls the card sick"))
    driver_state = values.get("driver_state")
    if isinstance(driver_state, int) and driver_state != _DRIVER_RUNNING:
        unlisted = (Health.WARNING, f"the driver is in state {driver_state}")
        complaints.append(_DRIVER_STATES.get(driver_state, unlisted))
    overall = values.get("overall")
    if isinstance(overall, int) and overall in _OVERALL_STATES:
        complaints.append(_OVERALL_STATES[overall])
    if complaints:
        worst = Health.WARNING
        if any(health is Health.CRITICAL for health, _ in complaints):
            worst = Health.CRITICAL
        reasons = [because for _, because in complaints]
        reasons += [_incident(code) for code in values.get("incidents", ())]
        return Verdict(health=worst, because="; ".join(dict.fromkeys(reasons)))
    if values.get("health") == 1:
        return Verdict(health=Health.OK, because="the driver calls the card healthy")
    return Verdict(health=Health.UNKNOWN, because=_NOT_FILLED.reason)


def _incident(code: int) -> str:
    return _INCIDENTS[code] if 0 <= code < len(_INCIDENTS) else f"health code {code}"


def _field(values: Mapping[str, Any] | Unknown, name: str) -> Number:
    if isinstance(values, Unknown):
        return values
    value = values.get(name)
    return value if isinstance(value, int) else _NOT_FILLED


def _words(values: Mapping[str, Any], name: str) -> Text:
    text = values.get(name)
    return text if isinstance(text, str) and text else _NOT_FILLED


def _whole(value: object, *, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def _serial(values: Mapping[str, Any] | Unknown, name: str) -> Text:
    number = _field(values, name)
    if isinstance(number, Unknown):
        return number
    # Boards without a number burnt in have none or all of its bits set.
    if number in (0, 0xFFFFFFFFFFFFFFFF):
        return Unknown("the card has no serial number")
    return f"{int(number):x}"


def _profile_memory(values: Mapping[str, Any], *, otherwise: Load) -> Number:
    """Return the memory of an instance's profile, if its unit shows.

    cndev does not name the unit; where the profile's own name ("2m.16gb") agrees, it is MiB.
    """
    size, found = (
        values.get("memory_size"),
        _PROFILE_GIGABYTES.search(values.get("profile_name") or ""),
    )
    if isinstance(size, int) and found:
        nominal = float(found[1]) * 1024
        if 0.85 * nominal <= size <= 1.05 * nominal:
            return size
    return otherwise.memory_total_mebibytes
