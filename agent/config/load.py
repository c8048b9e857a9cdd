"""Loads the configuration file into settings."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.config import rules, yaml_source
from agent.config.build import Builder
from agent.config.environment import Variables
from agent.config.files import Files
from agent.config.findings import Findings
from agent.config.nodes import Place
from agent.config.settings import Settings
from agent.errors import ConfigError, ConfigProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Is what one file says.

    `warnings` are things that are allowed, but that an operator ought to know, in the order of
    the file. `written` gives, for a secret or a value that came through `${NAME}`, by its key
    path, the key and the text that stand for it in a file: never the value itself. `places` is
    where each key path's value stands.
    """

    settings: Settings
    warnings: tuple[ConfigProblem, ...] = ()
    written: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    file: str = ""
    places: Mapping[str, Place] = field(default_factory=dict)

    def problem(self, key: str, message: str) -> ConfigProblem:
        """Return a problem with the setting at a key path, with its place where it has one."""
        place = self.places.get(key)
        return ConfigProblem(
            file=self.file,
            key=key,
            message=message,
            line=place.line if place else None,
            column=place.column if place else None,
        )


def load(
    path: Path,
    *,
    environment: Mapping[str, str],
    known_accelerators: Collection[str] | None = None,
) -> Loaded:
    """Read a configuration file and the secrets that it names.

    `environment` fills `${NAME}`; its CREDENTIALS_DIRECTORY is where a relative secret file is
    looked for first. With `known_accelerators`, a section for any other plugin is a problem.

    Raises:
        ConfigError: every problem of the file at once.
    """
    try:
        with path.open("rb") as file:
            content = file.read(yaml_source.LARGEST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        problem = ConfigProblem(file=str(path), key="", message=_reason(error))
        raise ConfigError([problem]) from error
    return load_text(
        content, path=path, environment=environment, known_accelerators=known_accelerators
    )


def load_text(
    content: bytes,
    *,
    path: Path,
    environment: Mapping[str, str],
    known_accelerators: Collection[str] | None = None,
) -> Loaded:
    """Read a configuration as `load` does; `path` says where its text comes from.

    Raises:
        ConfigError: every problem of the text at once.
    """
    findings = Findings(str(path))
    root = yaml_source.parse(content, findings=findings)
    if root is None:
        raise findings.error()
    root = Variables(environment=environment, findings=findings).in_section(root)
    files = Files(
        folder=os.path.abspath(path.parent),  # noqa: PTH100 - resolve() would follow links
        credentials_folder=environment.get("CREDENTIALS_DIRECTORY") or None,
    )
    names = {} if known_accelerators is None else {"accelerators": known_accelerators}
    builder = Builder(findings=findings, files=files, names=names)
    settings: Settings = builder.section(Settings, root, key="", place=root.place)
    rules.check(findings)
    findings.raise_problems()
    return Loaded(
        settings=settings,
        warnings=findings.warnings,
        written=findings.written,
        file=findings.file,
        places=findings.places,
    )


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file; see config.example.yaml"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return "this is not the path of a file"
