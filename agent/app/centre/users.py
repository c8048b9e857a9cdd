"""The platforms that may ask for the centre's figures, from their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.config.centre_settings import CentreUserSettings
from agent.errors import PermanentError
from agent.model.secret import Secret
from agent.security.password_hashes import PasswordHash

_HASHED = "$scrypt$"


def hashes(users: Sequence[CentreUserSettings]) -> Mapping[str, PasswordHash]:
    """Return the hash of each user's password; about 50 ms for each that is not hashed yet.

    Raises:
        PermanentError: a hash cannot be used; names the user.
    """
    found = {}
    for user in users:
        try:
            found[user.username] = _hash_of(user.password)
        except PermanentError as error:
            raise PermanentError(f"centre user {user.username}: {error.reason}") from error
    return found


def check(user: CentreUserSettings) -> None:
    """Return if what stands for a user's password can be used; raises PermanentError."""
    text = user.password.reveal()
    if text.startswith(_HASHED):
        PasswordHash.parse(text)
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PermanentError("the password is not UTF-8") from None


def _hash_of(password: Secret) -> PasswordHash:
    if password.reveal().startswith(_HASHED):
        return PasswordHash.parse(password.reveal())
    return PasswordHash.of(password)
