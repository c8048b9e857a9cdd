"""The device API: is it reached where platforms are told to find it, and is it ours?"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import psutil

from agent.app import once, platforms
from agent.app.doctor.check import Check, Finding, failed, ok, skipped, warning
from agent.config.kinds import split_listen
from agent.config.settings import DeviceApiSettings, Settings
from agent.config.tls_settings import ServerTlsSettings
from agent.protocols.acsmp.gate import HEALTH_PATH
from agent.transport import failures

NAME = "device api"
_SECONDS = 6.0
_ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - looked for, not listened on
_ALIVE = b"alive"


def check(settings: Settings, *, status: Mapping[str, Any] | None) -> Check:
    """Return the check; `status` is that of the running agent, None where none answers."""
    device_api = settings.device_api

    def look() -> Finding:
        if device_api is None:
            return skipped("there is no section device_api")
        if status is None:
            return port_of_nobody(platforms.configured_port(device_api))
        place = status.get("device_api")
        if not isinstance(place, str):
            return failed(
                "the agent runs without a device API",
                advice="it runs with an older configuration: systemctl reload computility-agent",
            )
        return _of_running_agent(settings, device_api, place=place, process_id=status.get("pid"))

    return Check(name=NAME, look=look, deadline_seconds=_SECONDS * 2)


def listener_of(port: int) -> tuple[bool, int | None]:
    """Return whether a process listens on a TCP port of this machine, and its id if it is told."""
    for each in psutil.net_connections(kind="tcp"):
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port:
            return True, each.pid
    return False, None


def process_name(process_id: int | None) -> str:
    """Return a process in words."""
    if process_id is None:
        return "another process (run doctor as root to see which)"
    try:
        return f"{psutil.Process(process_id).name()} (process {process_id})"
    except psutil.Error:
        return f"process {process_id}"


def port_of_nobody(port: int, *, key: str = "device_api.listen") -> Finding:
    """Return whether the port of an agent that does not run is free for it."""
    if port == 0:
        return skipped("the agent does not run, and its port is chosen at its start")
    is_taken, process_id = listener_of(port)
    if not is_taken:
        return skipped(f"the agent does not run; port {port} is free")
    return failed(
        f"port {port} is taken by {process_name(process_id)}",
        advice=f"end that program, or give {key} another port",
    )


def _of_running_agent(
    settings: Settings, device_api: DeviceApiSettings, *, place: str, process_id: Any
) -> Finding:
    host, port = split_listen(place)
    _, listening = listener_of(port)
    if listening is not None and isinstance(process_id, int) and listening != process_id:
        return failed(
            f"port {port} belongs to {process_name(listening)}, not to the agent",
            advice="end that program, then restart the agent",
        )
    told = once.own_address(settings) or ("127.0.0.1" if host in _ANYWHERE else host)
    if host not in _ANYWHERE and host != told:
        return warning(
            f"it listens on {host} alone, and platforms are told {told}",
            advice="set device_api.listen to 0.0.0.0, unless a proxy stands between",
        )
    finding = ask(told, port, tls=device_api.tls)
    if finding is not None:
        return finding
    through = ""
    if device_api.advertise_port not in {None, port}:
        through = f"; whether port {device_api.advertise_port} leads here is seen from outside only"
    return ok(f"answers on {told}:{port}{through}")


def ask(host: str, port: int, *, tls: ServerTlsSettings | None) -> Finding | None:
    """Ask the one resource that is open to everybody; None where it answers as it should."""
    try:
        connection = (
            http.client.HTTPConnection(host, port, timeout=_SECONDS)
            if tls is None
            else http.client.HTTPSConnection(
                host, port, timeout=_SECONDS, context=_context(tls.certificate)
            )
        )
        with closing(connection):
            connection.request("GET", HEALTH_PATH)
            answer = connection.getresponse()
            body = answer.read(64)
    except (OSError, http.client.HTTPException) as error:
        if tls is not None and tls.client_ca is not None and isinstance(error, ssl.SSLError):
            return ok(f"answers on {host}:{port}, and asks for a client's certificate")
        words = failures.describe(error, host=host, port=port, stage="asking")
        return failed(
            words,
            advice="is a firewall on this machine in the way (nft list ruleset), and is "
            "node.address an address of this machine or of the NAT before it?",
        )
    if answer.status == 200 and body.strip() == _ALIVE:
        return None
    return failed(
        f"what answers on {host}:{port} is no device API (HTTP {answer.status})",
        advice="another program has that port, or a proxy leads elsewhere",
    )


def _context(certificate: str) -> ssl.SSLContext:
    """Return a context that trusts what is configured and nothing else, expired or not yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    return context
