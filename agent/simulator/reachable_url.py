"""The address of the platform as one device sees it."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit, urlunsplit

_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not listened on


def url_towards(url: str, *, device_address: str) -> str:
    """Return `url` with this machine's own address where it says "everywhere".

    A machine with several networks has several addresses: the one is taken from which the device
    is called. Nothing is sent for that. Where none is known `url` comes back as it is.
    """
    parts = urlsplit(url)
    if parts.hostname not in _EVERYWHERE:
        return url
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((device_address, 9))
            own = probe.getsockname()[0]
    except OSError:
        return url
    place = own if parts.port is None else f"{own}:{parts.port}"
    return urlunsplit(parts._replace(netloc=place))
