"""What the daemon and a plugin's child process say to each other: one JSON object a line.

The child runs code of somebody else, so nothing that it says is believed: what has the wrong type,
lies outside its bounds or is too long becomes unknown with a reason, and a line that makes no
sense at all raises `ReadingUnavailable`. Pure, and light enough for the child to import.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from agent.errors import ReadingUnavailable
from agent.model.accelerator import (
    Accelerator,
    AcceleratorKind,
    AcceleratorProcess,
    AcceleratorReading,
    Health,
)

VERSION = 1
MAX_LINE_BYTES = 1 << 20
MAX_CARDS = 512
MAX_PROCESSES = 4096
# So that a long list of processes costs no card its place in the line.
MAX_PROCESSES_IN_ALL = 8192
MAX_TEXT_CHARACTERS = 200
MAX_REASON_CHARACTERS = 1000

READY = "ready"
NOT_PRESENT = "not_present"
BROKEN = "broken"
CARDS = "cards"
UNAVAILABLE = "unavailable"
GRANT = "grant"

OP_READ = "read"
OP_GRANT = "grant"
OP_RECORD = "record"
OP_CLOSE = "close"

_MAX_COUNT = (1 << 63) - 1
_MAX_INDEX = 65535
# PID_MAX_LIMIT of the kernel.
_MAX_PID = 1 << 22
_TEMPERATURE_CELSIUS = (-100.0, 300.0)
_POWER_WATTS = (0.0, 100_000.0)

# C0 and C1 controls, and halves of surrogate pairs, which no encoder would take later.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """Holds one pass over all cards of a plugin; each uuid of `readings` is one of a card."""

    accelerators: tuple[Accelerator, ...]
    readings: Mapping[str, AcceleratorReading]


def encode_line(message: Mapping[str, Any]) -> bytes:
    """Return a message as one line.

    Raises:
        ReadingUnavailable: it holds what JSON cannot, or is longer than the other side takes.
    """
    try:
        line = json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise ReadingUnavailable(f"the plugin gave what cannot be sent: {error}") from error
    if len(line) > MAX_LINE_BYTES:
        raise ReadingUnavailable(
            f"the plugin's answer is {len(line)} bytes long; {MAX_LINE_BYTES} is the most"
        )
    return line


def decode_line(line: bytes) -> dict[str, Any]:
    """Return the JSON object of a line.

    Raises:
        ReadingUnavailable: it is none.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ReadingUnavailable("the plugin's process sent what is not JSON") from error
    if not isinstance(message, dict):
        raise ReadingUnavailable("the plugin's process sent what is not a JSON object")
    return message


def encode_cards(
    accelerators: Iterable[Accelerator], readings: Iterable[AcceleratorReading]
) -> dict[str, Any]:
    """Return one pass as the body of a message of kind `cards`.

    Raises:
        ReadingUnavailable: the plugin gave something that is no card or no reading.
    """
    try:
        return {
            "accelerators": [
                {
                    "uuid": each.uuid,
                    "kind": each.kind.value,
                    "index": each.index,
                    "product_name": each.product_name,
                    "memory_total_bytes": each.memory_total_bytes,
                    "pci_address": each.pci_address,
                    "parent_uuid": each.parent_uuid,
                    "board_name": each.board_name,
                    "card": each.card,
                    "chips_on_card": each.chips_on_card,
                    "source": each.source,
                    "unknown": dict(each.unknown),
                }
                for each in accelerators
            ],
            "readings": [
                {
                    "uuid": each.uuid,
                    "memory_used_bytes": each.memory_used_bytes,
                    "utilization_ratio": each.utilization_ratio,
                    "temperature_celsius": each.temperature_celsius,
                    "power_watts": each.power_watts,
                    "energy_joules": each.energy_joules,
                    "health": each.health.value,
                    "processes": _encoded_processes(each),
                    "unknown": dict(each.unknown),
                }
                for each in _within_line(readings)
            ],
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise ReadingUnavailable(f"the plugin broke its contract: {error}") from error


def _encoded_processes(reading: AcceleratorReading) -> list[list[float | None]] | None:
    if reading.processes is None:
        return None
    return [
        [each.pid, each.memory_used_bytes, each.utilization_ratio] for each in reading.processes
    ]


def _within_line(readings: Iterable[AcceleratorReading]) -> Iterator[AcceleratorReading]:
    left = MAX_PROCESSES_IN_ALL
    for each in readings:
        count = len(each.processes or ())
        if count > min(left, MAX_PROCESSES):
            reason = f"{count} processes are more than can be told"
            yield replace(each, processes=None, unknown={**each.unknown, "processes": reason})
        else:
            left -= count
            yield each


def decode_cards(message: Mapping[str, Any], *, vendor: str) -> Cards:
    """Return the cards of a message; `vendor` is the plugin's name, whatever the message says.

    Every None has its reason in `unknown`, and a card without a reading gets one that is unknown.

    Raises:
        ReadingUnavailable: there is no list of cards in it, or far too many.
    """
    listed = _list(message, "accelerators")
    read = {
        uuid: entry
        for entry in reversed(_list(message, "readings"))
        if isinstance(entry, dict) and (uuid := _uuid(entry)) is not None
    }
    accelerators: dict[str, Accelerator] = {}
    readings: dict[str, AcceleratorReading] = {}
    for position, entry in enumerate(listed):
        uuid = _uuid(entry) if isinstance(entry, dict) else None
        if uuid is None:
            raise ReadingUnavailable(f"card {position} of the plugin's list has no uuid")
        if uuid in accelerators:
            raise ReadingUnavailable(f"the plugin listed the card {uuid} twice")
        accelerator = _accelerator(entry, uuid=uuid, vendor=vendor, position=position)
        accelerators[uuid] = accelerator
        readings[uuid] = _reading(read.get(uuid), accelerator)
    return Cards(accelerators=tuple(accelerators.values()), readings=readings)


def clean_text(value: object, *, limit: int = MAX_REASON_CHARACTERS) -> str | None:
    """Return text fit for a log and a platform, cut to `limit` characters; None if it is none."""
    if not isinstance(value, str):
        return None
    # A long text is cut first, so that a hostile one costs nothing.
    text = _UNFIT.sub(" ", value[: 4 * limit]).strip()
    if not text:
        return None
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _list(message: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = message.get(key)
    if not isinstance(value, list):
        raise ReadingUnavailable(f"the plugin's answer has no list of {key}")
    if len(value) > MAX_CARDS:
        raise ReadingUnavailable(f"the plugin gave {len(value)} {key}; {MAX_CARDS} is the most")
    return value


def _uuid(entry: Mapping[str, Any]) -> str | None:
    value = entry.get("uuid")
    # Two long names that are cut could become one, so a name that does not fit is refused.
    if isinstance(value, str) and value == clean_text(value, limit=MAX_TEXT_CHARACTERS):
        return value
    return None


def _accelerator(entry: Mapping[str, Any], *, uuid: str, vendor: str, position: int) -> Accelerator:
    given = _reasons(entry)
    unknown: dict[str, str] = {}
    kind = entry.get("kind")
    try:
        known_kind = AcceleratorKind(kind)
    except ValueError as error:
        raise ReadingUnavailable(f"the plugin gave the card {uuid} no known kind") from error
    index = entry.get("index")
    chips = entry.get("chips_on_card")
    return Accelerator(
        uuid=uuid,
        vendor=vendor,
        kind=known_kind,
        index=index if _is_count(index) and index <= _MAX_INDEX else position,
        product_name=_text(entry, "product_name", given=given, unknown=unknown),
        memory_total_bytes=_count(entry, "memory_total_bytes", given=given, unknown=unknown),
        pci_address=clean_text(entry.get("pci_address"), limit=MAX_TEXT_CHARACTERS),
        parent_uuid=clean_text(entry.get("parent_uuid"), limit=MAX_TEXT_CHARACTERS),
        board_name=clean_text(entry.get("board_name"), limit=MAX_TEXT_CHARACTERS),
        card=clean_text(entry.get("card"), limit=MAX_TEXT_CHARACTERS),
        chips_on_card=chips if _is_count(chips) and 0 < chips <= MAX_CARDS else None,
        source=clean_text(entry.get("source"), limit=MAX_TEXT_CHARACTERS) or vendor,
        unknown=unknown,
    )


def _reading(entry: Mapping[str, Any] | None, accelerator: Accelerator) -> AcceleratorReading:
    if entry is None:
        entry = {"unknown": dict.fromkeys(_READING_FIELDS, "the plugin gave no reading of it")}
    given = _reasons(entry)
    unknown: dict[str, str] = {}
    used = _count(entry, "memory_used_bytes", given=given, unknown=unknown)
    total = accelerator.memory_total_bytes
    if used is not None and total is not None and used > total:
        unknown["memory_used_bytes"] = f"the plugin gave {used} used of {total} bytes"
        used = None
    try:
        health = Health(entry.get("health"))
    except ValueError:
        health = Health.UNKNOWN
    if health is Health.UNKNOWN:
        unknown["health"] = given.get("health", "the plugin gave none")
    return AcceleratorReading(
        uuid=accelerator.uuid,
        memory_used_bytes=used,
        utilization_ratio=_number(
            entry, "utilization_ratio", bounds=(0.0, 1.0), given=given, unknown=unknown
        ),
        temperature_celsius=_number(
            entry, "temperature_celsius", bounds=_TEMPERATURE_CELSIUS, given=given, unknown=unknown
        ),
        power_watts=_number(
            entry, "power_watts", bounds=_POWER_WATTS, given=given, unknown=unknown
        ),
        energy_joules=_count(entry, "energy_joules", given=given, unknown=unknown),
        health=health,
        processes=_processes(entry, given=given, unknown=unknown),
        unknown=unknown,
    )


def _processes(
    entry: Mapping[str, Any], *, given: Mapping[str, str], unknown: dict[str, str]
) -> tuple[AcceleratorProcess, ...] | None:
    """Return who uses a card; of a list that is not as it must be, nothing is believed."""
    listed = entry.get("processes")
    if not isinstance(listed, list):
        _refuse(listed, "processes", given=given, unknown=unknown)
        return None
    if len(listed) > MAX_PROCESSES:
        unknown["processes"] = (
            f"the plugin gave {len(listed)} processes; {MAX_PROCESSES} is the most"
        )
        return None
    found: dict[int, AcceleratorProcess] = {}
    for each in listed:
        process = _process(each)
        if process is None or process.pid in found:
            unknown["processes"] = "the plugin gave a process that cannot be, or one twice"
            return None
        found[process.pid] = process
    return tuple(found[pid] for pid in sorted(found))


def _process(entry: object) -> AcceleratorProcess | None:
    if not isinstance(entry, list) or len(entry) != 3:
        return None
    pid, memory, ratio = entry
    if not _is_count(pid) or not 0 < pid <= _MAX_PID:
        return None
    is_ratio = isinstance(ratio, (int, float)) and not isinstance(ratio, bool)
    return AcceleratorProcess(
        pid=pid,
        memory_used_bytes=memory if _is_count(memory) else None,
        utilization_ratio=float(ratio) if is_ratio and 0 <= ratio <= 1 else None,
    )


_READING_FIELDS = (
    "memory_used_bytes",
    "utilization_ratio",
    "temperature_celsius",
    "power_watts",
    "energy_joules",
    "health",
    "processes",
)


def _reasons(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return the plugin's own reasons that belong to a field and are text."""
    given = entry.get("unknown")
    if not isinstance(given, dict):
        return {}
    fields = (*_READING_FIELDS, "product_name", "memory_total_bytes")
    texts = ((key, clean_text(given.get(key), limit=MAX_TEXT_CHARACTERS)) for key in fields)
    return {key: text for key, text in texts if text is not None}


def _refuse(value: object, key: str, *, given: Mapping[str, str], unknown: dict[str, str]) -> None:
    """Note why a field is unknown: by the plugin's own words, or because its value is refused."""
    if value is None:
        unknown[key] = given.get(key, "the plugin gave none")
    else:
        shown = repr(value) if isinstance(value, (int, float)) else f"a {type(value).__name__}"
        unknown[key] = f"the plugin gave {clean_text(shown, limit=40)}, which cannot be"


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT


def _count(
    entry: Mapping[str, Any], key: str, *, given: Mapping[str, str], unknown: dict[str, str]
) -> int | None:
    value = entry.get(key)
    if _is_count(value):
        return value
    _refuse(value, key, given=given, unknown=unknown)
    return None


def _number(
    entry: Mapping[str, Any],
    key: str,
    *,
    bounds: tuple[float, float],
    given: Mapping[str, str],
    unknown: dict[str, str],
) -> float | None:
    value = entry.get(key)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = bounds
        # NaN and the infinities fail the comparison, and so does an int too big for a float.
        if low <= value <= high and math.isfinite(value):
            return float(value)
    _refuse(value, key, given=given, unknown=unknown)
    return None


def _text(
    entry: Mapping[str, Any], key: str, *, given: Mapping[str, str], unknown: dict[str, str]
) -> str | None:
    value = entry.get(key)
    text = clean_text(value, limit=MAX_TEXT_CHARACTERS)
    if text is None:
        _refuse(value, key, given=given, unknown=unknown)
    return text
