"""Failures of the network in plain words, with what to do about them."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
import zlib

import urllib3.exceptions

# X509_V_ERR_* of OpenSSL.
_NOT_YET_VALID = 9
_EXPIRED = 10
_WRONG_NAME = frozenset({62, 63, 64})
_CUT_OFF = (ConnectionResetError, BrokenPipeError, ConnectionAbortedError, ssl.SSLEOFError)
_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})


def causes(error: BaseException) -> list[BaseException]:
    """Return the error and everything behind it, outermost first.

    urllib3 and requests keep the cause in `reason`, in `args`, or in the chain of exceptions.
    """
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop(0)
        if not isinstance(item, BaseException) or item in found:
            continue
        found.append(item)
        waiting += [getattr(item, "reason", None), *item.args, item.__cause__, item.__context__]
    return found


def was_stale(error: BaseException) -> bool:
    """Tell whether a kept connection turned out to be closed by the other side."""
    return any(
        isinstance(cause, (http.client.RemoteDisconnected, ssl.SSLZeroReturnError, *_CUT_OFF))
        or (isinstance(cause, OSError) and cause.errno == errno.ETIMEDOUT)
        for cause in causes(error)
    )


def describe(error: BaseException, *, host: str, port: int, stage: str) -> str:
    """Return what went wrong in one sentence without a full stop."""
    where = f"{host}:{port}"
    found = causes(error)
    for cause in found:
        words = _tls_words(cause, host=host) or _socket_words(cause, host=host, where=where)
        if words is not None:
            return words
    for cause in found:
        words = _http_words(cause, where=where)
        if words is not None:
            return words
    return f"{where} failed while {stage} ({type(found[-1]).__name__})"


def _tls_words(cause: BaseException, *, host: str) -> str | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _certificate_words(cause, host=host)
    if isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return f"{host} closed the connection in the middle of TLS"
    if isinstance(cause, ssl.SSLError):
        reason = cause.reason or ""
        if "WRONG_VERSION_NUMBER" in reason or "UNKNOWN_PROTOCOL" in reason:
            return f"{host} does not speak TLS on this port: is it http:// rather than https://?"
        if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
            return f"{host} refused TLS ({reason}): does it want client_certificate?"
        return f"TLS with {host} failed ({reason or type(cause).__name__})"
    return None


def _certificate_words(cause: ssl.SSLCertVerificationError, *, host: str) -> str:
    code = cause.verify_code
    if code in _WRONG_NAME:
        return f"the certificate is not for {host}: use the name that it was made out for in url"
    if code == _EXPIRED:
        return f"the certificate of {host} has expired: the platform has to renew it"
    if code == _NOT_YET_VALID:
        return f"the certificate of {host} is not valid yet: is the clock of this machine right?"
    return (
        f"the certificate of {host} is not trusted ({cause.verify_message}): "
        "set ca_file to the CA that signed it"
    )


def _socket_words(cause: BaseException, *, host: str, where: str) -> str | None:
    if isinstance(cause, socket.gaierror):
        return f"the name {host} was not found ({cause.strerror})"
    if isinstance(cause, ConnectionRefusedError):
        return f"{where} refused the connection: nothing listens there"
    if isinstance(cause, http.client.RemoteDisconnected):
        return f"{where} closed the connection without an answer"
    if isinstance(cause, _CUT_OFF):
        return f"{where} closed the connection"
    if isinstance(cause, OSError) and cause.errno in _UNREACHABLE:
        return f"{where} cannot be reached: no route to it"
    if isinstance(cause, TimeoutError):
        return f"{where} did not answer in time"
    return None


def _http_words(cause: BaseException, *, where: str) -> str | None:
    if isinstance(cause, (http.client.IncompleteRead, urllib3.exceptions.IncompleteRead)):
        return f"{where} broke off in the middle of its answer"
    if isinstance(cause, http.client.LineTooLong) or (
        isinstance(cause, http.client.HTTPException) and "more than" in str(cause)
    ):
        return f"{where} sent too large headers"
    if isinstance(
        cause,
        (http.client.HTTPException, urllib3.exceptions.HTTPError, ValueError, zlib.error),
    ) and not isinstance(cause, (urllib3.exceptions.ProtocolError, urllib3.exceptions.PoolError)):
        return f"{where} answered something that is not HTTP"
    return None
