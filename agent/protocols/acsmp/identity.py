"""Who this node is for one platform: what registration says of it (table B.1)."""

from __future__ import annotations

from dataclasses import dataclass

from agent.config.settings import AcsmpSettings, DeviceApiSettings, NodeSettings
from agent.model.secret import Secret

AUTO = "auto"
DEFAULT_TOKEN_HEADER = "Authorization: Bearer {token}"  # noqa: S105 - a template, not a token


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentity:
    """Is this node as one platform knows it, and what opens the device API to that platform.

    `address` is an IPv4 address, or "auto" for the one that routes to the platform; `port` is what
    the platform is told. `supports_algorithm_services` is whether services can be loaded here
    (`SupportAlgoService`). `token_header` is a template with `{token}` in it. `platform` is "" for
    a device API without platforms.
    """

    platform: str
    computility_code: str
    node_type: str
    address: str
    port: int
    username: str
    password: Secret
    token_header: str = DEFAULT_TOKEN_HEADER
    supports_algorithm_services: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformToken:
    """Is a token that a platform gave us, and with which it may come to us."""

    platform: str
    token: Secret


def device_identity(
    node: NodeSettings,
    *,
    device_api: DeviceApiSettings,
    platform: AcsmpSettings | None,
    listen_port: int,
    supports_algorithm_services: bool = False,
) -> DeviceIdentity:
    """Return the identity for a platform: its own settings where it has some, else the node's.

    `listen_port` is told to the platform unless `advertise_port` says otherwise; the port that is
    really listened on, where the configuration leaves the choice to the system.
    """
    port = device_api.advertise_port or listen_port
    if platform is None:
        return DeviceIdentity(
            platform="",
            computility_code=node.code,
            node_type=node.type,
            address=node.address,
            port=port,
            username=device_api.username,
            password=device_api.password,
            supports_algorithm_services=supports_algorithm_services,
        )
    return DeviceIdentity(
        platform=platform.name,
        computility_code=platform.code or node.code,
        node_type=platform.type or node.type,
        address=platform.address or node.address,
        port=port,
        username=platform.username or device_api.username,
        password=platform.password or device_api.password,
        token_header=platform.token_header,
        supports_algorithm_services=supports_algorithm_services,
    )
