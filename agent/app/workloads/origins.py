"""What a platform wants of a device that fetches packages and licences from it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence

from agent.config.settings import AcsmpSettings
from agent.errors import PermanentError
from agent.protocols.acsmp.identity import PlatformToken
from agent.transport import addresses
from agent.transport.download import OriginAccess


class PlatformOrigins:
    """Knows the servers of the platforms; safe in every thread.

    A platform that also serves the packages may ask for the token that it gave, and its certificate
    is mostly of the CA that registration trusts. No other server ever sees either.
    """

    def __init__(
        self, platforms: Sequence[AcsmpSettings], *, tokens: Callable[[], Iterable[PlatformToken]]
    ) -> None:
        self._tokens = tokens
        self._by_origin: dict[str, AcsmpSettings] = {}
        for platform in platforms:
            with contextlib.suppress(PermanentError):
                self._by_origin.setdefault(_origin(platform.url), platform)

    def access(self, origin: str) -> OriginAccess | None:
        """Return what the server at "scheme://host:port" wants; None for one that is no platform's.

        Without a token, while the platform does not hold this node as registered, none is sent.
        """
        platform = self._by_origin.get(origin)
        if platform is None:
            return None
        headers = {}
        token = next(
            (each.token for each in self._tokens() if each.platform == platform.name), None
        )
        if token is not None:
            name, _, template = platform.token_header.partition(": ")
            headers[name] = template.replace("{token}", token.reveal())
        return OriginAccess(
            headers=headers,
            ca_file=platform.ca_file,
            client_certificate=platform.client_certificate,
            client_private_key=platform.client_private_key,
            is_renewed=True,
        )


def _origin(url: str) -> str:
    # Read as a download's address is, or the two could differ in how a name is written.
    origin = addresses.parse(url).origin
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return f"{origin.scheme}://{host}:{origin.port}"
