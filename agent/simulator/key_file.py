"""The platform's SM2 key pair on the disk."""

from __future__ import annotations

import os
from pathlib import Path

from agent.errors import PermanentError
from agent.security import sm2
from agent.security.keys import read_private_key


def load_or_create(path: Path) -> sm2.PrivateKey:
    """Return the key pair of a file, made there first if it is missing.

    The public key is written beside it, to the same name with `.pub.pem` after it: that file goes
    to the devices.

    Raises:
        PermanentError: the file holds no such key, or cannot be written.
    """
    try:
        if not path.exists():
            _write_private(path, sm2.generate_key_pair().to_pkcs8_pem())
        key = read_private_key(path)
        public_path(path).write_text(key.public_key.to_pem(), encoding="ascii")
    except OSError as error:
        raise PermanentError(f"{error.filename}: {error.strerror}") from error
    return key


def public_path(path: Path) -> Path:
    """Return where the public key of a private key's file is written."""
    return path.with_name(f"{path.name}.pub.pem")


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
