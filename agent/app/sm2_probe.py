"""Checks a platform's SM2 key and shows what exactly would be sent to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.config.settings import AcsmpSettings
from agent.errors import PermanentError
from agent.security import keys, self_test, sm2

SAMPLE = "encryption standard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Is the outcome for one platform.

    `decrypted` is what the platform's private key made of the ciphertext, None where no private
    key was given; then the layout was proved with a key pair made for this probe alone.
    """

    fingerprint: str
    public_key_hex: str
    layout: str
    ciphertext: str
    decrypted: str | None


def probe(platform: AcsmpSettings, *, private_key: Path | None) -> Probe:
    """Encrypt a sample text for a platform as its password would be, and open it if possible.

    Raises:
        PermanentError: the key cannot be used, or the ciphertext does not open; says why.
    """
    self_test.run()
    if platform.sm2_public_key_file is None:
        raise PermanentError(
            f"acsmp {platform.name} has no sm2_public_key_file: its password travels as "
            f"{platform.password_format}"
        )
    public_key = keys.read_public_key(platform.sm2_public_key_file)
    layout = sm2.Layout(
        order=platform.sm2.order,
        point_prefix=platform.sm2.point_prefix,
        encoding=platform.sm2.encoding,
        der=platform.sm2.der,
    )
    ciphertext = sm2.encrypt(public_key, SAMPLE.encode(), layout=layout)
    if private_key is None:
        own = sm2.generate_key_pair()
        opened = sm2.decrypt(own, sm2.encrypt(own.public_key, SAMPLE.encode(), layout=layout))
    else:
        own = keys.read_private_key(private_key)
        if own.public_key != public_key:
            raise PermanentError(
                f"{private_key} is not the private key of {platform.sm2_public_key_file}: its "
                f"public key has the fingerprint {own.public_key.fingerprint}, the configured one "
                f"{public_key.fingerprint}"
            )
        opened = sm2.decrypt(own, ciphertext)
    if opened.plaintext != SAMPLE.encode() or opened.layout != layout:
        raise PermanentError("what was encrypted did not open again: do not use this build")
    return Probe(
        fingerprint=public_key.fingerprint,
        public_key_hex=public_key.to_hex(),
        layout=describe(layout),
        ciphertext=ciphertext,
        decrypted=None if private_key is None else opened.plaintext.decode(),
    )


def describe(layout: sm2.Layout) -> str:
    """Return a layout in words."""
    if layout.der:
        return f"ASN.1 DER, {layout.encoding}"
    prefix = "with 04" if layout.point_prefix else "without 04"
    return f"{layout.order.upper()} {prefix}, {layout.encoding}"
