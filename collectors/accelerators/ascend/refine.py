"""Says which finer answer of npu-smi gives what its table left open, and takes it from there; pure.

The table of a 310P has no power: the card's own controller ("mcu") measures it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from collectors.accelerators.ascend import details
from collectors.accelerators.ascend.details import Section
from collectors.accelerators.ascend.facts import Chip, Grade, Memory, Missing, Number

POWER = "power_watts"
TEMPERATURE = "temperature_celsius"
UTILIZATION = "utilization_percent"
MEMORY = "memory"
HEALTH = "health"

_POWER_KEY = "npu real-time power"
# Of the card's controller. A chip's "rated power dissipation" is what it may take, and no reading.
_CARD_POWER_KEYS = (_POWER_KEY, "power dissipation")
_TEMPERATURE_KEYS = ("temperature", "npu temperature")
_HEALTH_KEYS = ("health status", "health")
_NOT_TOLD = Missing("not in this answer of npu-smi")
_HEALTH_WORDS = frozenset({"ok", "warning", "alarm", "critical"})

Value = Number | Memory | Grade


@dataclass(frozen=True, slots=True)
class Question:
    """Is a finer question about a card, or about one chip of it where `chip` is not None."""

    kind: str
    card: int
    chip: int | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """Return the words behind the program's name."""
        words = ("info", "-t", self.kind, "-i", str(self.card))
        return words if self.chip is None else (*words, "-c", str(self.chip))


@dataclass(frozen=True, slots=True)
class Gap:
    """Is a value that the table left open."""

    card: int
    chip: int
    field: str


def gaps(chips: Sequence[Chip]) -> dict[Gap, tuple[Question, ...]]:
    """Return what is open, and the questions that may give it, the likeliest first."""
    has_power = {chip.card for chip in chips if not isinstance(chip.power_watts, Missing)}
    found: dict[Gap, tuple[Question, ...]] = {}
    for chip in chips:
        for name, kinds in _kinds(chip).items():
            # A power that stands at one chip of a card may be that of the whole card.
            if name == POWER and chip.card in has_power:
                continue
            if is_open(chip, name):
                questions = tuple(Question(kind, chip.card) for kind in kinds)
                if name == HEALTH:
                    # The 950 refuses the number of a chip; others give their chips one by one.
                    questions = (Question(HEALTH, chip.card, chip.chip), *questions)
                found[Gap(chip.card, chip.chip, name)] = questions
    return found


def is_open(chip: Chip, name: str) -> bool:
    """Return whether a value of this chip is unknown."""
    if name == MEMORY:
        return isinstance(chip.memory.used_mib, Missing) or isinstance(
            chip.memory.total_mib, Missing
        )
    return isinstance(getattr(chip, name), Missing)


def answers(text: str, *, question: Question, chips: Sequence[Chip]) -> Mapping[Gap, Value] | None:
    """Return every value that the answer gives for the chips of the card; None if it is no answer.

    `chips` are those of the table. A complaint, a table and what nobody knows are no answers.
    """
    asked = None if question.chip is None else (question.card, question.chip)
    sections = [
        section
        for section in details.sections(text, asked=asked)
        if section.card in (None, question.card)
    ]
    if not any(_known_keys(question.kind) & section.entries.keys() for section in sections):
        return None
    on_card = {chip.chip: chip for chip in chips if chip.card == question.card}
    found: dict[Gap, Value] = {}
    for section in sections:
        chip = _chip_of(section, on_card=on_card)
        if chip is not None and question.chip in (None, chip.chip):
            for name, value in _values_of(chip, section=section, question=question).items():
                found[Gap(chip.card, chip.chip, name)] = value
    has_own_power = any(gap.field == POWER for gap in found)
    if 0 in on_card and not has_own_power and _is_310(on_card[0]):
        power = _power_of_card(sections)
        if not isinstance(power, Missing):
            found[Gap(question.card, 0, POWER)] = power
    return found


def with_value(chip: Chip, *, name: str, value: Value) -> Chip:
    """Return the chip with a finer value where its own is unknown."""
    if not isinstance(value, Memory):
        values: dict[str, Any] = {name: value}
        return replace(chip, **values) if is_open(chip, name) else chip
    return replace(
        chip,
        memory=Memory(
            used_mib=_first_given((chip.memory.used_mib, value.used_mib)),
            total_mib=_first_given((chip.memory.total_mib, value.total_mib)),
        ),
    )


def _kinds(chip: Chip) -> dict[str, tuple[str, ...]]:
    # npu-smi refuses the power of a 310P chip; that of its card is among the common values.
    power = ("common", "power") if _is_310(chip) else ("power", "common")
    return {
        POWER: power,
        TEMPERATURE: ("common", "temp"),
        UTILIZATION: ("common", "usages"),
        MEMORY: ("usages",),
        HEALTH: ("health",),
    }


def _known_keys(kind: str) -> frozenset[str]:
    return {
        "power": frozenset(_CARD_POWER_KEYS),
        "temp": frozenset(_TEMPERATURE_KEYS),
        "common": frozenset({_POWER_KEY, *_TEMPERATURE_KEYS, "aicore usage rate"}),
        "usages": frozenset({"aicore usage rate", "ddr capacity", "hbm capacity"}),
        HEALTH: frozenset(_HEALTH_KEYS),
    }[kind]


def _chip_of(section: Section, *, on_card: Mapping[int, Chip]) -> Chip | None:
    if section.chip is not None:
        return on_card.get(section.chip)
    # What is said of a card is said of its chip where it has but one.
    if section.helper is not None or len(on_card) != 1:
        return None
    [chip] = on_card.values()
    return chip if chip.chips_on_card == 1 else None


def _values_of(chip: Chip, *, section: Section, question: Question) -> dict[str, Value]:
    values: dict[str, Value] = {}
    if question.kind in ("power", "common"):
        # 0 W is what a meter shows that does not answer.
        values[POWER] = _not_zero(section.number(_POWER_KEY, unit="w"))
    if question.kind in ("temp", "common"):
        values[TEMPERATURE] = _first_given(
            section.number(key, unit="c") for key in _TEMPERATURE_KEYS
        )
    if question.kind in ("usages", "common"):
        # Where an answer does not number chips, the table shows the use of the whole chip.
        key = "npu utilization" if section.chip is None else "aicore usage rate"
        values[UTILIZATION] = section.number(key, unit="%")
    if question.kind == "usages":
        values[MEMORY] = _memory(chip, section)
    if question.kind == HEALTH:
        values[HEALTH] = _health(section)
    return {name: value for name, value in values.items() if not _is_missing(value)}


def _is_missing(value: Value) -> bool:
    if isinstance(value, Memory):
        return isinstance(value.used_mib, Missing) or isinstance(value.total_mib, Missing)
    return isinstance(value, Missing)


def _memory(chip: Chip, section: Section) -> Memory:
    prefix = "ddr" if _is_310(chip) else "hbm"
    total = _not_zero(section.number(f"{prefix} capacity", unit="mb"))
    percent = section.number(f"{prefix} usage rate", unit="%")
    if isinstance(total, Missing) or isinstance(percent, Missing) or not 0 <= percent <= 100:
        return Memory(used_mib=_NOT_TOLD, total_mib=total)
    return Memory(used_mib=total * percent / 100, total_mib=total)


def _health(section: Section) -> Grade:
    for key in _HEALTH_KEYS:
        word = section.text(key)
        if not isinstance(word, Missing):
            known = word.lower() in _HEALTH_WORDS
            return word if known else Missing(f"no known grade: {word}")
    return _NOT_TOLD


def _power_of_card(sections: Sequence[Section]) -> Number:
    return _first_given(
        _not_zero(section.number(key, unit="w"))
        for section in sections
        for key in _CARD_POWER_KEYS
        if section.helper == "mcu" or (section.chip is None and section.helper is None)
    )


def _not_zero(number: Number) -> Number:
    return Missing("npu-smi gives 0") if number == 0 else number


def _first_given(numbers: Iterable[Number]) -> Number:
    last: Number = _NOT_TOLD
    for last in numbers:
        if not isinstance(last, Missing):
            break
    return last


def _is_310(chip: Chip) -> bool:
    return not isinstance(chip.name, Missing) and "310" in chip.name
