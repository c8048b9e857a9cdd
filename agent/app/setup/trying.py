"""Tries a configuration that is not in force yet: the way to the platform, and a registration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.app import local_client, platforms
from agent.app.doctor import keys, platform_way, runner
from agent.app.doctor.check import Result, State
from agent.app.doctor.examination import platforms_of
from agent.app.local_socket import SOCKET_NAME
from agent.config.settings import Settings
from agent.errors import AgentError, PlatformRejected
from agent.model.clock import Clock

REGISTRATION = "registration"
_REFUSED = (
    "compare code, type and key with the platform's operator; where the key is right, the platform "
    "may want another layout (acsmp.sm2, docs/security.md)"
)
_UNANSWERED = "try again, or ask the platform's operator what it says of this"

OnResult = Callable[[Result], None]


def try_out(settings: Settings, *, platform: str, clock: Clock, on_result: OnResult) -> bool:
    """Return whether a platform can be reached and takes this node's registration.

    The node is taken off again, because nobody answers for it yet; not where its agent runs
    already. `on_result` is told of every step.
    """
    chains: list[runner.Chain] = [
        [keys.key_check(each)] for each in settings.acsmp if each.name == platform
    ]
    chains += [
        platform_way.chain(each, clock=clock)
        for each in platforms_of(settings)
        if each.subject == platform and each.speaks_acsmp
    ]
    results = runner.run(chains, clock=clock)
    for result in results:
        on_result(result)
    if any(each.state is State.FAILED for each in results):
        return False
    result = _registration(settings, platform=platform, clock=clock)
    on_result(result)
    return result.state is not State.FAILED


def _registration(settings: Settings, *, platform: str, clock: Clock) -> Result:
    began = clock.monotonic()
    state, found, advice = _register(settings, platform=platform)
    return Result(
        name=REGISTRATION,
        subject=platform,
        state=state,
        found=found,
        advice=advice,
        seconds=round(clock.monotonic() - began, 2),
    )


def _register(settings: Settings, *, platform: str) -> tuple[State, str, str | None]:
    (chosen,) = platforms.chosen(settings, [platform])
    identity = next(each for each in platforms.identities(settings) if each.platform == platform)
    if identity.port == 0:
        return State.SKIPPED, "device_api.listen ends in :0: the port is known at its start", None
    try:
        session = platforms.session(chosen, identity=identity)
        registration = session.register_once()
    except PlatformRejected as refusal:
        return State.FAILED, str(refusal), _REFUSED
    except AgentError as error:
        return State.FAILED, str(error), _UNANSWERED
    found = f"accepted, as {identity.computility_code} at {registration.address}:{identity.port}"
    if _runs(settings):
        return State.OK, f"{found}; the agent runs already, so the node stays registered", None
    try:
        session.unregister_once()
    except AgentError as error:
        return (
            State.WARNING,
            f"{found}; it could not be taken off again ({error})",
            "the platform shows the node as offline until the service starts",
        )
    return State.OK, f"{found}, and taken off again until the service starts", None


def _runs(settings: Settings) -> bool:
    try:
        local_client.read_status(Path(settings.node.state_dir) / SOCKET_NAME)
    except AgentError:
        return False
    return True
