"""A folder with the files that a configuration names, and short ways to load a text from it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeAlias

import pytest

from agent.config.load import Loaded, load_text
from agent.errors import ConfigError

Load: TypeAlias = Callable[..., Loaded]
Problems: TypeAlias = Callable[..., list[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("password", "city.pem", "client.pem", "client.key"):
        file = tmp_path / name
        file.write_text("opensesame\n")
        file.chmod(0o600)
    return tmp_path


@pytest.fixture
def load_here(folder: Path) -> Load:
    """Return a function that loads a text as if it stood in the folder."""

    def load(
        text: str | bytes,
        *,
        environment: dict[str, str] | None = None,
        known_accelerators: Collection[str] | None = None,
    ) -> Loaded:
        return load_text(
            text if isinstance(text, bytes) else text.encode(),
            path=folder / "config.yaml",
            environment=environment or {},
            known_accelerators=known_accelerators,
        )

    return load


@pytest.fixture
def problems_of(load_here: Load, folder: Path) -> Problems:
    """Return a function that gives the problems of a text, without the folder's name."""

    def problems(text: str | bytes, **options: object) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_here(text, **options)
        return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]

    return problems
