"""What NVML's return codes mean, in words for an operator; pure.

The numbers are those of `nvmlReturn_t` in NVIDIA's NVML API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

UNINITIALIZED = 1
INVALID_ARGUMENT = 2
NOT_SUPPORTED = 3
NO_PERMISSION = 4
NOT_FOUND = 6
DRIVER_NOT_LOADED = 9
LIBRARY_NOT_FOUND = 12
FUNCTION_NOT_FOUND = 13
GPU_IS_LOST = 15
RESET_REQUIRED = 16
LIB_RM_VERSION_MISMATCH = 18
ARGUMENT_VERSION_MISMATCH = 25
DEPRECATED = 26
NO_CARD = 28
UNKNOWN = 999
# Not one of NVML's: a call that a recording does not hold.
NOT_RECORDED = -1
# What nvidia-smi alone can do wrong: leave out, print what is not known here, cut a name short.
NOT_SHOWN = -2
NOT_UNDERSTOOD = -3
NAME_IS_CUT = -4


@dataclass(frozen=True, slots=True)
class Failure:
    """Is an NVML call that gave no value: its return code."""

    code: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Says what a code means, and what an operator can do; `hint` is None if nothing is known."""

    reason: str
    hint: str | None = None


_REBOOT = "reboot the machine; if the card stays away, check its power and its slot"
_DRIVER_LOG = "look for NVRM and Xid lines in `dmesg`"

_EXPLANATIONS: Mapping[int, Explanation] = MappingProxyType(
    {
        UNINITIALIZED: Explanation("the NVIDIA library has been shut down"),
        INVALID_ARGUMENT: Explanation("the driver refuses the question (invalid argument)"),
        NOT_SUPPORTED: Explanation("not offered by this card (NVML)"),
        NO_PERMISSION: Explanation(
            "the driver does not allow this user to ask",
            "check the permissions of /dev/nvidiactl and /dev/nvidia0",
        ),
        5: Explanation("the NVIDIA library is in use already (already initialized)"),
        NOT_FOUND: Explanation("the driver does not know it (not found)"),
        7: Explanation("the driver's answer does not fit (insufficient size)"),
        8: Explanation(
            "the card's power cables are not connected",
            "connect the power cables of the card and reboot",
        ),
        DRIVER_NOT_LOADED: Explanation(
            "the NVIDIA driver is not loaded",
            "load it with `modprobe nvidia`; if that fails, read `dmesg`",
        ),
        10: Explanation("the driver did not answer in its own time", _DRIVER_LOG),
        11: Explanation("the driver has a problem with the card's interrupt", _DRIVER_LOG),
        LIBRARY_NOT_FOUND: Explanation(
            "the NVIDIA library is not on this machine",
            "install the NVIDIA driver; in a container, start it with the NVIDIA runtime",
        ),
        FUNCTION_NOT_FOUND: Explanation("not offered by this driver (NVML)"),
        14: Explanation("the card's infoROM is damaged", "have the card serviced"),
        GPU_IS_LOST: Explanation("the card is lost: it fell off the bus", _REBOOT),
        RESET_REQUIRED: Explanation(
            "the card needs a reset",
            "stop what uses the card, this agent too, then `nvidia-smi --gpu-reset` or reboot",
        ),
        17: Explanation("the operating system refused the driver's request", _DRIVER_LOG),
        LIB_RM_VERSION_MISMATCH: Explanation(
            "the NVIDIA library and the loaded driver are of different versions",
            "the driver was upgraded: reboot, or reload its kernel modules and restart the agent",
        ),
        19: Explanation("the card is in use"),
        20: Explanation("the driver is short of memory"),
        21: Explanation("the card has no figure yet"),
        22: Explanation("the driver of this virtual GPU has no ECC"),
        23: Explanation("the driver is short of resources"),
        24: Explanation("the card does not offer this frequency"),
        ARGUMENT_VERSION_MISMATCH: Explanation("the driver knows this call in another version"),
        DEPRECATED: Explanation("the driver no longer offers this call"),
        27: Explanation("the card is not ready yet"),
        NO_CARD: Explanation("the driver finds no card", _DRIVER_LOG),
        29: Explanation("the card is in a state in which it cannot be asked"),
        30: Explanation("the card does not offer this kind of reset"),
        NOT_RECORDED: Explanation("not in the recording"),
        NOT_SHOWN: Explanation("nvidia-smi does not show it"),
        NOT_UNDERSTOOD: Explanation("what nvidia-smi shows is not understood"),
        NAME_IS_CUT: Explanation("nvidia-smi cuts the name short in this table"),
        UNKNOWN: Explanation("the driver failed without saying why (unknown error)", _DRIVER_LOG),
    }
)


def explain(failure: Failure) -> Explanation:
    """Return the words for a failure; a code that is not known keeps its number."""
    known = _EXPLANATIONS.get(failure.code)
    return known or Explanation(f"the driver failed with NVML code {failure.code}", _DRIVER_LOG)
