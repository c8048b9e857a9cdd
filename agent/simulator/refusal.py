"""What the simulator answers when it says no.

The standard has no list of result codes: 0 is success, anything else is failure. These are the
simulator's own: the HTTP status times a hundred, and one digit more.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from agent.errors import AgentError
from agent.simulator.validation import Finding

MESSAGE_LENGTH_MAXIMUM = 1024


class ResultCode(enum.IntEnum):
    """Is the `Code` of an answer; the first three digits are its HTTP status."""

    SUCCESS = 0
    NOT_JSON = 40001
    TABLE_VIOLATED = 40002
    TOKEN_REFUSED = 40101
    PASSWORD_UNREADABLE = 40301
    CREDENTIALS_REFUSED = 40302
    NO_SUCH_PATH = 40400
    UNKNOWN_DEVICE = 40401
    UNKNOWN_PACKAGE = 40402
    UNKNOWN_LICENCE = 40403
    NO_SUCH_METHOD = 40500
    PLATFORM_FULL = 40901
    PACKAGE_IN_USE = 40902
    TOO_LARGE = 41300
    NOT_A_JSON_TYPE = 41500
    INTERNAL = 50000
    DEVICE_FAILED = 50200

    @property
    def status(self) -> int:
        """Return the HTTP status that goes with the code."""
        return 200 if self is ResultCode.SUCCESS else int(self) // 100


class Refusal(AgentError):  # noqa: N818 - a decision, not a fault
    """Says that the platform refuses a request, with the result code and text of the answer."""

    def __init__(self, message: str, *, code: ResultCode, findings: Sequence[Finding] = ()) -> None:
        super().__init__(message)
        self.message = message[:MESSAGE_LENGTH_MAXIMUM]
        self.code = code
        self.findings = tuple(findings)
