from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import yaml

from agent.config import yaml_source
from agent.config.load import Loaded

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]

NODE = 'node: {code: "11010800005020000001", type: AI_BOX}\n'


@pytest.fixture(params=["libyaml", "python"], autouse=True)
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test with both readers: a PyYAML built without libyaml has only the slow one."""
    loader = getattr(yaml, "CBaseLoader", None) if request.param == "libyaml" else yaml.BaseLoader
    if loader is None:
        pytest.skip("this PyYAML is built without libyaml")
    monkeypatch.setattr(yaml_source, "_LOADER", loader)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "config.yaml: the file is empty; at least node.code and node.type"),
        ("# only words\n", "config.yaml: the file is empty; at least node.code and node.type"),
        ("- a\n", 'config.yaml:1:1: expected sections such as "node:" at the first column'),
        ("node", 'config.yaml:1:1: expected sections such as "node:" at the first column'),
        ("node:\n\tcode: 1\n", "config.yaml:2:1: a tab may not indent; write spaces"),
        (
            "node:\n  code: a: b\n",
            'config.yaml:2:10: a ": " is out of place; is the indentation right?',
        ),
        ("node:\n  code: 'a\n", "config.yaml:2:9: a quote that opens here is not closed"),
        ("node: {code: [1\n", "config.yaml:2:1: a comma or a closing bracket is missing"),
        (
            "node: {code: ${CODE}}\n",
            ("config.yaml:1:15: a comma or a closing bracket is missing; between brackets, "
            "${NAME} needs quotes"),
        ),
        (
            "node:\n  code: 1\n type: CAP\n",
            "config.yaml:3:2: wrong indentation, or a quote, comma or bracket is missing",
        ),
        (
            "node:\n  code: @x\n",
            "config.yaml:2:9: a value that begins with this character needs quotes",
        ),
        (NODE + "--- \nlog: {}\n", ("config.yaml:2:1: a second document begins here; one file "
         "holds one")),
        (NODE + "log: !!python/object:os.system {}\n", ("config.yaml:2:6: log: a YAML tag (!) may "
         "not stand here")),
        (NODE + "log: *x\n", "config.yaml:2:6: log: no &x stands before"),
        (NODE + "log: &x {level: *x}\n", "config.yaml:2:17: log.level: *x stands for itself"),
        (NODE + "? {a: b}\n: c\n", "config.yaml:2:3: a key must be a plain name"),
        (NODE + "log: {level: a\x07}\n", ("config.yaml:2:15: the control character U+0007 may not "
         "stand here")),
        ("[" * 100_000, "config.yaml:1:34: deeper than 32 levels"),
    ],
)  # fmt: skip
def test_what_is_no_configuration_is_said_in_plain_words(
    problems_of: Problems, text: str, expected: str
) -> None:
    (found,) = problems_of(text)
    assert found.replace(": [0]" + "[0]" * 32, ":").replace("::", ":") == expected


def test_a_file_in_gbk_is_named(problems_of: Problems) -> None:
    assert problems_of((NODE + "# 中文\n").encode("gbk")) == [
        "config.yaml:2:3: the byte 0xd6 is not UTF-8 (is the file saved as GBK?); save it as UTF-8"
    ]


def test_a_file_in_utf_16_is_named(problems_of: Problems) -> None:
    assert problems_of(NODE.encode("utf-16")) == [
        "config.yaml: the file is UTF-16; save it as UTF-8"
    ]


def test_a_byte_order_mark_and_windows_lines_do_no_harm(
    load_here: Load, problems_of: Problems
) -> None:
    text = "node:\r\n  code: 11010800005020000001\r\n  type: AI_BOX\r\n"
    assert load_here(b"\xef\xbb\xbf" + text.encode()).settings.node.type == "AI_BOX"
    (found,) = problems_of(b"\xef\xbb\xbf" + text.replace("AI_BOX", "X").encode())
    assert found.startswith("config.yaml:3:9: ")


def test_columns_count_characters_not_bytes(problems_of: Problems) -> None:
    (found,) = problems_of(NODE + "metrics: {中文: 1, listen: x}\n")[1:]
    assert found.startswith("config.yaml:2:26: ")


def test_a_million_aliases_are_refused_at_once(problems_of: Problems) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    before = time.monotonic()
    (found,) = problems_of("\n".join(lines))
    assert found.endswith("more than 20000 values")
    assert time.monotonic() - before < 2


def test_a_large_file_is_refused(problems_of: Problems) -> None:
    assert problems_of(NODE + "#" * 1024 * 1024) == ["config.yaml: the file is larger than 1 MiB"]


def test_thousands_of_unknown_keys_are_all_named_in_time(problems_of: Problems) -> None:
    before = time.monotonic()
    found = problems_of(NODE + "".join(f"key_{number}: 1\n" for number in range(9000)))
    assert len(found) == 9000
    assert time.monotonic() - before < 10
