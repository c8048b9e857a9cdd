"""How a source of the operational data is named, and how we log in there."""

from __future__ import annotations

from urllib.parse import urlsplit

from agent.model.secret import Secret
from agent.security import credentials
from agent.security.credentials import BasicCredentials


def basic_header(username: str, password: Secret) -> str:
    """Return the value of `Authorization` of a user."""
    given = BasicCredentials(username=username, password=password)
    return credentials.basic_header(given).reveal()


def place(url: str) -> str:
    """Return what tells a server from others, in few characters."""
    parts = urlsplit(url)
    return (parts.netloc + parts.path).rstrip("/")
