"""Who may use the monitoring platform: users, and the tokens that they were given (A.1)."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.simulator.monitoring.codes import Code, Refused

_TOKEN_BYTES = 32
_TOKENS_MAXIMUM = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    username: str
    ends_monotonic_seconds: float


class Accounts:
    """Holds users and tokens, in memory alone: a restart ends every token. Safe in every thread."""

    def __init__(
        self, users: Mapping[str, str], *, token_seconds: int, monotonic: Callable[[], float]
    ) -> None:
        self._users = dict(users)
        self.token_seconds = token_seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._holders: OrderedDict[str, _Holder] = OrderedDict()

    def log_in(self, username: str, password: str) -> str:
        """Return a new token.

        Raises:
            Refused: there is no such user, or it has another password (10001).
        """
        own = self._users.get(username)
        is_right = hmac.compare_digest(
            (own or "").encode("utf-8", "replace"), password.encode("utf-8", "replace")
        )
        if own is None or not is_right:
            raise Refused("wrong username or password", code=Code.USER_REFUSED)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        with self._lock:
            self._holders[token] = _Holder(
                username=username, ends_monotonic_seconds=self._monotonic() + self.token_seconds
            )
            while len(self._holders) > _TOKENS_MAXIMUM:
                self._holders.popitem(last=False)
        return token

    def user_of(self, token: str | None) -> str:
        """Return whose token this is.

        Raises:
            Refused: none was sent, nobody has it, or it has ended (10002).
        """
        if token is None:
            raise Refused(
                "no token was sent: put the one of /api/token in the header Authorization: Bearer, "
                "or token",
                code=Code.TOKEN_INVALID,
            )
        with self._lock:
            holder = self._holders.get(token)
            if holder is None:
                raise Refused("the token is of nobody", code=Code.TOKEN_INVALID)
            if self._monotonic() >= holder.ends_monotonic_seconds:
                del self._holders[token]
                raise Refused("the token has ended", code=Code.TOKEN_INVALID)
        return holder.username

    def end(self, token: str | None) -> None:
        """Make a token invalid; an unknown one is no error."""
        with self._lock:
            self._holders.pop(token or "", None)

    def as_json(self) -> list[dict[str, str]]:
        """Return the users, with their passwords, for the control endpoint."""
        return [
            {"username": username, "password": password}
            for username, password in self._users.items()
        ]
