"""Who may ask this node for a token, and how often one may guess."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping

from agent.errors import TransientError
from agent.model.clock import Clock
from agent.model.secret import Secret
from agent.security.login_guard import LoginGuard
from agent.security.password_hashes import PasswordHash

logger = logging.getLogger(__name__)

KNOWN_PLACES_MAXIMUM = 1024


class Users:
    """Knows the users and slows down who guesses their passwords; safe in every thread.

    Failures count by address, and by user over all addresses. The second count does not hold back
    an address from which that user came in before: nobody can lock a platform out by failing in
    its name. One password is checked at a time, since each check takes 16 MiB.
    """

    def __init__(self, hashes: Mapping[str, PasswordHash], *, clock: Clock) -> None:
        self._hashes = dict(hashes)
        self._by_address = LoginGuard(clock=clock)
        self._by_user = LoginGuard(clock=clock)
        self._lock = threading.Lock()
        self._hashing = threading.Lock()
        self._known_places: OrderedDict[tuple[str, str], None] = OrderedDict()
        # Checked for users that do not exist, so that they take as long as those that do.
        self._decoy = PasswordHash.of(Secret("nobody"))

    def check(self, username: str, password: str, *, address: str) -> bool:
        """Return whether a user may enter with a password.

        Raises:
            TransientError: too many failed; nothing was looked at, right or wrong.
        """
        wait_seconds = self._by_address.wait_seconds(address)
        if username in self._hashes and not self._is_known(username, address):
            wait_seconds = max(wait_seconds, self._by_user.wait_seconds(f"user {username}"))
        if wait_seconds > 0:
            raise TransientError(
                "too many failed logins; wait, then try again", retry_after_seconds=wait_seconds
            )
        with self._hashing:
            is_right = self._hashes.get(username, self._decoy).matches(password)
        if is_right and username in self._hashes:
            self._remember(username, address)
            return True
        if username in self._hashes:
            self._by_user.failed(f"user {username}")
        if self._by_address.failed(address):
            logger.warning("login of a monitoring platform failed address=%s", address)
        return False

    def _is_known(self, username: str, address: str) -> bool:
        with self._lock:
            return (username, address) in self._known_places

    def _remember(self, username: str, address: str) -> None:
        with self._lock:
            self._known_places.pop((username, address), None)
            self._known_places[username, address] = None
            if len(self._known_places) > KNOWN_PLACES_MAXIMUM:
                self._known_places.popitem(last=False)
