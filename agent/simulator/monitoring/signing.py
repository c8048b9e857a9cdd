"""Signs what the platform asks, and checks the signatures of what it is asked."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime

from agent.security import hmac_sm3, sm2_signature, sm3
from agent.simulator.monitoring import canonical
from agent.simulator.monitoring.canonical import Unreadable
from agent.simulator.monitoring.codes import Code, Refused
from agent.simulator.monitoring.settings import SignEncoding, SignScheme, SignSettings

WINDOW_SECONDS = 300.0
SIGN_HEADER, TIMESTAMP_HEADER, NONCE_HEADER = "sign", "timestamp", "nonce"
_NONCES_MAXIMUM = 100_000
_MILLISECONDS_FROM = 10**11
_TIMESTAMP = re.compile(r"[0-9]{9,16}")
_NONCE = re.compile(r"[!-%'-~]{1,128}")

HeaderLookup = Callable[[str], "str | None"]


class Signing:
    """Knows one secret, in both directions; safe in every thread.

    A signature is for one request: its timestamp may be 300 s off, and its nonce counts once.
    """

    def __init__(self, settings: SignSettings, *, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._lock = threading.Lock()
        self._nonces: OrderedDict[str, float] = OrderedDict()

    @property
    def signs_login(self) -> bool:
        """Tell whether A.1 has to be signed, too."""
        return self._settings.signs_login

    def headers(self, *, query: str, body: bytes) -> Mapping[str, str]:
        """Return the headers that sign a request of ours."""
        seconds = self._now().timestamp()
        in_seconds = self._settings.scheme is SignScheme.SHA256_TIF
        stamp = {
            TIMESTAMP_HEADER: str(int(seconds if in_seconds else seconds * 1000)),
            NONCE_HEADER: secrets.token_hex(16),
        }
        signature = self._sign(self._text(query=query, body=body, stamp=stamp))
        return {**stamp, SIGN_HEADER: self._written(signature)}

    def check(self, *, query: str, body: bytes, header: HeaderLookup) -> None:
        """Return if a request is signed, now and for the first time.

        Raises:
            Refused: with 10006 where there is no signature, with 99999 where it does not hold.
        """
        given = (header(SIGN_HEADER) or "").strip()
        if not given:
            raise Refused(
                "the request is not signed: there is no header sign", code=Code.SIGN_MISSING
            )
        stamp = {name: header(name) or "" for name in (TIMESTAMP_HEADER, NONCE_HEADER)}
        self._check_time(stamp[TIMESTAMP_HEADER])
        if _NONCE.fullmatch(stamp[NONCE_HEADER]) is None:
            raise _bad("the header nonce has to be 1 to 128 printable characters without blank, &")
        try:
            text = self._text(query=query, body=body, stamp=stamp)
        except Unreadable as error:
            raise _bad(f"cannot be checked: {error}") from error
        if not self._holds(given, text):
            raise _bad(f"is not the one of this request by {self._settings.scheme.value}")
        self._take(stamp[NONCE_HEADER])

    def _check_time(self, text: str) -> None:
        if _TIMESTAMP.fullmatch(text) is None:
            raise _bad("the header timestamp has to be milliseconds, or seconds, since 1970")
        number = int(text)
        seconds = number / 1000 if number >= _MILLISECONDS_FROM else float(number)
        off_seconds = seconds - self._now().timestamp()
        if abs(off_seconds) > WINDOW_SECONDS:
            raise _bad(f"timestamp is {off_seconds:+.0f} s off, {WINDOW_SECONDS:.0f} s are allowed")

    def _take(self, nonce: str) -> None:
        now_seconds = self._now().timestamp()
        with self._lock:
            while self._nonces and next(iter(self._nonces.values())) <= now_seconds:
                self._nonces.popitem(last=False)
            if nonce in self._nonces:
                raise _bad("nonce came before: the request was played again")
            if len(self._nonces) >= _NONCES_MAXIMUM:
                raise _bad("cannot be checked: too many nonces came within minutes")
            # Twice the window: a timestamp may have been that much in the future.
            self._nonces[nonce] = now_seconds + 2 * WINDOW_SECONDS

    def _text(self, *, query: str, body: bytes, stamp: Mapping[str, str]) -> bytes:
        settings = self._settings
        if settings.scheme is SignScheme.SHA256_TIF:
            # The gateways' way covers no parameter, and has the secret inside.
            timestamp, nonce = stamp[TIMESTAMP_HEADER], stamp[NONCE_HEADER]
            return f"{timestamp}{settings.secret}{nonce}{timestamp}".encode()
        form = canonical.raw_body if settings.covers_raw_body else canonical.sorted_parameters
        text = form(query=query, body=body, stamp=stamp)
        has_key_behind = settings.scheme in (
            SignScheme.SM3_SUFFIX,
            SignScheme.MD5_SUFFIX,
            SignScheme.SM2,
        )
        if has_key_behind and settings.secret:
            text += b"&key=" + settings.secret.encode()
        return text

    def _sign(self, text: bytes) -> bytes:
        if self._settings.scheme is SignScheme.SM2:
            assert self._settings.private_key is not None  # noqa: S101 - the side gives its own
            return sm2_signature.to_der(sm2_signature.sign(self._settings.private_key, text))
        return self._digest(text)

    def _digest(self, text: bytes) -> bytes:
        secret = self._settings.secret.encode()
        match self._settings.scheme:
            case SignScheme.HMAC_SM3:
                return hmac_sm3.digest(secret, text)
            case SignScheme.HMAC_SHA256:
                return hmac.digest(secret, text, "sha256")
            case SignScheme.SM3_SUFFIX:
                return sm3.digest(text)
            case SignScheme.MD5_SUFFIX:
                return hashlib.md5(text, usedforsecurity=False).digest()
            case _:
                return hashlib.sha256(text).digest()

    def _holds(self, given: str, text: bytes) -> bool:
        if self._settings.scheme is SignScheme.SM2:
            key = self._settings.public_key
            signature = self._read(given)
            if key is None or signature is None:
                return False
            return sm2_signature.is_signed(key, text, signature)
        expected = self._written(self._digest(text))
        if self._settings.encoding is not SignEncoding.BASE64:
            given, expected = given.lower(), expected.lower()
        return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())

    def _written(self, signature: bytes) -> str:
        match self._settings.encoding:
            case SignEncoding.HEX:
                return signature.hex()
            case SignEncoding.UPPER_HEX:
                return signature.hex().upper()
            case _:
                return base64.b64encode(signature).decode()

    def _read(self, text: str) -> bytes | None:
        try:
            if self._settings.encoding is SignEncoding.BASE64:
                return base64.b64decode(text, validate=True)
            return binascii.unhexlify(text)
        except ValueError:
            return None


def _bad(problem: str) -> Refused:
    return Refused(f"sign: {problem}", code=Code.OTHER)
