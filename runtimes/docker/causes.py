"""Why the engine refused a start, seen on this node: it tells most faults alike, as status 500.

Whoever has to mend it needs the name of what is missing or taken.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable

from agent.model.workloads import Port


def bad_device(devices: Iterable[str]) -> str | None:
    """Return what is wrong with the first device that is none; None where all are devices.

    A folder stands for the devices in it, as the engine takes it.
    """
    for device in devices:
        try:
            mode = os.stat(device).st_mode  # noqa: PTH116 - one call, no object
        except OSError:
            return f"{device} is not on this node: is the driver loaded?"
        if not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISDIR(mode)):
            return f"{device} is no device"
    return None


def missing_source(sources: Iterable[str]) -> str | None:
    """Return what is wrong with the first mounted path that is not there; None for no such."""
    for source in sources:
        if not os.path.lexists(source):
            return f"{source} is not on this node"
    return None


def taken_port(ports: Iterable[Port]) -> str | None:
    """Return which port of this node somebody else listens on; None where none is seen.

    A port that the engine gave away without a process that listens on it is not seen here.
    """
    for port in ports:
        if port.host_port is None:
            continue
        for family in (socket.AF_INET, socket.AF_INET6):
            if _is_taken(port.host_port, family=family, protocol=port.protocol):
                return (
                    f"port {port.host_port}/{port.protocol} of this node is taken by another "
                    f"program (ss -lnp 'sport = :{port.host_port}')"
                )
    return None


def _is_taken(number: int, *, family: socket.AddressFamily, protocol: str) -> bool:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    try:
        probe = socket.socket(family, kind)
    except OSError:
        return False
    with probe:
        with contextlib.suppress(OSError):
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if protocol == "tcp":
                # Connections that ended a moment ago do not keep the engine from listening.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", number))
        except OverflowError:
            return False
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
