"""The places of the operational figures in an answer, from the settings."""

from __future__ import annotations

from collections.abc import Mapping

from agent.errors import PermanentError
from agent.protocols.tc609.operational import OperationalMembers


def of(members: Mapping[str, str] | None) -> OperationalMembers:
    """Return the places that a site wants, or the default ones.

    Raises:
        PermanentError: a place is empty, too deep, taken twice, or both a group and a member.
    """
    if members is None:
        return OperationalMembers()
    try:
        return OperationalMembers(members)
    except ValueError as error:
        raise PermanentError(str(error)) from error
