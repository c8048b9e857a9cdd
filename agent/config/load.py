"""Loads the configuration file into settings."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.config import drop_ins, files, rules, yaml_source
from agent.config.build import Builder
from agent.config.drop_ins import DropIn
from agent.config.environment import Variables
from agent.config.files import Files, UnusableFileError
from agent.config.findings import Findings
from agent.config.nodes import Place, Section
from agent.config.settings import Settings
from agent.errors import ConfigProblem
from agent.model.operations import FIGURES

# Sections whose names are figures of a centre.
_FIGURE_MAPS = ("centre.members", "centre.sources.prometheus.queries")
_MOST_DROP_INS = 64
_EMPTY = Section(place=Place(line=1, column=1), entries=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Is what a file and its drop-ins say.

    `warnings` are things that are allowed, but that an operator ought to know, in the order of
    the file. `written` gives, for a secret or a value that came through `${NAME}`, by its key
    path, the key and the text that stand for it in a file: never the value itself. `places` is
    where each key path's value stands. `drop_ins` are the paths of the files of conf.d, in the
    order in which they were laid over `file`.
    """

    settings: Settings
    warnings: tuple[ConfigProblem, ...] = ()
    written: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    file: str = ""
    places: Mapping[str, Place] = field(default_factory=dict)
    drop_ins: tuple[str, ...] = ()

    def problem(self, key: str, message: str) -> ConfigProblem:
        """Return a problem with the setting at a key path, with its place where it has one."""
        place = self.places.get(key)
        return ConfigProblem(
            file=place.file if place and place.file else self.file,
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
    """Read a configuration file, the files of `conf.d` beside it and the secrets that they name.

    `environment` fills `${NAME}`; its CREDENTIALS_DIRECTORY is where a relative secret file is
    looked for first. With `known_accelerators`, a section for any other plugin is a problem.

    Raises:
        ConfigError: every problem of the files at once.
    """
    findings = Findings(str(path))
    content: bytes | None = None
    try:
        with path.open("rb") as file:
            content = file.read(yaml_source.LARGEST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        findings.problem("", _reason(error), place=None)
    # Where the way to the file is wrong, there is one thing to say, and it is said.
    found: tuple[DropIn, ...] = ()
    if path.parent.is_dir():
        found = _find_drop_ins(path.parent / drop_ins.FOLDER_NAME, findings=findings)
    if content is None:
        raise findings.error()
    return _load(
        content,
        found,
        path=path,
        findings=findings,
        environment=environment,
        known_accelerators=known_accelerators,
    )


def load_text(
    content: bytes,
    *,
    path: Path,
    environment: Mapping[str, str],
    known_accelerators: Collection[str] | None = None,
) -> Loaded:
    """Read a configuration as `load` does, without conf.d; `path` says where its text comes from.

    Raises:
        ConfigError: every problem of the text at once.
    """
    return _load(
        content,
        (),
        path=path,
        findings=Findings(str(path)),
        environment=environment,
        known_accelerators=known_accelerators,
    )


def _load(
    content: bytes,
    found: Sequence[DropIn],
    *,
    path: Path,
    findings: Findings,
    environment: Mapping[str, str],
    known_accelerators: Collection[str] | None,
) -> Loaded:
    root = _parsed(content, found, findings=findings)
    if root is None:
        raise findings.error()
    root = Variables(environment=environment, findings=findings).in_section(root)
    named_files = Files(
        folder=os.path.abspath(path.parent),  # noqa: PTH100 - resolve() would follow links
        credentials_folder=environment.get("CREDENTIALS_DIRECTORY") or None,
    )
    names: dict[str, Collection[str]] = dict.fromkeys(_FIGURE_MAPS, FIGURES)
    if known_accelerators is not None:
        names["accelerators"] = known_accelerators
    builder = Builder(findings=findings, files=named_files, names=names)
    settings: Settings = builder.section(Settings, root, key="", place=root.place)
    rules.check(findings)
    findings.raise_problems()
    return Loaded(
        settings=settings,
        warnings=findings.warnings,
        written=findings.written,
        file=findings.file,
        places=findings.places,
        drop_ins=tuple(one.path for one in found),
    )


def _parsed(content: bytes, found: Sequence[DropIn], *, findings: Findings) -> Section | None:
    if not found:
        return yaml_source.parse(content, findings=findings)
    # Beside drop-ins the file may be empty: they can say everything.
    main = yaml_source.parse(content, findings=findings, least=None)
    over = drop_ins.merged(main or _EMPTY, found, findings=findings)
    return over if main is not None else None


def _find_drop_ins(folder: Path, *, findings: Findings) -> tuple[DropIn, ...]:
    """Return the files of the folder by their names, and note what cannot be one."""
    found: list[DropIn] = []
    try:
        names = files.names_in(str(folder))
    except UnusableFileError as error:
        _note(findings, folder, str(error))
        return ()
    for name in names:
        path = folder / name
        if name.endswith(".yml"):
            of_file = Findings(str(path))
            of_file.warning("", "is not read; only names that end in .yaml are", place=None)
            findings.take(of_file)
        if name.startswith(".") or not name.endswith(".yaml"):
            continue
        if len(found) == _MOST_DROP_INS:
            _note(findings, folder, f"holds more than {_MOST_DROP_INS} files")
            break
        try:
            content = files.read_whole(str(path), largest=yaml_source.LARGEST_FILE_BYTES + 1)
        except UnusableFileError as error:
            _note(findings, path, str(error))
        else:
            found.append(DropIn(path=str(path), content=content))
    return tuple(found)


def _note(findings: Findings, path: Path, message: str) -> None:
    of_file = Findings(str(path))
    of_file.problem("", message, place=None)
    findings.take(of_file)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file; see config.example.yaml"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return "this is not the path of a file"
