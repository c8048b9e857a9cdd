"""What the failures of cndev and cnmon mean, in words for an operator; pure.

The codes are those of `cndevRet_t`. Negative ones are our own: the call never reached the driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from collectors.accelerators.cambricon.facts import Unknown

SUCCESS = 0
NO_DRIVER = 1
UNSUPPORTED_VERSION = 3
INSUFFICIENT_SPACE = 9
NOT_SUPPORTED = 10
NO_DEVICES = 12
NO_PERMISSION = 13
IN_PROBLEM = 18

LIBRARY_NOT_FOUND = -1
LIBRARY_UNUSABLE = -2
FUNCTION_NOT_FOUND = -3
UNKNOWN_LAYOUT = -4

# With these the machine has no card to offer; every other failure is one of a card's or a driver's.
ABSENT = frozenset({LIBRARY_NOT_FOUND, NO_DRIVER, NO_DEVICES})


@dataclass(frozen=True, slots=True)
class Explanation:
    """Says what happened, and what an operator can do; `hint` is None if nothing is known."""

    reason: str
    hint: str | None = None


_DRIVER_LOG = "look for cambricon lines in `dmesg`"
_PERMISSION = "check who may open /dev/cambricon_ctl and /dev/cambricon_dev0"
_LOAD_DRIVER = "load it with `modprobe cambricon-drv`; if that fails, read `dmesg`"
_SAME_VERSION = "install the driver and the Neuware library of one release, then reboot"
_NO_CARD_HINT = "see `lspci -d cabc:`; in a container, hand the cards' device nodes to it"

_EXPLANATIONS: Mapping[int, Explanation] = MappingProxyType(
    {
        NO_DRIVER: Explanation("the Cambricon driver is not loaded", _LOAD_DRIVER),
        2: Explanation("the Cambricon driver is too old for its library", _SAME_VERSION),
        UNSUPPORTED_VERSION: Explanation(
            "the library does not know this call in a version that is known here", _SAME_VERSION
        ),
        4: Explanation("the Cambricon library has been shut down"),
        5: Explanation("the library refuses the question (invalid argument)"),
        6: Explanation("the driver does not know this card (invalid device)", _DRIVER_LOG),
        7: Explanation("the driver failed without saying why (unknown error)", _DRIVER_LOG),
        8: Explanation("the driver is short of memory"),
        INSUFFICIENT_SPACE: Explanation("the driver's answer does not fit"),
        NOT_SUPPORTED: Explanation("not offered by this card (cndev)"),
        11: Explanation("the card does not have this link"),
        NO_DEVICES: Explanation("the Cambricon driver finds no card", _NO_CARD_HINT),
        NO_PERMISSION: Explanation("the driver does not allow this user to ask", _PERMISSION),
        14: Explanation("the driver does not know it (not found)"),
        15: Explanation("the card is in use"),
        16: Explanation("the driver already has it (duplicate)"),
        17: Explanation("the driver did not answer in its own time", _DRIVER_LOG),
        IN_PROBLEM: Explanation("the driver says that the card is in problem", _DRIVER_LOG),
        LIBRARY_NOT_FOUND: Explanation(
            "the Cambricon library is not on this machine",
            "install Cambricon Neuware, or name the file in accelerators.cambricon.library",
        ),
        LIBRARY_UNUSABLE: Explanation(
            "the Cambricon library cannot be loaded",
            "it may be of another processor or incomplete: try `ldd` on it",
        ),
        FUNCTION_NOT_FOUND: Explanation("not offered by this library (cndev)"),
        UNKNOWN_LAYOUT: Explanation("the library answers in a layout that is not known here"),
    }
)

# cnmon's own texts are not published: these words are looked for in whatever it prints.
_TOOL_WORDS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("permission",), NO_PERMISSION),
    (("not permitted",), NO_PERMISSION),
    (("driver", "not load"), NO_DRIVER),
    (("no driver",), NO_DRIVER),
    (("driver", "not found"), NO_DRIVER),
    (("driver", "not install"), NO_DRIVER),
    (("driver", "version"), 2),
    (("no mlu",), NO_DEVICES),
    (("no device",), NO_DEVICES),
    (("no card",), NO_DEVICES),
)
_SHOWN_CHARACTERS = 160


def explain(code: int) -> Explanation:
    """Return the words for a code; one that is not known keeps its number."""
    return _EXPLANATIONS.get(code) or Explanation(
        f"the driver failed with cndev code {code}", _DRIVER_LOG
    )


def failure(code: int) -> Unknown:
    """Return what stands for the value of a call that failed."""
    return Unknown(explain(code).reason, code)


def tool_failure(text: str, *, exit_status: int) -> Explanation:
    """Return why cnmon gave no table, from what it printed."""
    lines = [line.strip(" |+-=") for line in text.splitlines()]
    said = next((line for line in lines if line), "nothing")[:_SHOWN_CHARACTERS]
    lowered = text.lower()
    for words, code in _TOOL_WORDS:
        if all(word in lowered for word in words):
            known = explain(code)
            return Explanation(f"{known.reason} (cnmon: {said})", known.hint)
    return Explanation(
        f"cnmon printed no table that can be read (exit status {exit_status}): {said}",
        "run `cnmon` by hand and look at what it says",
    )
