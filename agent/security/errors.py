"""What can be wrong with a key, a ciphertext, a secret or a certificate.

All of them are permanent: somebody has to change a file or a setting. No text ever holds a key, a
plaintext or a ciphertext; lengths and places are enough to find the fault.
"""

from __future__ import annotations

from agent.errors import PermanentError


class Sm2Error(PermanentError):
    """Is the root of what SM2 refuses."""


class Sm2KeyError(Sm2Error):
    """Says that a text is not an SM2 key that can be used."""


class Sm2PlaintextError(Sm2Error):
    """Says that there is nothing to encrypt, or too much."""


class Sm2CiphertextError(Sm2Error):
    """Says that a ciphertext does not open, or that one of ours failed its check."""


class SelfTestError(PermanentError):
    """Says that SM2 or SM3 gives wrong results on this machine: no password may be sent."""


class SecretFileError(PermanentError):
    """Says that a file with a key or a password cannot be used as it is."""


class PasswordError(PermanentError):
    """Says that a password cannot serve the device API."""


class TlsFileError(PermanentError):
    """Says that a certificate or key of a TLS listener cannot be used.

    `path` is the file that somebody has to mend.
    """

    def __init__(self, reason: str, *, path: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
