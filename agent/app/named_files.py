"""Tries the keys and certificates that a configuration names, before anything depends on them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.app.loading import load_all
from agent.config.load import Loaded
from agent.errors import ConfigError, ConfigProblem, PermanentError
from agent.security import keys, tls
from agent.transport.client import HttpClient


def load_checked(path: Path) -> Loaded:
    """Return the settings as `load_all` does, once the keys and certificates are good too.

    Raises:
        ConfigError: every problem of the file, or of the files that it names, at once.
    """
    loaded = load_all(path)
    problems = tuple(_problems_of_files(loaded))
    if problems:
        raise ConfigError(problems)
    return loaded


def _problems_of_files(loaded: Loaded) -> Iterator[ConfigProblem]:
    device_api = loaded.settings.device_api
    if device_api is not None and device_api.tls is not None:
        files = device_api.tls
        yield from _problem(
            loaded,
            "device_api.tls.certificate",
            functools.partial(
                tls.server_context,
                files.certificate,
                private_key=files.private_key,
                client_ca=files.client_ca,
            ),
        )
    for index, platform in enumerate(loaded.settings.acsmp):
        key_file = platform.sm2_public_key_file
        if key_file is not None:
            yield from _problem(
                loaded,
                f"acsmp[{index}].sm2_public_key_file",
                functools.partial(keys.read_public_key, key_file),
            )
        if platform.ca_file is not None or platform.client_certificate is not None:
            named = "ca_file" if platform.client_certificate is None else "client_certificate"
            yield from _problem(
                loaded,
                f"acsmp[{index}].{named}",
                functools.partial(
                    HttpClient,
                    base_url=platform.url,
                    user_agent="",
                    ca_file=platform.ca_file,
                    client_certificate=platform.client_certificate,
                    client_private_key=platform.client_private_key,
                ),
            )


def _problem(loaded: Loaded, key: str, use: Callable[[], object]) -> Iterator[ConfigProblem]:
    try:
        use()
    except PermanentError as error:
        yield loaded.problem(key, error.reason)
