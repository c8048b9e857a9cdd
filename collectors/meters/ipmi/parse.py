"""What `ipmitool dcmi power reading` prints → watts."""

from __future__ import annotations

import re

from collectors.meters import amounts

_LINE = re.compile(r"\s*(?P<name>[^:]{1,100}?)\s*:\s*(?P<value>.{0,200}?)\s*")
_READING = "instantaneous power reading"
_STATE = "power reading state is"
_WATTS = re.compile(r"([0-9]{1,7}) watts?", re.IGNORECASE)


def watts(text: str) -> float:
    """Return the power of now.

    Raises:
        ValueError: it is not told, or the controller says that it does not measure.
    """
    told: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line[:400])
        if match is not None:
            told.setdefault(match["name"].lower(), match["value"])
    if _READING not in told:
        raise ValueError("it prints no instantaneous power reading")
    state = told.get(_STATE, "")
    if state.lower() != "activated":
        raise ValueError(f"the power reading is {_printable(state) or 'in no known state'}")
    match = _WATTS.fullmatch(told[_READING])
    if match is None:
        raise ValueError(f"it prints {_printable(told[_READING])}, not a number of watts")
    return amounts.watts(int(match[1]))


def complaint(text: str) -> str:
    """Return the last line that says something, short enough to be shown."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _printable(lines[-1]) if lines else "nothing"


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)[:200]
