from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from msgspec import Meta

from agent.config.kinds import RawSection
from agent.config.load import Loaded
from agent.config.plugin_config import build_plugin_config
from agent.errors import ConfigError

Load = Callable[..., Loaded]

HEAD = 'node: {code: "11010800005020000001", type: AI_BOX}\naccelerators:\n  some:\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    port: Annotated[int, Meta(ge=1, le=65535)]
    host: str = "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class SomeConfig:
    library: Annotated[str, Meta(min_length=1)] = "libsome.so"
    source: Literal["auto", "library", "tool"] = "auto"
    limit: Annotated[int, Meta(ge=0)] | None = None
    factor: float = 1.0
    quick: bool = False
    names: list[str] | None = None
    links: tuple[LinkConfig, ...] = ()


def section(load_here: Load, text: str, **environment: str) -> RawSection:
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    loaded = load_here(HEAD + lines, environment=environment)
    raw = loaded.settings.accelerators["some"].options
    return RawSection.from_json(json.loads(json.dumps(raw.to_json())))


def test_an_empty_section_gives_the_defaults() -> None:
    assert build_plugin_config(SomeConfig, RawSection()) == SomeConfig()


def test_values_arrive_typed(load_here: Load) -> None:
    raw = section(
        load_here,
        "enabled: true\n"
        "library: ${LIBRARY}\n"
        "source: tool\n"
        "limit: 5\n"
        "factor: 0.5\n"
        "quick: true\n"
        "names: [a, '2']\n"
        "links: [{port: 1}, {port: 2, host: h}]\n",
        LIBRARY="x.so",
    )
    assert build_plugin_config(SomeConfig, raw) == SomeConfig(
        library="x.so",
        source="tool",
        limit=5,
        factor=0.5,
        quick=True,
        names=["a", "2"],
        links=(LinkConfig(port=1), LinkConfig(port=2, host="h")),
    )


def test_null_is_none_where_none_may_be(load_here: Load) -> None:
    raw = section(load_here, "limit:\nnames: null\nlinks:\n")
    assert build_plugin_config(SomeConfig, raw) == SomeConfig()


def test_every_fault_is_named_with_its_place_in_the_file(load_here: Load) -> None:
    raw = section(
        load_here,
        "librari: x\n"
        "source: tol\n"
        "limit: -1\n"
        "quick: 1\n"
        "links:\n"
        "  - port: 70000\n"
        "  - hots: a\n"
        "factor: ${WORD}\n",
        WORD="hunter2",
    )
    with pytest.raises(ConfigError) as caught:
        build_plugin_config(SomeConfig, raw)
    assert [str(one).rpartition("/")[2] for one in caught.value.problems] == [
        'config.yaml:4:14: accelerators.some.librari: unknown setting; did you mean "library"?',
        ("config.yaml:5:13: accelerators.some.source: expected auto, library or tool, "
        'found "tol"; did you mean "tool"?'),
        ("config.yaml:6:12: accelerators.some.limit: expected a whole number, at least 0, "
        'found "-1"'),
        'config.yaml:7:12: accelerators.some.quick: expected true or false, found "1"',
        ("config.yaml:9:15: accelerators.some.links[0].port: expected a whole number from 1 to "
        '65535, found "70000"'),
        ("config.yaml:10:9: accelerators.some.links[1].port: missing; expected a whole number "
        "from 1 to 65535"),
        ("config.yaml:10:15: accelerators.some.links[1].hots: unknown setting; did you mean "
        '"host"?'),
        ("config.yaml:11:13: accelerators.some.factor: expected a number, "
        'found "${WORD}"'),
    ]  # fmt: skip


def test_a_number_that_is_not_finite_is_refused(load_here: Load) -> None:
    with pytest.raises(ConfigError, match='expected a number, found "1e999"'):
        build_plugin_config(SomeConfig, section(load_here, "factor: 1e999"))


def test_a_type_outside_the_grammar_is_a_fault_of_the_plugin() -> None:
    @dataclass
    class Odd:
        value: complex = 0j

    with pytest.raises(TypeError, match="no setting can have the type"):
        build_plugin_config(Odd, RawSection())


def test_a_child_process_loads_no_yaml_and_no_http() -> None:
    code = (
        "import sys, agent.config.plugin_config\n"
        "heavy = ('yaml', 'requests', 'msgspec', 'urllib.parse', 'http', 'ssl', 'socket')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
