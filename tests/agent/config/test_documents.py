"""The example and the reference say what the settings are."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from agent.config import reference
from agent.config.load import Loaded
from agent.config.settings import Settings
from agent.config.shape import Shape, settings_of
from agent.config.show import render

Load = Callable[..., Loaded]

ROOT = Path(__file__).parents[3]
# What stands in these mappings are names of the site's own.
NAMED_BY_THE_SITE = {".centre.members", ".centre.sources.prometheus.queries"}
# The example has the other way, `self`.
NOT_SHOWN = ".centre.sources.nodes."
ELSEWHERE = "/etc/computility-agent/"


@pytest.fixture
def example(folder: Path) -> str:
    """Return the example, with every file that it names made in the folder."""
    text = (ROOT / "config.example.yaml").read_text(encoding="utf-8")
    for name in re.findall(rf"{ELSEWHERE}(\S+)", text):
        (folder / name).write_text("opensesame\n")
        (folder / name).chmod(0o600)
    return text.replace(ELSEWHERE, f"{folder}/")


def uncommented(text: str) -> str:
    return re.sub(r"(?m)^( *)#(?=[a-z-])", r"\1", text)


def test_the_example_loads_as_it_is(load_here: Load, example: str) -> None:
    loaded = load_here(example, known_accelerators=["nvidia"])
    assert loaded.warnings == ()
    assert loaded.settings.device_api is not None
    assert [platform.name for platform in loaded.settings.acsmp] == ["city"]


def test_the_example_loads_with_every_key(load_here: Load, example: str) -> None:
    loaded = load_here(uncommented(example), known_accelerators=["nvidia"])
    assert loaded.warnings == ()
    assert loaded.settings.metrics is not None
    assert loaded.settings.acsmp[0].client_private_key is not None


def test_a_commented_key_is_at_its_default_or_needs_none(load_here: Load, example: str) -> None:
    plain, full = (render(load_here(text)).splitlines() for text in (example, uncommented(example)))
    removed = {line.strip() for line in plain} - {line.strip() for line in full}
    assert all(line.endswith((": null", ": {}", ": []")) for line in removed)


def paths_of(shape: Shape, path: str) -> set[str]:
    inner = shape.items or shape.values or shape
    if inner.section is None:
        return {path}
    paths = set()
    for setting in settings_of(inner.section):
        if not setting.shape.raw:
            paths |= paths_of(setting.shape, f"{path}.{setting.keys[0]}")
    return paths


def test_the_example_has_every_key(example: str) -> None:
    found = set()

    def walk(tree: object, path: str) -> None:
        if isinstance(tree, dict):
            for key, value in tree.items():
                # A plugin's name is no key of the settings.
                is_plugin = path == ".accelerators" and isinstance(value, dict)
                inner = path if is_plugin else f"{path}.{key}"
                if inner in NAMED_BY_THE_SITE:
                    found.add(inner)
                else:
                    walk(value, inner)
        elif isinstance(tree, list) and tree and isinstance(tree[0], dict):
            walk(tree[0], path)
        else:
            found.add(path)

    walk(yaml.load(uncommented(example), Loader=yaml.BaseLoader), "")
    wanted = paths_of(Shape(section=Settings), "")
    assert {path for path in wanted if not path.startswith(NOT_SHOWN)} <= found
    assert found - wanted == {
        ".accelerators.container_access",
        ".accelerators.library",
        ".accelerators.source",
        ".accelerators.tool",
        ".centre.sources.nodes",
        ".meters.host",
        ".meters.profile",
    }


def test_the_reference_is_not_stale() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert not reference.is_stale(text), (
        "run .venv/bin/python -m agent.config.reference > docs/configuration.md"
    )
    assert reference.is_stale(text + "\n")


def test_the_reference_names_every_key_once() -> None:
    text = reference.render()
    for path in paths_of(Shape(section=Settings), ""):
        key = path.rpartition(".")[2]
        assert re.search(rf"^\| `[^`]*\.{key}`", text, re.MULTILINE), path


def test_every_example_in_the_reference_is_yaml() -> None:
    examples = re.findall(r"\| `([a-z0-9_]+: .*?)` \|", reference.render())
    assert len(examples) > 30
    for line in examples:
        (value,) = yaml.load(line, Loader=yaml.BaseLoader).values()
        assert isinstance(value, str | dict) or value == []


def test_the_check_of_the_reference_fails_on_a_stale_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "configuration.md"
    assert reference.main([]) == 0
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    assert reference.main(["--check", str(file)]) == 0
    file.write_text("old", encoding="utf-8")
    assert reference.main(["--check", str(file)]) == 1
    assert "is stale" in capsys.readouterr().err
