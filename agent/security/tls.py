"""TLS of the listeners: a context from files, or an error that names the file at fault."""

from __future__ import annotations

import ssl
from pathlib import Path

from agent.security import files
from agent.security.errors import SecretFileError, TlsFileError

_CERTIFICATE = "-----BEGIN CERTIFICATE-----"
_PRIVATE_KEYS = (
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN EC PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----",
)
# A chain or a bundle of CAs is far shorter.
_MAXIMUM_BYTES = 4 * 1024 * 1024


def server_context(
    certificate: str | Path, *, private_key: str | Path, client_ca: str | Path | None = None
) -> ssl.SSLContext:
    """Return the context of a server: TLS 1.2 or newer.

    With `client_ca`, only clients with a certificate of that CA may enter (mutual TLS).

    Raises:
        TlsFileError: a file is missing, not PEM, encrypted, refused by OpenSSL, or the key does not
            belong to the certificate.
    """
    _check_certificates(certificate)
    _check_private_key(private_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client could otherwise make the server compute handshake after handshake.
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        # OpenSSL would ask the terminal for the password of an encrypted key, and wait.
        context.load_cert_chain(certificate, private_key, password=lambda: b"")
    except ssl.SSLError as error:
        raise _explain(error, certificate=certificate, private_key=private_key) from error
    except OSError as error:
        raise TlsFileError(f"cannot be read: {error.strerror}", path=str(certificate)) from error
    if client_ca is not None:
        _check_certificates(client_ca)
        try:
            context.load_verify_locations(client_ca)
        except ssl.SSLError as error:
            raise TlsFileError(
                f"is no PEM certificate: {_reason(error)}", path=str(client_ca)
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _explain(
    error: ssl.SSLError, *, certificate: str | Path, private_key: str | Path
) -> TlsFileError:
    if error.reason == "KEY_VALUES_MISMATCH":
        return TlsFileError(
            f"the key does not belong to the certificate in {certificate}", path=str(private_key)
        )
    # The certificate is loaded first, so it alone tells which of the two files is at fault.
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(certificate)
    except ssl.SSLError:
        return TlsFileError(f"is no PEM certificate: {_reason(error)}", path=str(certificate))
    if error.reason in {"EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"}:
        return TlsFileError(
            f"OpenSSL finds the certificate too weak: {_reason(error)}", path=str(certificate)
        )
    return TlsFileError(f"is no PEM private key: {_reason(error)}", path=str(private_key))


def _check_certificates(path: str | Path) -> None:
    if _CERTIFICATE not in _read(path):
        raise TlsFileError("is not PEM: it holds no BEGIN CERTIFICATE", path=str(path))


def _check_private_key(path: str | Path) -> None:
    text = _read(path)
    if "ENCRYPTED" in text:
        raise TlsFileError(
            "the key is encrypted; take the password off with `openssl pkey -in FILE -out NEW` and "
            "keep the new file readable for the agent alone",
            path=str(path),
        )
    if not any(begin in text for begin in _PRIVATE_KEYS):
        raise TlsFileError("is not PEM: it holds no BEGIN PRIVATE KEY", path=str(path))


def _read(path: str | Path) -> str:
    try:
        return files.read_small_file(path, maximum_bytes=_MAXIMUM_BYTES).text
    except SecretFileError as error:
        raise TlsFileError(error.reason.removeprefix(f"{path}: "), path=str(path)) from error


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "unknown").replace("_", " ").lower()
