"""Reads single values of nvidia-smi into NVML's units; pure.

What is no value becomes the failure that NVML gave the tool; what is not understood becomes one of
our own, never a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from collectors.accelerators import quantities
from collectors.accelerators.nvidia import explain
from collectors.accelerators.nvidia.answers import Number, Text
from collectors.accelerators.nvidia.explain import Failure
from collectors.accelerators.quantities import Unknown

NOT_SHOWN = Failure(explain.NOT_SHOWN)
NOT_UNDERSTOOD = Failure(explain.NOT_UNDERSTOOD)

# In small letters and without the brackets of the CSV form.
_CODES: Mapping[str, int] = MappingProxyType(
    {
        "": explain.NOT_SUPPORTED,
        "-": explain.NOT_SUPPORTED,
        "--": explain.NOT_SUPPORTED,
        "n/a": explain.NOT_SUPPORTED,
        "na": explain.NOT_SUPPORTED,
        "not available": explain.NOT_SUPPORTED,
        "not supported": explain.NOT_SUPPORTED,
        "insufficient permissions": explain.NO_PERMISSION,
        "not found": explain.NOT_FOUND,
        "gpu is lost": explain.GPU_IS_LOST,
        "gpu requires reset": explain.RESET_REQUIRED,
        "requested functionality has been deprecated": explain.DEPRECATED,
        "err!": explain.UNKNOWN,
        "error": explain.UNKNOWN,
        "unknown error": explain.UNKNOWN,
    }
)
_COUNT = re.compile(r"[0-9]{1,18}", re.ASCII)
_MASKED = re.compile(r"[xX*?]{2,}")
_CUT_NAME = re.compile(r"\.\.+$|…$")

# The tool's words for `nvmlDeviceGpuRecoveryAction_t`; the first that fits.
_RECOVERY_ACTIONS = (
    (re.compile(r"none", re.IGNORECASE), 0),
    (re.compile(r"(?:gpu |node )?reboot", re.IGNORECASE), 2),
    (re.compile(r"drain p2p", re.IGNORECASE), 3),
    (re.compile(r"drain and reset", re.IGNORECASE), 4),
    (re.compile(r"(?:gpu )?reset", re.IGNORECASE), 1),
)


def text(shown: str | None) -> Text:
    """Return a text as it is written."""
    failure = _failure(shown)
    return failure or (shown or "").strip()


def name(shown: str | None) -> Text:
    """Return a product's name; one that the table cut off is none."""
    given = text(shown)
    if not isinstance(given, Failure) and _CUT_NAME.search(given):
        return Failure(explain.NAME_IS_CUT)
    return given


def amount_bytes(shown: str | None) -> Number:
    """Return an amount of memory (`40960 MiB`)."""
    return _measured(shown, quantities.size_bytes, scale=1)


def used_bytes(shown: str | None, *, total: Number) -> Number:
    """Return how much memory is in use: no more than there is."""
    used = amount_bytes(shown)
    if isinstance(used, Failure) or isinstance(total, Failure):
        return used
    return used if used <= total else NOT_UNDERSTOOD


def percent(shown: str | None) -> Number:
    """Return a share (`9 %`) in percent."""
    return _measured(shown, quantities.ratio, scale=100)


def celsius(shown: str | None) -> Number:
    """Return a temperature (`53 C`) in whole degrees, as NVML gives it."""
    return _measured(shown, quantities.celsius, scale=1)


def milliwatts(shown: str | None) -> Number:
    """Return a power (`66.92 W`)."""
    return _measured(shown, quantities.watts, scale=1000)


def count(shown: str | None) -> Number:
    """Return a number without a unit."""
    failure = _failure(shown)
    if failure is not None:
        return failure
    stripped = (shown or "").strip()
    return int(stripped) if _COUNT.fullmatch(stripped) else NOT_UNDERSTOOD


def flag(shown: str | None) -> Number:
    """Return 1 for `Yes` and 0 for `No`."""
    failure = _failure(shown)
    if failure is not None:
        return failure
    return {"yes": 1, "no": 0}.get((shown or "").strip().casefold(), NOT_UNDERSTOOD)


def recovery_action(shown: str | None) -> Number:
    """Return the driver's advice as NVML numbers it."""
    failure = _failure(shown)
    if failure is not None:
        return failure
    stripped = (shown or "").strip()
    return next(
        (number for words, number in _RECOVERY_ACTIONS if words.fullmatch(stripped)),
        NOT_UNDERSTOOD,
    )


def first_given(answers: Iterable[Number]) -> Number:
    """Return the first value; without one, the failure that says most."""
    failures: list[Failure] = []
    for answer in answers:
        if not isinstance(answer, Failure):
            return answer
        failures.append(answer)
    return next((each for each in failures if each != NOT_SHOWN), NOT_SHOWN)


def total(answers: Iterable[Number]) -> Number:
    """Return the sum of the values that are given; without one, the failure that says most."""
    answered = list(answers)
    values = [each for each in answered if not isinstance(each, Failure)]
    return sum(values) if values else first_given(answered)


def _measured(shown: str | None, read: Callable[[str], float | Unknown], *, scale: int) -> Number:
    failure = _failure(shown)
    if failure is not None:
        return failure
    value = read(shown or "")
    return NOT_UNDERSTOOD if isinstance(value, Unknown) else round(value * scale)


def _failure(shown: str | None) -> Failure | None:
    if shown is None:
        return NOT_SHOWN
    stripped = shown.strip()
    code = _CODES.get(stripped.removeprefix("[").removesuffix("]").strip().casefold())
    if code is not None:
        return Failure(code)
    return NOT_UNDERSTOOD if _MASKED.fullmatch(stripped) else None
