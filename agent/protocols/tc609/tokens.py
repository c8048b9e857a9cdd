"""The tokens that this node gives to platforms (A.1): drawn at random, and valid for a while."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

from agent.model.clock import Clock
from agent.model.secret import Secret

DEFAULT_LIFETIME_SECONDS = 3600
# A platform of several processes asks for one each; whoever asks more loses the oldest.
TOKENS_PER_USER = 16
TOKEN_MAXIMUM = 256
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """Is a token that was just drawn."""

    token: Secret
    expires_in_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    username: str
    ends_at_seconds: float


class TokenStore:
    """Holds who has which token, in memory alone; safe in every thread.

    Only digests are kept, and a token is looked up by its digest: how long that takes tells nothing
    of the tokens of others. After a restart platforms ask for new ones, as they do at code 10002.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        lifetime_seconds: int = DEFAULT_LIFETIME_SECONDS,
        per_user: int = TOKENS_PER_USER,
    ) -> None:
        self._clock = clock
        self._lifetime_seconds = lifetime_seconds
        self._per_user = per_user
        self._lock = threading.Lock()
        # In the order in which they were drawn, which is that in which they end.
        self._holders: OrderedDict[bytes, _Holder] = OrderedDict()

    def __len__(self) -> int:
        return len(self._holders)

    def issue(self, username: str) -> IssuedToken:
        """Return a new token of a user; the oldest of too many ends now."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        now_seconds = self._clock.monotonic()
        with self._lock:
            self._forget(now_seconds)
            own = [key for key, holder in self._holders.items() if holder.username == username]
            for key in own[: max(0, len(own) - self._per_user + 1)]:
                del self._holders[key]
            self._holders[_digest(token)] = _Holder(
                username=username, ends_at_seconds=now_seconds + self._lifetime_seconds
            )
        return IssuedToken(token=Secret(token), expires_in_seconds=self._lifetime_seconds)

    def username_of(self, token: str) -> str | None:
        """Return whose token this is; None for one that is unknown or has ended."""
        if not token or len(token) > TOKEN_MAXIMUM:
            return None
        now_seconds = self._clock.monotonic()
        with self._lock:
            holder = self._holders.get(_digest(token))
        if holder is None or holder.ends_at_seconds <= now_seconds:
            return None
        return holder.username

    def _forget(self, now_seconds: float) -> None:
        while self._holders:
            oldest = next(iter(self._holders.values()))
            if oldest.ends_at_seconds > now_seconds:
                return
            self._holders.popitem(last=False)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
