"""Passwords of others, kept so that a stolen file does not tell them: scrypt (RFC 7914)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from dataclasses import dataclass, field

from agent.model.secret import Secret
from agent.security.errors import PasswordError

# 16 MiB and about 50 ms on a small box: dear to whoever guesses, bearable for a box with 1 GiB.
COST_LOG2 = 14
BLOCK_SIZE = 8
PARALLELISM = 1
# A file cannot ask for more memory and time than this.
MAXIMUM_COST_LOG2 = 17
MAXIMUM_PASSWORD_BYTES = 1024
_MEMORY_BYTES = 160 * 1024 * 1024
_SALT_BYTES = 16
_DIGEST_BYTES = 32
_TEXT = re.compile(
    r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{22,86})\$([A-Za-z0-9+/]{43})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordHash:
    """Is what is kept of a password: `$scrypt$ln=14,r=8,p=1$salt$hash`, both in base64."""

    cost_log2: int
    block_size: int
    parallelism: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, password: Secret) -> PasswordHash:
        """Return the hash of a password under a new salt; about 50 ms on a small box.

        Raises:
            PasswordError: the password is empty, longer than 1024 bytes, or not UTF-8.
        """
        salt = os.urandom(_SALT_BYTES)
        data = _bytes(password.reveal())
        if data is None:
            raise PasswordError(
                f"a password has 1 to {MAXIMUM_PASSWORD_BYTES} bytes of UTF-8; this one has not"
            )
        digest = _scrypt(data, salt, COST_LOG2, BLOCK_SIZE, PARALLELISM)
        return cls(
            cost_log2=COST_LOG2,
            block_size=BLOCK_SIZE,
            parallelism=PARALLELISM,
            salt=salt,
            digest=digest,
        )

    @classmethod
    def parse(cls, text: str) -> PasswordHash:
        """Return the hash that a text from `to_text` holds.

        Raises:
            PasswordError: it holds none, or one that would cost more memory than is granted.
        """
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise PasswordError(
                "this is not a hashed password; expected $scrypt$ln=14,r=8,p=1$salt$hash"
            )
        cost_log2, block_size, parallelism = (int(found[place]) for place in (1, 2, 3))
        if not 1 <= cost_log2 <= MAXIMUM_COST_LOG2 or block_size != BLOCK_SIZE:
            raise PasswordError(
                f"the hashed password asks for ln={cost_log2}, r={block_size}; ln is 1 to "
                f"{MAXIMUM_COST_LOG2} and r is {BLOCK_SIZE}"
            )
        if parallelism != PARALLELISM:
            raise PasswordError(f"the hashed password asks for p={parallelism}; p is {PARALLELISM}")
        try:
            salt, digest = _from_base64(found[4]), _from_base64(found[5])
        except binascii.Error as error:
            raise PasswordError("the hashed password is not base64") from error
        return cls(
            cost_log2=cost_log2,
            block_size=block_size,
            parallelism=parallelism,
            salt=salt,
            digest=digest,
        )

    def to_text(self) -> str:
        """Return the hash as a file keeps it."""
        costs = f"ln={self.cost_log2},r={self.block_size},p={self.parallelism}"
        return f"$scrypt${costs}${_to_base64(self.salt)}${_to_base64(self.digest)}"

    def matches(self, password: str) -> bool:
        """Return whether this is the hash of a password; costs what making it did.

        A text that no password can be is refused without that cost.
        """
        data = _bytes(password)
        if data is None:
            return False
        digest = _scrypt(data, self.salt, self.cost_log2, self.block_size, self.parallelism)
        return hmac.compare_digest(digest, self.digest)


def _bytes(password: str) -> bytes | None:
    if not 1 <= len(password) <= MAXIMUM_PASSWORD_BYTES:
        return None
    try:
        data = password.encode()
    except UnicodeEncodeError:
        return None
    return data if len(data) <= MAXIMUM_PASSWORD_BYTES else None


def _scrypt(data: bytes, salt: bytes, cost_log2: int, block_size: int, parallelism: int) -> bytes:
    return hashlib.scrypt(
        data,
        salt=salt,
        n=2**cost_log2,
        r=block_size,
        p=parallelism,
        maxmem=_MEMORY_BYTES,
        dklen=_DIGEST_BYTES,
    )


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
