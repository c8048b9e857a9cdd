"""What the monitoring platform answers: the codes of annex C, and how it says no."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from agent.errors import AgentError
from agent.simulator.validation import Finding

MESSAGE_LENGTH_MAXIMUM = 1024


class Code(enum.IntEnum):
    """Is the `code` of an answer: 200, or one of annex C."""

    SUCCESS = 200
    USER_REFUSED = 10001
    TOKEN_INVALID = 10002
    PERMISSION_DENIED = 10003
    TYPE_WRONG = 10004
    FIELD_MISSING = 10005
    SIGN_MISSING = 10006
    OTHER = 99999

    @property
    def http_status(self) -> int:
        """Return the status that fits, for platforms that tell failures by it, too."""
        return _HTTP_STATUSES.get(self, 400)


_HTTP_STATUSES = {
    Code.SUCCESS: 200,
    Code.USER_REFUSED: 401,
    Code.TOKEN_INVALID: 401,
    Code.PERMISSION_DENIED: 403,
}


class Refused(AgentError):  # noqa: N818 - a decision, not a fault
    """Says that the platform refuses a request, with the code and text of the answer."""

    def __init__(self, message: str, *, code: Code, findings: Sequence[Finding] = ()) -> None:
        super().__init__(message)
        self.message = message[:MESSAGE_LENGTH_MAXIMUM]
        self.code = code
        self.findings = tuple(findings)


def refused_for(findings: Sequence[Finding]) -> Refused:
    """Return the refusal of a message that breaks its table.

    Annex C has one code for what is missing and one for what is wrong; where both are there, what
    is missing goes first.
    """
    fatal = [finding for finding in findings if finding.fatal]
    is_missing = any(finding.is_missing for finding in fatal)
    return Refused(
        "; ".join(str(finding) for finding in fatal),
        code=Code.FIELD_MISSING if is_missing else Code.TYPE_WRONG,
        findings=findings,
    )
