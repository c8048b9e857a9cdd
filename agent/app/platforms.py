"""Makes what it takes to talk to one platform, from its settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import agent
from agent.app.workloads import runtime_choice
from agent.config.kinds import split_listen
from agent.config.settings import AcsmpSettings, DeviceApiSettings, Settings
from agent.errors import AgentError, BadInput, PermanentError
from agent.model.clock import Clock, SystemClock
from agent.protocols.acsmp.identity import DeviceIdentity, device_identity
from agent.protocols.acsmp.password import PasswordSealer
from agent.protocols.acsmp.session import PlatformSession
from agent.security import self_test
from agent.transport.client import HttpClient

USER_AGENT = f"computility-agent/{agent.__version__}"


def identities(settings: Settings, *, listen_port: int | None = None) -> tuple[DeviceIdentity, ...]:
    """Return this node as each platform knows it, or the one identity of a device API alone.

    `listen_port` is the port that is really listened on, where that is known already.
    """
    device_api = settings.device_api
    if device_api is None:
        return ()
    platforms: Sequence[AcsmpSettings | None] = settings.acsmp or (None,)
    return tuple(
        device_identity(
            settings.node,
            device_api=device_api,
            platform=platform,
            listen_port=listen_port or configured_port(device_api),
            supports_algorithm_services=settings.runtime.kind != runtime_choice.NONE,
        )
        for platform in platforms
    )


def configured_port(device_api: DeviceApiSettings) -> int:
    """Return the port of `device_api.listen`."""
    return split_listen(device_api.listen)[1]


def session(
    platform: AcsmpSettings, *, identity: DeviceIdentity, clock: Clock | None = None
) -> PlatformSession:
    """Return a session with a client of its own; nothing is sent yet.

    Raises:
        PermanentError: a certificate of the settings cannot be used.
    """
    return PlatformSession(
        identity=identity,
        url=platform.url,
        keepalive_seconds=platform.keepalive_seconds,
        client=HttpClient(
            base_url=platform.url,
            ca_file=platform.ca_file,
            client_certificate=platform.client_certificate,
            client_private_key=platform.client_private_key,
            user_agent=USER_AGENT,
        ),
        seal_password=PasswordSealer(platform),
        clock=clock or SystemClock(),
    )


def chosen(settings: Settings, names: Sequence[str]) -> tuple[AcsmpSettings, ...]:
    """Return the platforms of these names, each once, and every platform for no name.

    Raises:
        BadInput: there is no platform of that name.
        PermanentError: there is none at all.
    """
    if not settings.acsmp:
        raise PermanentError("the configuration names no platform: add an acsmp section")
    known = {platform.name: platform for platform in settings.acsmp}
    for name in names:
        if name not in known:
            raise BadInput(
                f"there is no platform called {name}; the configuration has {', '.join(known)}"
            )
    return tuple(known[name] for name in dict.fromkeys(names)) or settings.acsmp


def each_platform(
    settings: Settings,
    names: Sequence[str],
    *,
    act: Callable[[PlatformSession], str],
    tell: Callable[[str, AgentError | None, str], None],
) -> bool:
    """Do one thing with each platform; one that fails does not keep the next from its turn.

    `act` returns what to tell of a success; `tell` gets name, error or None, and that text.
    Returns whether all succeeded.
    """
    self_test.run()
    everybody = {identity.platform: identity for identity in identities(settings)}
    succeeded = True
    for platform in chosen(settings, names):
        try:
            one = session(platform, identity=everybody[platform.name])
            tell(platform.name, None, act(one))
        except AgentError as error:
            succeeded = False
            tell(platform.name, error, str(error))
    return succeeded
