"""Takes what names a machine or a person out of recordings, and leaves their layout as it is.

A name is replaced by one of the same width and shape, digits by digits and letters by letters, and
the same name by the same one everywhere: tables keep their columns, and a serial number that
stands in two files can still be seen to be one. PCI addresses stay: without them no card can be
told from another. Pure.

What is looked for: values under a label ("Serial Number", "uuid", "SN", "VDie ID") in lines,
tables, CSV, XML and JSON, and then the same values wherever they stand; UUIDs, MAC and IP
addresses by their form, a dotted version number excepted; names of hosts and users that the caller
knows; the folder below /home; names and command lines in tables of processes.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

SERIAL_NUMBERS = "serial numbers"
UUIDS = "UUIDs"
IP_ADDRESSES = "IP addresses"
MAC_ADDRESSES = "MAC addresses"
HOST_NAMES = "host names"
USER_NAMES = "user names"
PROCESSES = "process names and command lines"

# Written by machines: letters of one case only. Words such as "face" have no digit.
_HEX = re.compile(r"(?=[^0-9]*[0-9])(?:[0-9a-f:-]+|[0-9A-F:-]+)|[0-9A-Fa-f]+(?:[:-][0-9A-Fa-f]*)+")
_KEPT_PREFIX = re.compile(r"(?:0[xX]|(?:[A-Z]{3,4}-)+)")
_LEAST_LITERAL_CHARACTERS = 4
_LEAST_SERIAL_INTEGER = 100_000

_UUID = r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
_MAC = r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}"
_IPV6 = r"(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}"
_IPV4 = r"\d{1,3}(?:\.\d{1,3}){3}"
# Numbers are not written with a leading zero, and words not with so many digits.
_SERIAL_SHAPE = r"0\d{11,31}|(?=[0-9]*[A-Z])(?=(?:[A-Z]*[0-9]){6})[0-9A-Z]{12,32}"
_LABELLED_NAME = (
    r"(?:process[ _]?name|command(?:[ _]line)?|cmd(?:line)?|user(?:[ _]?name)?|host[ _]?name)"
)
_FORMS = (
    ("uuid", rf"(?<![0-9A-Za-z]){_UUID}(?![0-9A-Za-z])"),
    ("mac", rf"(?<![0-9A-Za-z:-]){_MAC}(?![0-9A-Za-z:-])"),
    ("ipv6", rf"(?<![\w:.]){_IPV6}(?![\w:])"),
    ("ipv4", rf"(?<![\w.]){_IPV4}(?![\w.]*\w)"),
    ("home", r"(?<=/home/)[^/\s\"'<>|:]+"),
    ("label", rf"(?i:(?<![A-Za-z]){_LABELLED_NAME}[\"']?[ \t]*[:=>][ \t]*[\"']?)"),
    ("serial", rf"(?<![\w.:-])(?:{_SERIAL_SHAPE})(?![\w.:-])"),
)
# What stands after a labelled name: to the next column, quote, tag or end of line.
_LABELLED_VALUE = re.compile(r"(?:(?! {2}|\t)[^\"'<>|\n,])+")

_IDENTITY = (
    r"(?:serial(?:[ _-]?(?:number|num|no\.?))?|s/?n|[ug]uid|unique[ _]?id|asset[ _]?tag|"
    r"[a-z]die[ _]?id)"
)
_LABELLED_IDENTITY = re.compile(
    rf"(?i)(?<![A-Za-z])({_IDENTITY})[\"']?[ \t]*[:=>][ \t]*[\"']?([^\s\"'<>|,;)]+)"
)
_DIE = re.compile(r"(?i)(?<![A-Za-z])[a-z]die[ _]?id[ \t]*[:=][ \t]*((?:[0-9A-F]{8}[ \t]?)+)")
_IDENTITY_KEY = re.compile(
    r"(?i)serial|[ug]uid|unique.?id|asset.?tag|die.?id|(?<![a-z])s/?n(?![a-z])"
)
_IDENTITY_CALL = re.compile(r"(?i)serial|[ug]uid|unique_?id|elabel|die_?id|[a-z_]sn(?![a-z])|SN\b")
_PROCESS_KEY = re.compile(r"(?i)process.?name|command|cmd.?line")
_NO_VALUE = re.compile(
    r"(?i)\[?(?:n/?a|none|null|unknown.*|not.*|err.*|insufficient.*|redacted|masked|"
    r"(?:[CG]PU-)?[-0xX*.]+)[\]!]?"
)

# What a version number stands behind: "Driver Version: ", "npu-smi ", "Innerversion=".
_VERSION_WORD = (
    r"(?:version|(?<![A-Za-z])(?:ver|driver|firmware|fw|software|release|build|v?bios|rt|runtime|"
    r"sdk|smi|cann|part(?:[ _-]number)?))"
)
_VERSION_BEFORE = re.compile(
    rf"(?i){_VERSION_WORD}(?:[ _-]{_VERSION_WORD})*[\"']?[ \t]*[:=>|-]*[ \t]*[\"']?$"
)

# A process told in lines: its name follows its number.
_PROCESS_NUMBER = re.compile(r"(?i)\s*(?:process id|pid)\s*:")
_PROCESS_NAME = re.compile(r"(?i)(\s*name\s*:\s*)(\S.*)")
_LINES_TO_THE_NAME = 4
_LONGEST_ROW_CHARACTERS = 4000
_PROCESS_HEADER = (
    re.compile(r"(?i)\b(?:pid|process id)\b"),
    re.compile(r"(?i)\b(?:process name|command)"),
    re.compile(r"\b[0-9]|\{"),
)
_NO_PROCESS = re.compile(r"(?i)\bno (?:running )?process")
_NUMBER_OR_BLANK = r"(?:\d[\d.]*(?:[ ]?(?:[KMG]i?B|%))?|N/A|-+)"
_PROCESS_ROW = re.compile(
    rf"(?P<head>[\s|]*(?:(?:{_NUMBER_OR_BLANK}|M\+C|C\+G|[CGM])(?:[\s|]+|$))*)"
    rf"(?P<name>.*?)"
    rf"(?P<tail>(?:[\s|]+{_NUMBER_OR_BLANK})*[\s|]*)"
)

# Words of the vendors' own tables: a machine that is called so keeps its name rather than to
# have every table spoilt.
_COMMON_WORDS = frozenset(
    (
        *("accelerator", "ascend", "board", "cambricon", "card", "chip", "command", "cuda"),
        *("dcu", "default", "device", "driver", "enabled", "gcu", "gpu", "health", "host"),
        *("huawei", "kunlun", "kunlunxin", "linux", "localhost", "localdomain", "machine"),
        *("memory", "mlu", "model", "name", "node", "none", "npu", "null", "nvidia", "power"),
        *("process", "root", "server", "system", "temp", "test", "tool", "tpu", "type"),
        *("ubuntu", "unknown", "usage", "user", "version", "xpu"),
    )
)


class Redactor:
    """Learns what names this machine, then replaces it; belongs to one thread.

    `host_names` and `user_names` are those that the caller knows. Every text is learned from
    before the first is redacted: a serial number without a label in one file has one in another.
    """

    def __init__(self, *, host_names: Iterable[str] = (), user_names: Iterable[str] = ()) -> None:
        self._literals: dict[str, str] = {}
        self._replaced: dict[tuple[str, str], str] = {}
        self._numbers: dict[str, int] = {}
        for category, names in ((HOST_NAMES, host_names), (USER_NAMES, user_names)):
            for name in names:
                if name.lower() not in _COMMON_WORDS:
                    self._learn(name, category)
        self._pattern: re.Pattern[str] | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Return how many different names were replaced so far, by what they are."""
        return dict(sorted(self._numbers.items()))

    def learn(self, text: str) -> None:
        """Take in what a text says under a label."""
        for found in _DIE.finditer(text):
            self._learn(found[1].strip(), SERIAL_NUMBERS)
        for found in _LABELLED_IDENTITY.finditer(text):
            self._learn(found[2], UUIDS if "uid" in found[1].lower() else SERIAL_NUMBERS)
        for name, category in (*_table_values(text), *_csv_values(text), *_json_values(text)):
            self._learn(name, category)
        self._pattern = None

    def redact(self, text: str) -> str:
        """Return the text, as long as it was, with every name replaced."""
        lines = text.split("\n")
        is_process_row = False
        framed = False
        name_until = -1
        for number, line in enumerate(lines):
            if _PROCESS_NUMBER.match(line):
                name_until = number + _LINES_TO_THE_NAME
            named = _PROCESS_NAME.fullmatch(line) if number <= name_until else None
            if named is not None:
                lines[number] = named[1] + self._replacement(named[2], PROCESSES)
                continue
            if _is_process_header(line):
                is_process_row, framed = True, line.lstrip().startswith("|")
                continue
            is_process_row = is_process_row and bool(line.strip())
            if is_process_row and framed and line.lstrip()[:1] not in {"|", "+", "-", "="}:
                is_process_row = False
            if is_process_row:
                lines[number] = self._process_row(line)
            else:
                lines[number] = self._line(line)
        return "\n".join(lines)

    def _learn(self, value: str, category: str) -> None:
        value = value.strip()
        if len(value) < _LEAST_LITERAL_CHARACTERS or _NO_VALUE.fullmatch(value):
            return
        if category is SERIAL_NUMBERS and not any(each.isdigit() for each in value):
            return
        self._literals.setdefault(value, category)
        self._pattern = None

    def _process_row(self, line: str) -> str:
        if len(line) > _LONGEST_ROW_CHARACTERS:  # the pattern below takes its time with a long one
            return self._replacement(line, PROCESSES)
        found = _PROCESS_ROW.fullmatch(line)
        if found is None or _NO_PROCESS.search(line):
            return self._line(line)
        name = found["name"]
        # A frame, or the second line of a header.
        if not any(each.isalnum() for each in name) or not any(
            each.isdigit() for each in found["head"]
        ):
            return self._line(line)
        return found["head"] + self._replacement(name, PROCESSES) + found["tail"]

    def _line(self, line: str) -> str:
        if self._pattern is None:
            self._pattern = _pattern(self._literals)
        parts, position = [], 0
        while (found := self._pattern.search(line, position)) is not None:
            parts.append(line[position : found.start()])
            form, value, position = found.lastgroup, found[0], found.end()
            if form == "label":
                parts.append(value)
                after = _LABELLED_VALUE.match(line, position)
                if after is not None:
                    parts.append(self._labelled(value, after[0]))
                    position = after.end()
            else:
                parts.append(self._form(form or "", value, before=line[: found.start()]))
            if found.end() == found.start():  # no form is empty; a loop must not rest on that
                position += 1
        parts.append(line[position:])
        return "".join(parts)

    def _labelled(self, label: str, value: str) -> str:
        if _NO_VALUE.fullmatch(value.strip()) or not any(each.isalpha() for each in value):
            return value
        label = label.lower()
        if "host" in label:
            return self._replacement(value, HOST_NAMES)
        return self._replacement(value, USER_NAMES if "user" in label else PROCESSES)

    def _form(self, form: str, value: str, *, before: str) -> str:
        if form == "known":
            return self._replacement(value, self._literals[value])
        if form == "uuid":
            return self._replacement(value, UUIDS)
        if form == "mac":
            return self._replacement(value, MAC_ADDRESSES)
        if form == "home":
            return self._replacement(value, USER_NAMES)
        if form in {"serial", "ipv4"} and _VERSION_BEFORE.search(before[-80:]):
            return value
        if form == "serial":
            return self._replacement(value, SERIAL_NUMBERS)
        return self._replacement(value, IP_ADDRESSES) if _is_address(value) else value

    def _replacement(self, value: str, category: str) -> str:
        key = (category, value.strip())
        if key not in self._replaced:
            number = self._numbers[category] = self._numbers.get(category, 0) + 1
            self._replaced[key] = _pseudonym(key[1], number)
        # Blanks around a name are layout.
        start = len(value) - len(value.lstrip())
        return value[:start] + self._replaced[key] + value[start + len(key[1]) :]


def _is_process_header(line: str) -> bool:
    number, name, value = _PROCESS_HEADER
    return bool(number.search(line) and name.search(line) and not value.search(line))


def _pattern(literals: Mapping[str, str]) -> re.Pattern[str]:
    # The longest first: one name may begin with another.
    known = "|".join(re.escape(each) for each in sorted(literals, key=len, reverse=True))
    forms = [f"(?P<{name}>{form})" for name, form in _FORMS]
    if known:
        forms.insert(0, rf"(?P<known>(?<![0-9A-Za-z])(?:{known})(?![0-9A-Za-z]))")
    return re.compile("|".join(forms))


def _pseudonym(value: str, number: int) -> str:
    """Return a text of the same width and shape that holds the number, from the right."""
    prefix = _KEPT_PREFIX.match(value)
    start = prefix.end() if prefix is not None else 0
    is_hex = _HEX.fullmatch(value, start) is not None and not value[start:].isdigit()
    # A number stays a number of as many digits, in JSON too.
    stop = 1 if value.isdigit() and value.isascii() and value[0] != "0" else start
    characters = list(value)
    for position in range(len(value) - 1, stop - 1, -1):
        digits = _digits(value[position], is_hex=is_hex)
        if digits:
            number, digit = divmod(number, len(digits))
            characters[position] = digits[digit]
    if stop > start:
        characters[0] = "1"
    return "".join(characters)


def _digits(character: str, *, is_hex: bool) -> str:
    if not character.isalnum():
        return ""
    if not character.isascii():
        return "某"
    if is_hex:
        return "0123456789ABCDEF" if character.isupper() else "0123456789abcdef"
    if character.isdigit():
        return "0123456789"
    letters = "abcdefghijklmnopqrstuvwxyz"
    return letters.upper() if character.isupper() else letters


def _is_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


def _table_values(text: str) -> Iterator[tuple[str, str]]:
    """Give what stands under a header "SN" or "UUID" in a table with upright lines."""
    columns: dict[int, str] = {}
    width = 0
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        named = {
            position: UUIDS if "uid" in cell.lower() else SERIAL_NUMBERS
            for position, cell in enumerate(cells)
            if len(cells) > 2 and re.fullmatch(rf"(?i){_IDENTITY}", cell)
        }
        if named:
            columns, width = named, len(cells)
        elif len(cells) == width:
            yield from ((cells[position], category) for position, category in columns.items())


def _csv_values(text: str) -> Iterator[tuple[str, str]]:
    """Give what stands under "serial", "uuid" or "process_name" in a table with commas."""
    lines = text.splitlines()
    header = [cell.strip() for cell in lines[0].split(",")] if lines else []
    if len(header) < 2:
        return
    for line in lines[1:]:
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != len(header):
            continue
        for name, cell in zip(header, cells, strict=True):
            if _PROCESS_KEY.search(name):
                yield cell, PROCESSES
            elif _IDENTITY_KEY.search(name):
                yield cell, UUIDS if "uid" in name.lower() else SERIAL_NUMBERS


def _json_values(text: str) -> Iterator[tuple[str, str]]:
    if text.lstrip()[:1] not in {"{", "["}:
        return
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return
    yield from _leaves(found, category=None)


def _leaves(found: Any, *, category: str | None) -> Iterator[tuple[str, str]]:
    """Give the texts and long numbers below a key, or a call, that speaks of an identity."""
    if isinstance(found, dict):
        for key, value in found.items():
            inner = _category_of(key) or category
            yield from _leaves(value, category=None if key == "code" else inner)
    elif isinstance(found, list):
        for value in found:
            yield from _leaves(value, category=category)
    elif category is not None and isinstance(found, str):
        # As it stands in the file, where some characters are escaped.
        yield json.dumps(found, ensure_ascii=False)[1:-1], category
    elif (
        category in {SERIAL_NUMBERS, UUIDS}
        and isinstance(found, int)
        and abs(found) >= _LEAST_SERIAL_INTEGER
    ):
        yield str(abs(found)), category


def _category_of(key: str) -> str | None:
    if re.search(r"(?i)[ug]uid", key):
        return UUIDS
    if _IDENTITY_KEY.search(key) or ("(" in key and _IDENTITY_CALL.search(key)):
        return SERIAL_NUMBERS
    return PROCESSES if _PROCESS_KEY.search(key) else None
