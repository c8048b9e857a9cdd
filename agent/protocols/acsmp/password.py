"""Makes the password fit to travel to one platform (T/BAX 0006.5, tables B.1 and B.4)."""

from __future__ import annotations

from agent.config.settings import AcsmpSettings
from agent.errors import PermanentError
from agent.model.secret import Secret
from agent.security import credentials, keys, sm2


class PasswordSealer:
    """Encrypts with the platform's SM2 public key; safe in every thread.

    The key file is read for each registration, which are rare: a key that was replaced on disk is
    used without a restart.
    """

    def __init__(self, settings: AcsmpSettings) -> None:
        self._settings = settings
        self._layout = sm2.Layout(
            order=settings.sm2.order,
            point_prefix=settings.sm2.point_prefix,
            encoding=settings.sm2.encoding,
            der=settings.sm2.der,
        )

    def __call__(self, password: Secret) -> str:
        """Return the password as it travels; each call gives another ciphertext.

        The length 32 of the tables bounds the password; the ciphertext is longer and is never cut.

        Raises:
            PermanentError: the key file or the password cannot be used, or plain is not allowed.
        """
        credentials.check_device_password(password)
        settings = self._settings
        if settings.password_format == "plain":  # noqa: S105 - a format, not a password
            if not settings.allow_plain_password:
                raise PermanentError("password_format is plain without allow_plain_password")
            return password.reveal()
        if settings.sm2_public_key_file is None:
            raise PermanentError("sm2_public_key_file is missing")
        public_key = keys.read_public_key(settings.sm2_public_key_file)
        return sm2.encrypt(public_key, password.reveal().encode(), layout=self._layout)
