"""Addresses of files: what is sent to whom, what may be shown, and where a redirect may lead."""

from __future__ import annotations

import base64
import contextlib
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import requests

from agent.errors import PermanentError
from agent.model.secret import Secret

_MAXIMUM_LENGTH = 8192
_TARGET = re.compile(r"[\x21-\x7e]+")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Is a server: what RFC 6454 takes together, and what credentials belong to."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Return what stands in the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Is the address of a file, its secrets apart; its repr and `shown` hold none.

    `authorization` is the value of that header where the URL held a user name, else None. `url`
    and `target` hold the query, in which signatures stand.
    """

    origin: Origin
    target: Secret
    url: Secret
    authorization: Secret | None
    shown: str


def parse(url: str) -> Address:
    """Return what a URL says.

    Raises:
        PermanentError: it is no http:// or https:// URL; the text shows nothing of it.
    """
    prepared = requests.PreparedRequest()
    try:
        if len(url) > _MAXIMUM_LENGTH:
            raise ValueError
        prepared.prepare_url(url.strip(), None)  # type: ignore[no-untyped-call, unused-ignore]
        parts = urlsplit(prepared.url or "")
        port = parts.port
    except (requests.RequestException, ValueError) as error:
        # Neither the URL nor the cause is shown: there may be a password in them.
        del error
        raise PermanentError(_NO_URL) from None
    host = (parts.hostname or "").lower()
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    is_clean = _TARGET.fullmatch(target) and _TARGET.fullmatch(host)
    if parts.scheme not in _PORTS or not is_clean or port == 0:
        raise PermanentError(_NO_URL)
    origin = Origin(scheme=parts.scheme, host=host, port=port or _PORTS[parts.scheme])
    bare = f"{origin.scheme}://{origin.authority}{target}"
    return Address(
        origin=origin,
        target=Secret(target),
        url=Secret(bare),
        authorization=_basic(parts),
        shown=f"{origin.scheme}://{origin.authority}{parts.path or '/'}"
        + ("?***" if parts.query else ""),
    )


_NO_URL = "the address is no http:// or https:// URL with a host"


def masked(url: str) -> str:
    """Return a URL without user name, password and query, fit for a log; never raises."""
    try:
        return parse(url).shown
    except PermanentError:
        return "***"


def redirected(address: Address, location: str | None) -> Address:
    """Return where a redirect leads.

    Raises:
        PermanentError: nowhere, or from https:// to http://.
    """
    if not location:
        raise PermanentError(f"{address.origin.authority} redirects without saying where")
    # Headers are Latin-1 to the HTTP library; what was meant is mostly UTF-8.
    with contextlib.suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")
    try:
        following = parse(urljoin(address.url.reveal(), location))
    except (PermanentError, ValueError):
        raise PermanentError(
            f"{address.origin.authority} redirects to what is no http:// or https:// URL"
        ) from None
    if address.origin.scheme == "https" and following.origin.scheme == "http":
        raise PermanentError(
            f"{address.origin.authority} redirects from https:// to http:// "
            f"({following.shown}), which is not followed"
        )
    return following


def _basic(parts: SplitResult) -> Secret | None:
    if parts.username is None and parts.password is None:
        return None
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return Secret("Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii"))
