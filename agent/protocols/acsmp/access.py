"""Decides who may call the device API, and as which platform.

Registration hands the platform a user and a password (table B.1) and gets a token back (B.3); both
are accepted here, since no table says which of them the platform uses towards the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from agent.model.secret import Secret
from agent.protocols.acsmp.identity import DeviceIdentity, PlatformToken
from agent.security import credentials
from agent.security.credentials import BasicCredentials

# A header's value by its name in any case, None where it was not sent.
HeaderLookup = Callable[[str], "str | None"]

CHALLENGES = ('Basic realm="computility-agent", charset="UTF-8"', "Bearer")
# `Authorization: Bearer` is always accepted, in any case of its scheme (RFC 9110, 11.1).
_PLAIN_TOKEN_HEADER = "Token: {token}"  # noqa: S105 - a template, not a token


class Access:
    """Knows the identities of this node and who may see which; safe in every thread."""

    def __init__(
        self,
        identities: Sequence[DeviceIdentity],
        *,
        tokens: Callable[[], Iterable[PlatformToken]],
    ) -> None:
        self._identities = tuple(identities)
        self._tokens = tokens
        # Platforms that share a user and a password cannot be told apart by them.
        by_credentials: dict[tuple[str, Secret], list[DeviceIdentity]] = {}
        for identity in identities:
            by_credentials.setdefault((identity.username, identity.password), []).append(identity)
        self._by_credentials = [
            (BasicCredentials(username=username, password=password), tuple(group))
            for (username, password), group in by_credentials.items()
        ]
        self._templates = {
            identity.platform: tuple(
                _split_template(template)
                for template in dict.fromkeys((_PLAIN_TOKEN_HEADER, identity.token_header))
            )
            for identity in identities
        }
        self._headers = tuple(
            dict.fromkeys(
                ["Authorization"]
                + [name for each in self._templates.values() for name, _, _ in each]
            )
        )

    def has_credentials(self, header: HeaderLookup) -> bool:
        """Tell whether a request carries anything to be checked."""
        return any(header(name) is not None for name in self._headers)

    def identities_of(self, header: HeaderLookup) -> tuple[DeviceIdentity, ...]:
        """Return the identities that a request may see; none for wrong credentials."""
        authorization = header("Authorization")
        allowed: tuple[DeviceIdentity, ...] = ()
        # Every pair and every token is looked at: stopping early would tell which one it was.
        for pair, identities in self._by_credentials:
            if credentials.is_basic_allowed(authorization, allowed=(pair,)):
                allowed += identities
        by_platform: dict[str, list[Secret]] = {}
        for held in self._tokens():
            by_platform.setdefault(held.platform, []).append(held.token)
        for identity in self._identities:
            tokens = by_platform.get(identity.platform, ())
            if tokens and self._carries_token(header, identity, tokens=tokens):
                allowed += (identity,)
        return tuple(dict.fromkeys(allowed))

    def _carries_token(
        self, header: HeaderLookup, identity: DeviceIdentity, *, tokens: Sequence[Secret]
    ) -> bool:
        authorization = header("Authorization")
        is_allowed = credentials.is_bearer_allowed(authorization, tokens=tokens)
        for name, before, after in self._templates[identity.platform]:
            value = header(name)
            if value is not None and value.startswith(before) and value.endswith(after):
                given = value[len(before) : len(value) - len(after)]
                is_allowed |= credentials.is_bearer_allowed(f"Bearer {given}", tokens=tokens)
        return is_allowed


def _split_template(template: str) -> tuple[str, str, str]:
    """Return the name of a header, and what stands before and after the token in its value."""
    name, _, value = template.partition(": ")
    before, _, after = value.partition("{token}")
    return name, before, after
