"""How a session with one platform stands, as others may read it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime


class SessionState(str, enum.Enum):
    """Says where a session stands with its platform.

    `starting`: not registered yet. `registered`: the platform holds us, single keepalives may be
    missing. `lost`: it forgot us, refused the token or fell silent; registering again. `failing`:
    registrations get no answer. `refused`: it answers registrations with no. `stopped`: ended.
    """

    STARTING = "starting"
    REGISTERED = "registered"
    LOST = "lost"
    FAILING = "failing"
    REFUSED = "refused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatus:
    """Is a session at one moment; immutable, safe in every thread.

    A contact is a registration or a keepalive that the platform accepted. `worst_gap_seconds` is
    the longest time between two of them since start, the running one included; None before the
    first. `next_action_in_seconds` may be negative while an exchange runs. `address` is what the
    platform was told last. `failures` counts every exchange that was not accepted.
    """

    name: str
    url: str
    computility_code: str
    state: SessionState = SessionState.STARTING
    address: str | None = None
    registered_at: datetime | None = None
    last_contact_at: datetime | None = None
    last_contact_seconds_ago: float | None = None
    worst_gap_seconds: float | None = None
    next_action: str = "register"
    next_action_in_seconds: float | None = None
    misses_in_a_row: int = 0
    registrations_accepted: int = 0
    registrations_failed: int = 0
    keepalives_accepted: int = 0
    keepalives_failed: int = 0
    token_changes: int = 0
    last_error: str | None = None
    last_error_at: datetime | None = None

    @property
    def is_registered(self) -> bool:
        """Tell whether the platform holds this node, as far as we know."""
        return self.state is SessionState.REGISTERED

    @property
    def failures(self) -> int:
        """Return how many exchanges were not accepted."""
        return self.registrations_failed + self.keepalives_failed
