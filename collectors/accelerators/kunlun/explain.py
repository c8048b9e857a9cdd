"""What libxpuml's return codes and the tool's error texts mean, in words for an operator; pure.

The codes carry the numbers of NVML, as the maker's own Go binding lists them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SUCCESS = 0
NOT_SUPPORTED = 3
DRIVER_NOT_LOADED = 9
LIBRARY_NOT_FOUND = 12
FUNCTION_NOT_FOUND = 13
LOST = 15
RESET_REQUIRED = 16
# Not the library's: what this program makes of an answer that it cannot read.
STRUCTURE_GREW = -1


@dataclass(frozen=True, slots=True)
class Explanation:
    """Says what happened, and what an operator can do; `hint` is None if nothing is known."""

    reason: str
    hint: str | None = None


_LOAD_DRIVER = "load the driver: `modprobe kunlun`, then `ls -l /dev/xpu*`; else read `dmesg`"
_INSTALL = "install Kunlunxin's XRE; in a container, hand the devices and xpu-smi to it"
_PERMISSION = "the device nodes must be crw-rw-rw-: see `ls -l /dev/xpu*`"
_DRIVER_LOG = "look for kunlun in `dmesg`"
_RESET = "stop what uses the card, then reset it with the XRE's soft_reset, or reboot"
_REBOOT = "reboot the machine; if the card stays away, check its power and its slot"
CHECK_BUS = "see `lspci -d 1d22:` and `lspci -d 2057:`"
INTEL_HINT = "name Kunlunxin's tool with its path in accelerators.kunlun.tool"

_CODES: Mapping[int, Explanation] = MappingProxyType(
    {
        STRUCTURE_GREW: Explanation("libxpuml writes a longer structure than is known here"),
        1: Explanation("libxpuml was not initialised"),
        2: Explanation("libxpuml refuses the question (invalid argument)"),
        NOT_SUPPORTED: Explanation("not offered by this card (libxpuml)"),
        4: Explanation("the driver does not allow this user to ask", _PERMISSION),
        6: Explanation("libxpuml does not find it"),
        7: Explanation("libxpuml's answer does not fit"),
        8: Explanation(
            "the card's power cables are not connected",
            "connect the power cables of the card and reboot",
        ),
        DRIVER_NOT_LOADED: Explanation("Kunlunxin's driver is not loaded", _LOAD_DRIVER),
        10: Explanation("the driver did not answer in its own time", _DRIVER_LOG),
        11: Explanation("the driver has a problem with the card's interrupt", _DRIVER_LOG),
        LIBRARY_NOT_FOUND: Explanation("libxpuml is not on this machine", _INSTALL),
        FUNCTION_NOT_FOUND: Explanation("not offered by this libxpuml"),
        14: Explanation("the card's infoROM is damaged", "have the card serviced"),
        LOST: Explanation("the card is lost: it fell off the bus", _REBOOT),
        RESET_REQUIRED: Explanation("the card needs a reset", _RESET),
        17: Explanation("the operating system refused the driver's request", _PERMISSION),
        18: Explanation(
            "libxpuml and the loaded driver are of different versions",
            "XRE was upgraded: reboot, or reload the kernel module",
        ),
        19: Explanation("the card is in use"),
        20: Explanation("the driver is short of memory"),
        21: Explanation("the card has no figure yet"),
        23: Explanation("the driver is short of resources"),
        999: Explanation("libxpuml failed without saying why (unknown error)", _DRIVER_LOG),
    }
)

# The tool's texts for these are not documented, so that words are looked for.
_TEXTS: tuple[tuple[re.Pattern[str], Explanation], ...] = (
    (
        re.compile(r"permission denied|no permission|not permitted", re.IGNORECASE),
        Explanation("the driver does not allow this user to ask", _PERMISSION),
    ),
    (
        re.compile(
            r"driver.{0,40}not (?:loaded|running|installed|found)|"
            r"xpuctrl.{0,40}no such|no such.{0,40}xpuctrl|communicate with.{0,40}driver",
            re.IGNORECASE,
        ),
        Explanation("Kunlunxin's driver is not loaded", _LOAD_DRIVER),
    ),
    (
        re.compile(r"no (?:xpu |kunlun )?devices?\b|initialize default context", re.IGNORECASE),
        Explanation("the driver finds no card", CHECK_BUS),
    ),
    (
        re.compile(r"cannot open shared object|error while loading shared", re.IGNORECASE),
        Explanation("the tool does not find a library of XRE", _INSTALL),
    ),
    (
        re.compile(r"version mismatch|mismatched version", re.IGNORECASE),
        Explanation("the tool and the loaded driver are of different versions", _LOAD_DRIVER),
    ),
)


def code(number: int) -> Explanation:
    """Return the words for a return code; one that is not known keeps its number."""
    known = _CODES.get(number)
    return known or Explanation(f"libxpuml failed with code {number}", _DRIVER_LOG)


def tool_text(text: str) -> Explanation | None:
    """Return the words for a tool's error text; None where it is not one that is known."""
    for pattern, explanation in _TEXTS:
        if pattern.search(text):
            return explanation
    return None


def no_device(text: str, *, shown: str, exit_status: int) -> Explanation:
    """Return the words for a tool's text without a device; `shown` is the command."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    said = f"'{first[:80]}'" if first else "nothing"
    return Explanation(
        f"{shown} showed no device: it printed {said} and ended with status {exit_status}",
        f"run `{shown}` by hand",
    )


def intel(shown: str) -> Explanation:
    """Return the words for a program that is Intel's."""
    return Explanation(f"{shown} is Intel's tool of that name, not Kunlunxin's", INTEL_HINT)


def not_found(names: str) -> Explanation:
    """Return the words for a machine that has nothing of XRE."""
    return Explanation(f"{names} on this machine", _INSTALL)
