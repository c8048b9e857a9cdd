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
import enum
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.errors import RequestError
from agent.model.clock import Clock
from agent.model.secret import Secret
from agent.protocols.tc609 import parameters
from agent.protocols.tc609.nonces import NonceCache
from agent.security import hmac_sm3, sm3

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


class Scheme(str, enum.Enum):
    """Says how the canonical text and the secret become a signature."""

    NONE = "none"
    HMAC_SM3 = "hmac-sm3"
    SM3_SUFFIX = "sm3-suffix"
    HMAC_SHA256 = "hmac-sha256"
    SHA256_TIF = "sha256-tif"
    MD5_SUFFIX = "md5-suffix"


class CanonicalForm(str, enum.Enum):
    """Says which text of a request is signed."""

    SORTED_PARAMS = "sorted-params"
    RAW_BODY = "raw-body"


class Encoding(str, enum.Enum):
    """Says how the bytes of a signature are written."""

    HEX = "hex"
    UPPER_HEX = "upper-hex"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOptions:
    """Is how one platform signs.

    Without `has_timestamp` neither timestamp nor nonce is sent or demanded, and nothing keeps a
    request from being played again. `sha256-tif`, the way of government gateways, signs timestamp,
    secret and nonce and no parameter: it always has both, with the timestamp in seconds where the
    others have milliseconds.
    """

    scheme: Scheme = Scheme.HMAC_SM3
    secret: Secret = field(default_factory=lambda: Secret(""))
    form: CanonicalForm = CanonicalForm.SORTED_PARAMS
    encoding: Encoding = Encoding.HEX
    has_timestamp: bool = True
    sign_header: str = "sign"
    timestamp_header: str = "timestamp"
    nonce_header: str = "nonce"

    def __post_init__(self) -> None:
        if self.scheme is not Scheme.NONE and not self.secret.reveal():
            raise ValueError(f"the scheme {self.scheme.value} needs a secret")
        if self.scheme is Scheme.SHA256_TIF and not self.has_timestamp:
            raise ValueError("the scheme sha256-tif signs the timestamp, so it needs one")


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
        if not _is_same(given, signature(options, text=text), encoding=options.encoding):
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
    secret = options.secret.reveal().encode()
    with_key = text + b"&key=" + secret
    match options.scheme:
        case Scheme.HMAC_SM3:
            digest = hmac_sm3.digest(secret, text)
        case Scheme.HMAC_SHA256:
            digest = hmac.digest(secret, text, "sha256")
        case Scheme.SM3_SUFFIX:
            digest = sm3.digest(with_key)
        case Scheme.MD5_SUFFIX:
            digest = hashlib.md5(with_key, usedforsecurity=False).digest()
        case Scheme.SHA256_TIF:
            digest = hashlib.sha256(text).digest()
        case Scheme.NONE:
            return ""
    if options.encoding is Encoding.BASE64:
        return base64.b64encode(digest).decode()
    return digest.hex() if options.encoding is Encoding.HEX else digest.hex().upper()


def _is_same(given: str, expected: str, *, encoding: Encoding) -> bool:
    """Compare in a time that tells nothing; digits of hex count in either case."""
    if len(given) > _MAXIMUM_SIGN_LENGTH or not given.isascii():
        return False
    if encoding is not Encoding.BASE64:
        given, expected = given.lower(), expected.lower()
    return hmac.compare_digest(given.encode(), expected.encode())


def _refuse_two_readings(read: Mapping[str, Any]) -> None:
    """Refuse parameters whose canonical text others have, too: nothing in it is escaped."""
    for name, value in read.items():
        if "&" in name or "=" in name or _TWO_PARAMETERS.search(parameters.as_text(value)):
            raise SignRefused(
                f"the parameter {parameters.printable(name)} cannot be told from two parameters in "
                "what is signed: leave out & and ="
            )
