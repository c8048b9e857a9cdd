"""Tries what a configuration names, keys above all, before anything depends on it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.app import signing
from agent.app.centre import members as centre_members
from agent.app.centre import users as centre_users
from agent.app.loading import load_all
from agent.config.centre_settings import (
    AgentSourceSettings,
    CentreSettings,
    PrometheusSourceSettings,
)
from agent.config.load import Loaded
from agent.config.monitoring_settings import MonitoringSettings
from agent.config.settings import AcsmpSettings
from agent.config.sign_settings import SignSettings
from agent.config.tls_settings import ServerTlsSettings
from agent.errors import ConfigError, ConfigProblem, PermanentError
from agent.security import keys, tls
from agent.transport.client import HttpClient


def load_checked(path: Path) -> Loaded:
    """Return the settings as `load_all` does, once the keys and certificates are good too.

    Raises:
        ConfigError: every problem of the file, or of the files that it names, at once.
    """
    loaded = load_all(path)
    problems = (*_problems_of_files(loaded), *_problems_of_declarations(loaded))
    if problems:
        raise ConfigError(problems)
    return loaded


def _problems_of_declarations(loaded: Loaded) -> Iterator[ConfigProblem]:
    if loaded.settings.monitoring:
        # It weighs, and most nodes report nothing.
        from agent.app.monitoring import declared as monitoring_declared

        yield from monitoring_declared.problems(loaded)


def _problems_of_files(loaded: Loaded) -> Iterator[ConfigProblem]:
    settings = loaded.settings
    if settings.device_api is not None:
        yield from _listener(loaded, "device_api", settings.device_api.tls)
    for index, platform in enumerate(settings.acsmp):
        key_file = platform.sm2_public_key_file
        if key_file is not None:
            yield from _problem(
                loaded,
                f"acsmp[{index}].sm2_public_key_file",
                functools.partial(keys.read_public_key, key_file),
            )
        yield from _client(loaded, f"acsmp[{index}]", platform)
    if settings.centre is not None:
        yield from _centre(loaded, settings.centre)
    for index, receiver in enumerate(settings.monitoring):
        yield from _client(loaded, f"monitoring[{index}]", receiver)
        yield from _sign(loaded, f"monitoring[{index}].sign", receiver.sign)


def _centre(loaded: Loaded, centre: CentreSettings) -> Iterator[ConfigProblem]:
    yield from _listener(loaded, "centre", centre.tls)
    yield from _sign(loaded, "centre.sign", centre.sign)
    for index, user in enumerate(centre.users):
        yield from _problem(
            loaded,
            f"centre.users[{index}].password",
            functools.partial(centre_users.check, user),
        )
    yield from _problem(
        loaded, "centre.members", functools.partial(centre_members.of, centre.members)
    )
    sources = centre.sources
    if isinstance(sources.nodes, tuple):
        for index, node in enumerate(sources.nodes):
            yield from _client(loaded, f"centre.sources.nodes[{index}]", node)
    if sources.prometheus is not None:
        yield from _client(loaded, "centre.sources.prometheus", sources.prometheus)


def _listener(
    loaded: Loaded, section: str, files: ServerTlsSettings | None
) -> Iterator[ConfigProblem]:
    if files is not None:
        yield from _problem(
            loaded,
            f"{section}.tls.certificate",
            functools.partial(
                tls.server_context,
                files.certificate,
                private_key=files.private_key,
                client_ca=files.client_ca,
            ),
        )


def _client(
    loaded: Loaded,
    section: str,
    server: AcsmpSettings | MonitoringSettings | AgentSourceSettings | PrometheusSourceSettings,
) -> Iterator[ConfigProblem]:
    """Try the files with which we call a server; without any there is nothing to try."""
    certificate = getattr(server, "client_certificate", None)
    if server.ca_file is None and certificate is None:
        return
    yield from _problem(
        loaded,
        f"{section}.{'ca_file' if certificate is None else 'client_certificate'}",
        functools.partial(
            HttpClient,
            base_url=server.url,
            user_agent="",
            ca_file=server.ca_file,
            client_certificate=certificate,
            client_private_key=getattr(server, "client_private_key", None),
        ),
    )


def _sign(loaded: Loaded, section: str, settings: SignSettings) -> Iterator[ConfigProblem]:
    for name, read in signing.key_files(settings):
        yield from _problem(loaded, f"{section}.{name}", read)


def _problem(loaded: Loaded, key: str, use: Callable[[], object]) -> Iterator[ConfigProblem]:
    try:
        use()
    except PermanentError as error:
        yield loaded.problem(key, error.reason)
