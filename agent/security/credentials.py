"""Passwords and tokens: read from files, checked for use, compared without telling how near."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import stat
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.model.secret import Secret
from agent.security import files
from agent.security.errors import PasswordError, SecretFileError

MAXIMUM_SECRET_BYTES = 4096
# Table B.1 gives `Password` the length 32. The ciphertext is longer in every layout, so that can
# only be the password itself.
MAXIMUM_PASSWORD_BYTES = 32
# Neither a user with a password nor a token is longer.
_MAXIMUM_HEADER_LENGTH = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFile:
    """Is a secret as its file holds it.

    `warning` tells the operator what is unsafe about the file; None where nothing is.
    """

    secret: Secret
    warning: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicCredentials:
    """Is a user and a password that may enter by HTTP Basic authentication."""

    username: str
    password: Secret


def read_secret_file(path: str | Path) -> SecretFile:
    """Return the secret of a file, without the one newline that editors put at its end.

    Raises:
        SecretFileError: the file is missing, forbidden, not regular, empty, longer than 4096 bytes
            or not UTF-8.
    """
    file = files.read_small_file(path, maximum_bytes=MAXIMUM_SECRET_BYTES)
    text = file.text.removesuffix("\n")
    if text != file.text:
        text = text.removesuffix("\r")
    if not text:
        raise SecretFileError(f"{path}: the file is empty")
    warning = None
    if file.mode & stat.S_IROTH:
        warning = f"{path}: everybody on this machine may read it; chmod 640 or less"
    return SecretFile(secret=Secret(text), warning=warning)


def check_device_password(password: Secret) -> None:
    """Return if a password can serve the device API: 1 to 32 bytes of UTF-8, no control characters.

    Raises:
        PasswordError: it cannot; the text tells the length and never the password.
    """
    try:
        length = len(password.reveal().encode())
    except UnicodeEncodeError:
        raise PasswordError("the password of the device API is not UTF-8") from None
    if not 1 <= length <= MAXIMUM_PASSWORD_BYTES:
        raise PasswordError(
            f"the password of the device API has {length} bytes; 1 to {MAXIMUM_PASSWORD_BYTES} are "
            "allowed (T/BAX 0006.5, table B.1)"
        )
    if any(unicodedata.category(character) == "Cc" for character in password.reveal()):
        raise PasswordError(
            "the password of the device API holds a line break or another control character, which "
            "HTTP Basic authentication does not carry"
        )


def is_basic_allowed(authorization: str | None, *, allowed: Iterable[BasicCredentials]) -> bool:
    """Return whether an `Authorization` header carries one of these users with its password.

    Users and passwords are UTF-8 (RFC 7617). The time does not depend on how much of them is right.
    """
    given = _header_value(authorization, scheme="basic")
    if given is None:
        return False
    try:
        pair = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return False
    username, colon, password = pair.partition(b":")
    if not colon:
        return False
    is_allowed = False
    for one in allowed:
        # Both halves of every pair are always compared: `and` would stop at a wrong user.
        is_same_username = _is_same(one.username.encode(), username)
        is_same_password = _is_same(one.password.reveal().encode(), password)
        is_allowed |= is_same_username & is_same_password
    return is_allowed


def basic_header(given: BasicCredentials) -> Secret:
    """Return the value of `Authorization` with which a user logs in, in UTF-8 (RFC 7617)."""
    pair = f"{given.username}:{given.password.reveal()}".encode()
    return Secret(f"Basic {base64.b64encode(pair).decode('ascii')}")


def is_bearer_allowed(authorization: str | None, *, tokens: Iterable[Secret]) -> bool:
    """Return whether an `Authorization` header carries one of these bearer tokens (RFC 6750).

    An empty token never matches. The time does not depend on how much of a token is right.
    """
    given = _header_value(authorization, scheme="bearer")
    if given is None:
        return False
    is_allowed = False
    for token in tokens:
        is_allowed |= _is_same(token.reveal().encode(), _header_bytes(given))
    return is_allowed


def _header_value(authorization: str | None, *, scheme: str) -> str | None:
    if authorization is None or len(authorization) > _MAXIMUM_HEADER_LENGTH:
        return None
    given_scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    return value if given_scheme.lower() == scheme and value else None


def _header_bytes(value: str) -> bytes:
    """Return the bytes that came over the wire: servers hand them on as Latin-1 (PEP 3333)."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode(errors="surrogatepass")


def _is_same(one: bytes, other: bytes) -> bool:
    # Digests have one length: comparing the secrets themselves would tell theirs.
    return hmac.compare_digest(hashlib.sha256(one).digest(), hashlib.sha256(other).digest())
