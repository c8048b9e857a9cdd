"""Whatever stands in the file, the answer is settings or ConfigError, and it comes soon."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config.load import Loaded, load_text
from agent.config.settings import Settings
from agent.config.shape import Shape, settings_of
from agent.config.show import render
from agent.errors import ConfigError

HERE = Path("/nonexistent/config.yaml")
# Milliseconds are usual; a busy machine needs room.
SOON = settings(deadline=timedelta(seconds=20))


def load_or_refuse(content: bytes) -> Loaded | None:
    try:
        return load_text(content, path=HERE, environment={"A": "1"})
    except ConfigError as error:
        problems = error.problems
    assert problems
    assert all(problem.message and "\n" not in str(problem) for problem in problems)
    places = [(problem.line or 0, problem.column or 0) for problem in problems]
    assert places == sorted(places)
    return None


@SOON
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    load_or_refuse(content)


@SOON
@given(st.text(alphabet="node:code \n\t-[]{}&*!|>'\"#%@`,?$~0\\", max_size=120))
def test_any_text_of_yaml_characters(text: str) -> None:
    load_or_refuse(text.encode())


def keys_of(shape: Shape) -> set[str]:
    inner = shape.items or shape.values or shape
    if inner.section is None:
        return set()
    keys = set()
    for setting in settings_of(inner.section):
        keys |= set(setting.keys) | keys_of(setting.shape)
    return keys


KEYS = sorted(keys_of(Shape(section=Settings)))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        [
            "auto",
            "AI_BOX",
            "1" * 20,
            "127.0.0.1:0",
            "http://h",
            "[::1]:1",
            "${A}",
            "${B}",
            "$$",
            "9" * 400,
        ]
    ),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), inner, max_size=6),
    ),
    max_leaves=25,
)


@SOON
@given(st.dictionaries(st.sampled_from([s.name for s in settings_of(Settings)]), TREES))
def test_any_tree_under_the_right_sections(tree: dict[str, object]) -> None:
    load_or_refuse(yaml.safe_dump(tree, allow_unicode=True).encode())


TEXTS = st.text(alphabet=st.characters(exclude_categories=["C"]), max_size=20)
OPTIONS = st.recursive(
    TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
)


@SOON
@given(
    interval=st.floats(min_value=1, max_value=3600),
    disks=st.just("auto") | st.lists(TEXTS.map(lambda text: f"/{text}"), max_size=3),
    options=st.dictionaries(TEXTS.filter(lambda key: key != "enabled"), OPTIONS, max_size=4),
)
def test_what_is_printed_loads_again(interval: float, disks: object, options: object) -> None:
    tree = {
        "node": {"code": "1" * 20, "type": "CAP"},
        "collect": {"interval_seconds": interval, "disks": disks},
        "accelerators": {"any": options},
    }
    loaded = load_or_refuse(yaml.safe_dump(tree, allow_unicode=True).encode())
    if loaded is None:  # more digits than a setting may have, or a stray ${
        return
    again = load_or_refuse(render(loaded).encode())
    assert again is not None
    assert again.settings == loaded.settings
