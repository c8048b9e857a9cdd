"""Makes the header `sign` of one platform, or of those that ask us, from its settings."""

from __future__ import annotations

import functools
from collections.abc import Callable

from agent.config.sign_settings import SignSettings
from agent.errors import PermanentError
from agent.protocols.tc609.sign_options import (
    CanonicalForm,
    Encoding,
    Scheme,
    SignOptions,
    Sm2Form,
)
from agent.security import keys
from agent.security.sm2 import PrivateKey, PublicKey


def options(settings: SignSettings, *, section: str) -> SignOptions:
    """Return how requests are signed; `section` is where the settings stand, such as `centre.sign`.

    Raises:
        PermanentError: a key cannot be used, or the mode lacks what it needs; the text names the
            setting and the file.
    """
    try:
        return SignOptions(
            scheme=Scheme(settings.scheme),
            form=CanonicalForm(settings.form),
            encoding=Encoding(settings.encoding),
            has_timestamp=settings.timestamp,
            sign_header=settings.sign_header,
            timestamp_header=settings.timestamp_header,
            nonce_header=settings.nonce_header,
            private_key=_private_key(settings, section=section),
            public_key=_public_key(settings, section=section),
            sm2_form=Sm2Form(settings.sm2_form),
            **({} if settings.secret is None else {"secret": settings.secret}),
        )
    except ValueError as error:
        raise PermanentError(f"{section}: {error}") from error


def key_files(settings: SignSettings) -> tuple[tuple[str, Callable[[], object]], ...]:
    """Return each setting that names a key's file, with what reads it: raises PermanentError."""
    readers: list[tuple[str, Callable[[], object]]] = []
    if settings.private_key_file is not None:
        readers.append(
            (
                "private_key_file",
                functools.partial(keys.read_private_key, settings.private_key_file),
            )
        )
    if settings.public_key_file is not None:
        readers.append(
            ("public_key_file", functools.partial(keys.read_public_key, settings.public_key_file))
        )
    return tuple(readers)


def _private_key(settings: SignSettings, *, section: str) -> PrivateKey | None:
    if settings.private_key_file is None:
        return None
    try:
        return keys.read_private_key(settings.private_key_file)
    except PermanentError as error:
        raise PermanentError(f"{section}.private_key_file: {error.reason}") from error


def _public_key(settings: SignSettings, *, section: str) -> PublicKey | None:
    if settings.public_key_file is None:
        return None
    try:
        return keys.read_public_key(settings.public_key_file)
    except PermanentError as error:
        raise PermanentError(f"{section}.public_key_file: {error.reason}") from error
