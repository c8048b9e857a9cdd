"""The header `sign` of TC609: named by code 10006 of annex C, defined by nobody.

What is signed is a canonical text of the request (`CanonicalForm`), and how is one of `Scheme`. The
same options serve both directions: `Signer` for what we send, `Verifier` for what comes.

`sorted-params` merges the query and the top level of the body, drops `sign` and what is empty, adds
`timestamp` and `nonce`, sorts by the bytes of the names and joins `name=value` by `&`: text as it
is, numbers with the digits of the JSON, true and false, lists and objects as compact JSON with
sorted keys; nothing is escaped. `raw-body` takes the body as sent, or the query string where there
is no body, and appends `&nonce=…&timestamp=…`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from agent.errors import RequestError
from agent.model.clock import Clock
from agent.protocols.tc609 import parameters
from agent.protocols.tc609.nonces import NonceCache
from agent.protocols.tc609.sign_options import (
    CanonicalForm,
    Encoding,
    Scheme,
    SignOptions,
    Sm2Form,
)
from agent.security import hmac_sm3, sm2_signature, sm3

# A header's value by its name in any case, None where it was not sent.
HeaderLookup = Callable[[str], "str | None"]

WINDOW_SECONDS = 300.0
_NONCE_BYTES = 16
_MAXIMUM_SIGN_LENGTH = 1024
_NONCE = re.compile(r"[\x21-\x25\x27-\x7e]{1,128}")  # no blank and no "&"
_TIMESTAMP = re.compile(r"[0-9]{9,16}")
# Seconds stay below this for some thousand years, milliseconds have been above it since 1973.
_LEAST_MILLISECONDS = 10**11
# `a=1&b=2` as the value of one parameter looks like two of them.
_TWO_PARAMETERS = re.compile(r"&[^&]*=")


class SignMissing(RequestError):  # noqa: N818 - named by what the caller left out
    """Says that a request carries no signature (code 10006)."""


class SignRefused(RequestError):  # noqa: N818 - our decision, not a fault
    """Says that a signature does not hold: wrong, too old, or seen before."""


class Signer:
    """Signs what we send; safe in every thread."""

    def __init__(
        self,
        options: SignOptions,
        *,
        clock: Clock,
        draw_nonce: Callable[[], str] = lambda: secrets.token_hex(_NONCE_BYTES),
    ) -> None:
        if options.scheme is Scheme.SM2 and options.private_key is None:
            raise ValueError("signing by sm2 needs a private key")
        self._options = options
        self._clock = clock
        self._draw_nonce = draw_nonce

    def headers(self, *, query: str = "", body: bytes = b"") -> Mapping[str, str]:
        """Return the headers that sign a request; none for the scheme `none`.

        `query` is the query string without "?", `body` JSON, both exactly as they will be sent.

        Raises:
            RequestError: the request cannot be signed in this form.
        """
        options = self._options
        if options.scheme is Scheme.NONE:
            return {}
        stamp: dict[str, str] = {}
        headers: dict[str, str] = {}
        if options.has_timestamp:
            stamp = {"timestamp": self._timestamp(), "nonce": self._draw_nonce()}
            headers[options.timestamp_header] = stamp["timestamp"]
            headers[options.nonce_header] = stamp["nonce"]
        text = signed_text(options, query=query, body=body, stamp=stamp)
        headers[options.sign_header] = signature(options, text=text)
        return headers

    def _timestamp(self) -> str:
        seconds = self._clock.now().timestamp()
        if self._options.scheme is Scheme.SHA256_TIF:
            return str(int(seconds))
        return str(int(seconds * 1000))


class Verifier:
    """Checks the signatures of what comes; safe in every thread.

    A timestamp may be 300 s off in either direction, in seconds or milliseconds; a nonce counts
    once in the time in which its timestamp could still be right.
    """

    def __init__(self, options: SignOptions, *, clock: Clock) -> None:
        if options.scheme is Scheme.NONE:
            raise ValueError("the scheme none has nothing to verify")
        if options.scheme is Scheme.SM2 and options.public_key is None:
            raise ValueError("checking signatures by sm2 needs a public key")
        self._options = options
        self._clock = clock
        self._nonces = NonceCache(clock=clock, keep_seconds=2 * WINDOW_SECONDS)

    def check(
        self,
        *,
        query: str,
        body: bytes,
        header: HeaderLookup,
        content_type: str | None = None,
    ) -> None:
        """Return if a request is signed, now and for the first time.

        `query` and `body` are as they came.

        Raises:
            SignMissing: it carries no signature.
            SignRefused: the signature does not hold.
            RequestError: the parameters cannot be read.
        """
        options = self._options
        given = (header(options.sign_header) or "").strip()
        if not given:
            raise SignMissing(f"this needs the header {options.sign_header}")
        stamp = self._stamp(header) if options.has_timestamp else {}
        if options.form is CanonicalForm.SORTED_PARAMS:
            _refuse_two_readings(parameters.read(query=query, body=body, content_type=content_type))
        text = signed_text(options, query=query, body=body, stamp=stamp, content_type=content_type)
        if not is_signed(options, text=text, given=given):
            raise SignRefused(
                f"the signature is wrong: {options.scheme.value} over {options.form.value}"
            )
        # Only now: whoever cannot sign must not be able to use up nonces.
        if stamp and not self._nonces.take(stamp["nonce"]):
            if self._nonces.is_full:
                raise SignRefused("too many signed requests within ten minutes; slow down")
            raise SignRefused(f"the {options.nonce_header} came before; draw a new one")

    def _stamp(self, header: HeaderLookup) -> dict[str, str]:
        options = self._options
        timestamp = (header(options.timestamp_header) or "").strip()
        nonce = (header(options.nonce_header) or "").strip()
        if _TIMESTAMP.fullmatch(timestamp) is None:
            raise SignRefused(
                f"this needs the header {options.timestamp_header}: milliseconds since 1970"
            )
        if _NONCE.fullmatch(nonce) is None:
            raise SignRefused(
                f"this needs the header {options.nonce_header}: 1 to 128 printable characters "
                "without blank and &"
            )
        seconds = int(timestamp) / (1000 if int(timestamp) >= _LEAST_MILLISECONDS else 1)
        off_seconds = seconds - self._clock.now().timestamp()
        if abs(off_seconds) > WINDOW_SECONDS:
            raise SignRefused(
                f"the {options.timestamp_header} is {abs(off_seconds):.0f} s "
                f"{'ahead' if off_seconds > 0 else 'behind'}; at most {WINDOW_SECONDS:.0f} s are "
                "allowed: set the clock"
            )
        return {"timestamp": timestamp, "nonce": nonce}


def signed_text(
    options: SignOptions,
    *,
    query: str,
    body: bytes,
    stamp: Mapping[str, str],
    content_type: str | None = None,
) -> bytes:
    """Return the text that is signed, before a suffix with the secret.

    Raises:
        RequestError: the request cannot be signed in this form.
    """
    if options.scheme is Scheme.SHA256_TIF:
        secret = options.secret.reveal()
        return f"{stamp['timestamp']}{secret}{stamp['nonce']}{stamp['timestamp']}".encode()
    if options.form is CanonicalForm.SORTED_PARAMS:
        read = parameters.read(query=query, body=body, content_type=content_type)
        return canonical_text(read, stamp=stamp)
    if query and body:
        raise RequestError("a request with both a query and a body cannot be signed as raw-body")
    return (body or query.encode()) + b"".join(
        f"&{name}={stamp[name]}".encode() for name in sorted(stamp)
    )


def canonical_text(read: Mapping[str, Any], *, stamp: Mapping[str, str]) -> bytes:
    """Return `name=value&…` of parameters and stamp, sorted by the bytes of the names.

    Raises:
        RequestError: a parameter has the name of a stamp and another value, or is no text.
    """
    merged = {
        name: parameters.as_text(value)
        for name, value in read.items()
        if name != "sign" and not parameters.is_empty(value)
    }
    for name, value in stamp.items():
        if merged.get(name, value) != value:
            raise RequestError(f"the parameter {name} differs from the header")
        merged[name] = value
    pairs = sorted(
        (parameters.in_bytes(name), parameters.in_bytes(value)) for name, value in merged.items()
    )
    return b"&".join(name + b"=" + value for name, value in pairs)


def signature(options: SignOptions, *, text: bytes) -> str:
    """Return the signature of a text as it stands in the header."""
    if options.scheme is not Scheme.SM2:
        return _encoded(_digest(options, text), options.encoding)
    assert options.private_key is not None  # noqa: S101 - looked at when the signer was made
    signed = sm2_signature.sign(options.private_key, _with_key(options, text))
    if options.sm2_form is Sm2Form.DER:
        signed = sm2_signature.to_der(signed)
    return _encoded(signed, options.encoding)


def is_signed(options: SignOptions, *, text: bytes, given: str) -> bool:
    """Return whether a header holds a signature of a text; digits of hex count in either case.

    The time does not depend on how much of it is right.
    """
    if len(given) > _MAXIMUM_SIGN_LENGTH or not given.isascii():
        return False
    if options.scheme is Scheme.SM2:
        assert options.public_key is not None  # noqa: S101 - looked at when the verifier was made
        decoded = _decoded(given, options.encoding)
        return decoded is not None and sm2_signature.is_signed(
            options.public_key, _with_key(options, text), decoded
        )
    expected = _encoded(_digest(options, text), options.encoding)
    if options.encoding is not Encoding.BASE64:
        given, expected = given.lower(), expected.lower()
    return hmac.compare_digest(given.encode(), expected.encode())


def _digest(options: SignOptions, text: bytes) -> bytes:
    secret = options.secret.reveal().encode()
    match options.scheme:
        case Scheme.HMAC_SM3:
            return hmac_sm3.digest(secret, text)
        case Scheme.HMAC_SHA256:
            return hmac.digest(secret, text, "sha256")
        case Scheme.SM3_SUFFIX:
            return sm3.digest(_with_key(options, text))
        case Scheme.MD5_SUFFIX:
            return hashlib.md5(_with_key(options, text), usedforsecurity=False).digest()
        case Scheme.SHA256_TIF:
            return hashlib.sha256(text).digest()
        case Scheme.NONE | Scheme.SM2:
            raise ValueError(f"the scheme {options.scheme.value} is no digest")


def _with_key(options: SignOptions, text: bytes) -> bytes:
    secret = options.secret.reveal().encode()
    return text + b"&key=" + secret if secret else text


def _encoded(data: bytes, encoding: Encoding) -> str:
    if encoding is Encoding.BASE64:
        return base64.b64encode(data).decode()
    return data.hex() if encoding is Encoding.HEX else data.hex().upper()


def _decoded(text: str, encoding: Encoding) -> bytes | None:
    try:
        if encoding is Encoding.BASE64:
            return base64.b64decode(text, validate=True)
        return binascii.unhexlify(text)
    except binascii.Error:
        return None


def _refuse_two_readings(read: Mapping[str, Any]) -> None:
    """Refuse parameters whose canonical text others have, too: nothing in it is escaped."""
    for name, value in read.items():
        if "&" in name or "=" in name or _TWO_PARAMETERS.search(parameters.as_text(value)):
            raise SignRefused(
                f"the parameter {parameters.printable(name)} cannot be told from two parameters in "
                "what is signed: leave out & and ="
            )
