"""Asks DCMI for chips; converts nothing but the layout of answers into facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.model.accelerator import AcceleratorProcess
from collectors.accelerators.ascend import explain, facts
from collectors.accelerators.ascend.facts import (
    OF_WHOLE_CARD,
    Chip,
    Grade,
    Memory,
    Missing,
    Number,
    Text,
    Users,
)
from collectors.accelerators.ascend.library import Answer, Library

# `dcmi_get_device_type`: the controllers on a card, which no work can be given to.
_HELPERS = (1, 2)
# `dcmi_get_device_utilization_rate`.
_AI_CORE = 2
_WHOLE_CHIP = 13

_MOST_CHIPS_ON_CARD = 16
# What goes beyond is left out by the library.
_MOST_PROCESSES = 32
_HEALTH_ABSENT = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Failure:
    """Is a code with which the library as a whole did not answer."""

    code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Device:
    """Is how a chip is addressed: by card and chip, or by one number in the second interface."""

    card: int
    chip: int
    prefix: str
    inputs: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class _Fixed:
    """Holds what of a chip does not change, as far as it was told."""

    name: Text = field(default=Missing("not asked"))
    bus_id: Text = field(default=Missing("not asked"))
    board_name: str | None = None
    index: int | None = None
    node_number: int | None = None
    is_complete: bool = False


class Dcmi:
    """Is the library, asked; for one thread, as its maker demands.

    What does not change is asked once for each set of cards.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._is_open = False
        self._is_second_interface = False
        self._cards: list[int] = []
        self._chips_of_card: dict[int, list[int]] = {}
        self._fixed: dict[tuple[int, int], _Fixed] = {}

    def open(self) -> Failure | None:
        """Load and initialize the library, unless that was done; return why not, or None."""
        if self._is_open:
            return None
        code = self._library.load()
        if code == explain.OK:
            code = self._call("dcmi_init").code
            # Chips from the 950 on speak the second interface only.
            self._is_second_interface = code == explain.NOT_SUPPORTED
            if self._is_second_interface:
                code = self._call("dcmiv2_init").code
        self._is_open = code == explain.OK
        return None if self._is_open else Failure(code)

    def close(self) -> None:
        """Forget what was learnt; the library has no end of its own."""
        self._is_open = False
        self._cards = []
        self._chips_of_card = {}
        self._fixed = {}

    def cards(self) -> list[int] | Failure:
        """Return the ids of all cards, in the library's order."""
        function = "dcmiv2_get_device_list" if self._is_second_interface else "dcmi_get_card_list"
        answer = self._call(function)
        if answer.code != explain.OK:
            return Failure(answer.code)
        ids = answer.value if isinstance(answer.value, list) else []
        return list(dict.fromkeys(each for each in ids if isinstance(each, int) and each >= 0))

    def chips(self) -> list[Chip] | Failure:
        """Return every chip, in the library's order."""
        cards = self.cards()
        if isinstance(cards, Failure):
            return cards
        if cards != self._cards:
            self._cards, self._chips_of_card, self._fixed = cards, {}, {}
        return [chip for card in cards for chip in self._chips_on(card)]

    def _chips_on(self, card: int) -> list[Chip]:
        if self._is_second_interface:
            device = _Device(card=card, chip=0, prefix="dcmiv2_get_device_", inputs=(card,))
            return [self._chip(device, chips_on_card=1)]
        numbers = self._chips_of_card.get(card)
        if numbers is None:
            found = self._numbers_on(card)
            if isinstance(found, Missing):
                return [facts.unread(card=card, chip=0, reason=found.reason)]
            numbers = self._chips_of_card[card] = found
        return [
            self._chip(
                _Device(card=card, chip=number, prefix="dcmi_get_device_", inputs=(card, number)),
                chips_on_card=len(numbers),
                is_first=number == numbers[0],
            )
            for number in numbers
        ]

    def _numbers_on(self, card: int) -> list[int] | Missing:
        answer = self._call("dcmi_get_device_id_in_card", card)
        if answer.code != explain.OK:
            return Missing(explain.explain(answer.code).reason)
        ids = answer.value if isinstance(answer.value, list) else []
        if len(ids) != 3 or not all(isinstance(each, int) for each in ids):
            return Missing("DCMI does not tell the chips of this card")
        most, mcu, cpu = ids
        if not 0 < most <= _MOST_CHIPS_ON_CARD:
            return Missing(f"not plausible: DCMI counts {most} chips on this card")
        numbers = []
        for number in range(most):
            kind = self._call("dcmi_get_device_type", card, number)
            # A chip that does not tell what it is stays: it may be sick.
            is_helper = number in (mcu, cpu) if kind.code != explain.OK else kind.value in _HELPERS
            if not is_helper:
                numbers.append(number)
        return numbers

    def _chip(self, device: _Device, *, chips_on_card: int, is_first: bool = True) -> Chip:
        fixed = self._fixed_of(device)
        return Chip(
            card=device.card,
            chip=device.chip,
            bus_id=fixed.bus_id,
            name=fixed.name,
            health=self._health(device),
            power_watts=self._power(
                device, name=fixed.name, chips_on_card=chips_on_card, is_first=is_first
            ),
            temperature_celsius=_number(self._of(device, "temperature")),
            utilization_percent=self._utilization(device),
            memory=self._memory(device, name=fixed.name),
            users=self._users(device),
            index=fixed.index,
            node_number=fixed.node_number,
            chips_on_card=chips_on_card,
            board_name=fixed.board_name,
        )

    def _fixed_of(self, device: _Device) -> _Fixed:
        key = (device.card, device.chip)
        known = self._fixed.get(key)
        if known is not None and known.is_complete:
            return known
        fixed = self._fixed[key] = _Fixed(
            name=self._name(device),
            bus_id=self._bus_id(device),
            board_name=self._board_name(device),
        )
        fixed.index, fixed.node_number = self._numbers(device)
        fixed.is_complete = not isinstance(fixed.name, Missing) and not isinstance(
            fixed.bus_id, Missing
        )
        return fixed

    def _name(self, device: _Device) -> Text:
        if self._is_second_interface:
            answer = self._of(device, "chip_info")
        else:
            answer = self._of(device, "chip_info_v2")
            if answer.code in explain.LACKING:
                answer = self._of(device, "chip_info")
        return _text(answer, "chip_name")

    def _bus_id(self, device: _Device) -> Text:
        name = "pcie_info" if self._is_second_interface else "pcie_info_v2"
        answer = self._of(device, name)
        if answer.code != explain.OK:
            return Missing(explain.explain(answer.code).reason)
        parts = [_field(answer, part) for part in ("domain", "bus", "device", "func")]
        domain, bus, slot, function = (-1 if part is None else part for part in parts)
        if domain >= 0 and 0 <= bus < 256 and 0 <= slot < 32 and 0 <= function < 8:
            return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"
        return Missing("DCMI gives no PCI address")

    def _board_name(self, device: _Device) -> str | None:
        if self._is_second_interface:
            label = self._of(device, "elabel_info")
        else:
            answer = self._call("dcmi_get_product_type", *device.inputs)
            if answer.code == explain.OK and isinstance(answer.value, str):
                name = facts.board_name(answer.value)
                if name is not None:
                    return name
            label = self._call("dcmi_get_card_elabel_v2", device.card)
        text = _text(label, "product_name")
        return None if isinstance(text, Missing) else facts.board_name(text)

    def _numbers(self, device: _Device) -> tuple[int | None, int | None]:
        """Return the logical and the physical number of a chip."""
        if self._is_second_interface:
            return device.card, device.card
        logical = self._of(device, "logic_id")
        if logical.code != explain.OK or not isinstance(logical.value, int) or logical.value < 0:
            return None, None
        physical = self._call("dcmi_get_device_phyid_from_logicid", logical.value)
        if physical.code == explain.OK and isinstance(physical.value, int):
            return logical.value, physical.value
        # They differ only where chips are hidden from this system, as in a container.
        return logical.value, logical.value

    def _health(self, device: _Device) -> Grade:
        answer = self._of(device, "health")
        if answer.code != explain.OK or not isinstance(answer.value, int):
            return Missing(explain.explain(answer.code).reason)
        if answer.value == _HEALTH_ABSENT:
            return Missing("the driver says that the chip is not there (DCMI)")
        return answer.value

    def _power(self, device: _Device, *, name: Text, chips_on_card: int, is_first: bool) -> Number:
        # Two dies of a 910 make one card, and have one power meter.
        if not is_first and _family(name).startswith("910"):
            return Missing(OF_WHOLE_CARD)
        answer = self._of(device, "power_info")
        if answer.code in explain.LACKING and not self._is_second_interface:
            # The 310P has no meter of its own, its card may have one.
            if not is_first:
                return Missing(OF_WHOLE_CARD)
            of_card = self._call("dcmi_mcu_get_power_info", device.card)
            if of_card.code == explain.OK or chips_on_card > 1:
                answer = of_card
        tenths = _number(answer)
        return tenths if isinstance(tenths, Missing) else tenths / 10

    def _utilization(self, device: _Device) -> Number:
        # The 950's own tool shows the whole chip.
        if self._is_second_interface:
            answer = self._of(device, "utilization_rate", _WHOLE_CHIP)
            if answer.code not in explain.LACKING:
                return _number(answer)
        return _number(self._of(device, "utilization_rate", _AI_CORE))

    def _memory(self, device: _Device, *, name: Text) -> Memory:
        family = _family(name)
        if family.startswith("310"):
            return self._ddr(device)
        answer = self._of(device, "hbm_info")
        if answer.code in explain.LACKING and not self._is_second_interface:
            answer = self._call("dcmi_get_hbm_info", *device.inputs)
        total = _field(answer, "memory_size")
        if (
            not family
            and not self._is_second_interface
            and (total == 0 or answer.code in explain.LACKING)
        ):
            return self._ddr(device)
        if total is None:
            return _no_memory(answer)
        used = _field(answer, "memory_usage")
        return Memory(
            total_mib=float(total),
            used_mib=Missing("not told by DCMI") if used is None else float(used),
        )

    def _ddr(self, device: _Device) -> Memory:
        answer = self._of(device, "memory_info_v3")
        total, free = _field(answer, "memory_size"), _field(answer, "memory_available")
        if total is not None and free is not None:
            return Memory(total_mib=float(total), used_mib=float(total - free))
        if answer.code not in explain.LACKING:
            return _no_memory(answer)
        answer = self._call("dcmi_get_memory_info", *device.inputs)
        total, percent = _field(answer, "memory_size"), _field(answer, "utiliza")
        if total is None or percent is None:
            return _no_memory(answer)
        if not 0 <= percent <= 100:
            used: Number = Missing(f"not plausible: DCMI gives {percent} % of the memory")
        else:
            used = float(total * percent // 100)
        return Memory(total_mib=float(total), used_mib=used)

    def _users(self, device: _Device) -> Users:
        name = "proc_mem_info" if self._is_second_interface else "resource_info"
        answer = self._of(device, name)
        if answer.code != explain.OK:
            return Missing(explain.explain(answer.code).reason)
        rows = answer.value if isinstance(answer.value, list) else None
        if rows is None or len(rows) >= _MOST_PROCESSES:
            return Missing("DCMI does not tell all processes of this chip")
        found = []
        for row in rows:
            pid, used = (
                (row.get("proc_id"), row.get("proc_mem_usage"))
                if isinstance(row, Mapping)
                else (None, None)
            )
            if not isinstance(pid, int) or not isinstance(used, int):
                return Missing("DCMI gives no number of a process")
            found.append(AcceleratorProcess(pid=pid, memory_used_bytes=used))
        return tuple(found)

    def _of(self, device: _Device, name: str, *more: int) -> Answer:
        return self._call(device.prefix + name, *device.inputs, *more)

    def _call(self, function: str, *inputs: int) -> Answer:
        return self._library.call(function, *inputs)


def _number(answer: Answer) -> Number:
    if answer.code != explain.OK:
        return Missing(explain.explain(answer.code).reason)
    if isinstance(answer.value, int):
        return float(answer.value)
    return Missing("DCMI gives no number")


def _field(answer: Answer, name: str) -> int | None:
    value: Any = answer.value
    if answer.code != explain.OK or not isinstance(value, Mapping):
        return None
    found = value.get(name)
    return found if isinstance(found, int) else None


def _text(answer: Answer, name: str) -> Text:
    value: Any = answer.value
    if answer.code != explain.OK:
        return Missing(explain.explain(answer.code).reason)
    text = value.get(name) if isinstance(value, Mapping) else None
    words = " ".join(text.split()) if isinstance(text, str) else ""
    if not words or words.upper() in ("NA", "N/A"):
        return Missing("DCMI gives no name")
    return words


def _no_memory(answer: Answer) -> Memory:
    code = answer.code
    reason = "DCMI gives no size" if code == explain.OK else explain.explain(code).reason
    return Memory(used_mib=Missing(reason), total_mib=Missing(reason))


def _family(name: Text) -> str:
    """Return the digits and letters behind "Ascend"; "" if the name is not known."""
    if isinstance(name, Missing):
        return ""
    return name.lower().removeprefix("ascend").strip()
