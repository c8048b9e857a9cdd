"""The token of a request: the standard does not say which header carries it."""

from __future__ import annotations

import falcon

_TOKEN_HEADERS = ("Token", "X-Token", "X-Auth-Token", "X-Access-Token")


def token_of(request: falcon.Request) -> str | None:
    """Return the token that a request shows, None where it shows none."""
    authorization = request.get_header("Authorization")
    if authorization is not None:
        scheme, _, rest = authorization.strip().partition(" ")
        if not rest:
            return scheme
        if scheme.lower() in ("bearer", "token"):
            return rest.strip()
    for name in _TOKEN_HEADERS:
        value = request.get_header(name)
        if value is not None:
            return value.strip()
    return None
