"""What the settings say of connections: TLS of the platform, calls of devices."""

from __future__ import annotations

import ssl

from agent.errors import PermanentError
from agent.security import tls
from agent.simulator.device_client import DeviceClient, client_context
from agent.simulator.settings import SimulatorSettings


def server_context(settings: SimulatorSettings) -> ssl.SSLContext | None:
    """Return the TLS context of the platform, None for plain HTTP.

    Raises:
        PermanentError: a file cannot be used.
    """
    if settings.certificate is None:
        return None
    return tls.server_context(
        settings.certificate,
        private_key=settings.private_key or settings.certificate,
        client_ca=settings.client_ca,
    )


def device_client_of(settings: SimulatorSettings) -> DeviceClient:
    """Return who calls devices.

    Raises:
        PermanentError: the CA cannot be used.
    """
    context = None
    if settings.device_https:
        ca_file = settings.device_ca_file
        try:
            context = client_context(ca_file=None if ca_file is None else str(ca_file))
        except OSError as error:
            raise PermanentError(f"{ca_file}: no PEM certificate of a CA: {error}") from error
    return DeviceClient(
        prefix=settings.device_prefix,
        timeout_seconds=settings.poll_timeout_seconds,
        body_bytes_maximum=settings.poll_bytes_maximum,
        ssl_context=context,
    )
