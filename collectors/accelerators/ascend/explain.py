"""What DCMI's return codes and npu-smi's complaints mean, in words for an operator; pure.

The codes are those of Huawei's DCMI reference; positive codes are this package's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

OK = 0
NO_PERMISSION = -8002
INNER_ERROR = -8005
NO_DEVICE = -8008
DEVICE_USED = -8020
NOT_SUPPORTED = -8255

LIBRARY_NOT_FOUND = 1
FUNCTION_NOT_FOUND = 2
STRUCTURE_GREW = 3
NOT_IN_RECORDING = 4

# With these a library only says that it, or this chip, does not have the call.
LACKING = frozenset({NOT_SUPPORTED, FUNCTION_NOT_FOUND, NOT_IN_RECORDING})

_MAX_SHOWN_CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class Explanation:
    """Says what went wrong, and what an operator can do; `hint` is None if nothing is known."""

    reason: str
    hint: str | None = None


_DRIVER_LOG = "see `dmesg` and /var/log/npu; after a change of the driver the machine must reboot"
_RIGHTS = (
    "run the agent as root or in the group HwHiAiUser; in a container hand over /dev/davinci*, "
    "/dev/davinci_manager, /dev/devmm_svm and /dev/hisi_hdc; after a change of the driver, reboot"
)

_CODES: Mapping[int, Explanation] = MappingProxyType(
    {
        -8001: Explanation("the driver refuses the question (parameter)"),
        NO_PERMISSION: Explanation("no permission to ask the driver", _RIGHTS),
        -8003: Explanation("the driver failed on memory", _DRIVER_LOG),
        -8004: Explanation("the driver failed inside (secure function)", _DRIVER_LOG),
        INNER_ERROR: Explanation("the driver did not let itself be used (inner error)", _RIGHTS),
        -8006: Explanation("the driver did not answer in time", _DRIVER_LOG),
        -8007: Explanation("the driver does not know this card or chip"),
        NO_DEVICE: Explanation("the driver finds no device", "see `lspci -d 19e5:`"),
        -8009: Explanation("the driver failed (ioctl)", _DRIVER_LOG),
        -8010: Explanation("the driver could not reach the chip (send)", _DRIVER_LOG),
        -8011: Explanation("the driver could not reach the chip (receive)", _DRIVER_LOG),
        -8012: Explanation(
            "the chip is not ready: it may have dropped off the bus",
            "see `lspci -d 19e5:`; reset the card or reboot",
        ),
        -8013: Explanation("not offered inside a container"),
        -8014: Explanation("the driver failed on a file", _DRIVER_LOG),
        -8015: Explanation("the reset of the chip failed", _DRIVER_LOG),
        -8016: Explanation("the driver gave up", _DRIVER_LOG),
        -8017: Explanation("the chip's firmware is being upgraded", "wait for the upgrade"),
        DEVICE_USED: Explanation(
            "the device is in use by another container",
            "stop the other container, or give this one another chip",
        ),
        -8022: Explanation("not offered on a divided chip (vNPU)"),
        -8023: Explanation("the chip is not configured for this"),
        NOT_SUPPORTED: Explanation("not offered by this chip (DCMI)"),
        LIBRARY_NOT_FOUND: Explanation(
            "the DCMI library could not be loaded",
            "install the Ascend driver, or give the path of libdcmi.so",
        ),
        FUNCTION_NOT_FOUND: Explanation("not offered by this version of the library (DCMI)"),
        STRUCTURE_GREW: Explanation(
            "the library's answer is longer than this program knows (DCMI)",
            "the driver is newer than this program: report it, with `computility-agent record`",
        ),
        NOT_IN_RECORDING: Explanation("not in the recording"),
    }
)

# The tool's exit status is the code's last byte.
_BY_EXIT_STATUS = {code & 0xFF: code for code in _CODES if code < 0}
_CODE_IN_TEXT = re.compile(r"\bret(?:urn)?(?: code)? *(?:is|=|:) *(-\d{4})\b")


def explain(code: int) -> Explanation:
    """Return what a code means."""
    known = _CODES.get(code)
    return Explanation(f"DCMI error {code}", _DRIVER_LOG) if known is None else known


def code_in(text: str) -> int | None:
    """Return the code of DCMI that npu-smi tells in a complaint; None where it tells none."""
    found = _CODE_IN_TEXT.findall(text)
    return int(found[-1]) if found else None


def explain_text(text: str, *, exit_status: int) -> Explanation:
    """Return what npu-smi means with an answer that holds no table.

    It complains on standard output, and not always with a status other than 0.
    """
    shown = " ".join(text.split())
    code = code_in(text)
    if code is None and not shown:
        code = _BY_EXIT_STATUS.get(exit_status)
    if code is not None:
        known = explain(code)
        return Explanation(f"npu-smi: {known.reason} ({code})", known.hint)
    lowered = shown.lower()
    if "invalid card id" in lowered:
        return Explanation(
            "npu-smi does not know this card (Invalid card id)",
            "the card may have dropped off the bus: see `lspci -d 19e5:`",
        )
    if "permission denied" in lowered or "operation not permitted" in lowered:
        return Explanation("npu-smi has no permission to ask the driver", _RIGHTS)
    if "cannot open shared object" in lowered or "error while loading shared" in lowered:
        return Explanation(
            f"npu-smi does not start: {shown[:_MAX_SHOWN_CHARACTERS]}",
            "let the loader find /usr/local/Ascend/driver/lib64/driver and .../common "
            "(a file in /etc/ld.so.conf.d)",
        )
    if not shown:
        return Explanation(f"npu-smi printed nothing (status {exit_status})", _DRIVER_LOG)
    return Explanation(
        f"npu-smi printed no table of chips (status {exit_status}): {shown[:_MAX_SHOWN_CHARACTERS]}"
    )
