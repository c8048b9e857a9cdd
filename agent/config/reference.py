"""Writes `docs/configuration.md` from the settings themselves.

python -m agent.config.reference > docs/configuration.md
python -m agent.config.reference --check docs/configuration.md
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.config.kinds import RawSection
from agent.config.nodes import join_key
from agent.config.settings import Settings
from agent.config.shape import Setting, Shape, settings_of
from agent.config.show import quoted

_HEAD = """\
<!-- Made by `python -m agent.config.reference`; change agent/config/settings.py instead. -->

# Configuration (配置)

One YAML file, `/etc/computility-agent/config.yaml` unless `--config FILE` says otherwise. Only
`node.code` and `node.type` are required. A section that is absent is off, unless its keys have
defaults and it says so below. `config.example.yaml` is a file to start from.

- `computility-agent check-config` names every problem at once, with file, line, column, key and
  what is expected, and exits 2. `computility-agent print-config` shows what is in force.
- An unknown key is an error, and so is a key that is given twice.
- Values are read as they are written: `code: 01101080000502000000` keeps its zeros, with quotes or
  without. Booleans are `true` and `false`.
- `${NAME}` in a value is replaced by the environment variable `NAME`; `$$` is a dollar sign.
- Every `conf.d/*.yaml` beside the file is laid over it, in the order of the names: sections are
  merged key by key, any other value, a list too, takes the place of the former
  (后读的文件覆盖先读的，列表整体替换). Problems name the file in which they stand. An empty file
  changes nothing; names that begin with a dot or end otherwise are not read. `section: null`
  switches a section off again.
- A path is relative to the folder of the configuration file, in conf.d too.
- **Secrets (密钥与口令)** never stand in the file. `password_file: PATH` names a file, or
  `password: ${NAME}` a variable. A relative path is looked for first among the credentials of
  systemd (`$CREDENTIALS_DIRECTORY`). One newline at the end of the file is dropped. A warning
  says so if everybody on the machine may read it.
- The file is UTF-8 and at most 1 MiB long.
"""


def render() -> str:
    """Return the text of docs/configuration.md."""
    return "\n".join([_HEAD, *_root()])


def is_stale(text: str) -> bool:
    """Tell whether a text is not what the settings of now give."""
    return text != render()


def _root() -> Iterator[str]:
    for setting in settings_of(Settings):
        gloss = setting.shape.bounds.gloss
        yield f"## {setting.name}{f' ({gloss})' if gloss else ''}\n"
        yield f"{setting.shape.bounds.description}\n"
        yield f"{_presence(setting)}\n"
        section = _section_of(setting.shape)
        if section is not None:
            yield from _section(section, path=_inner_path(setting.shape, setting.name))


def _presence(setting: Setting) -> str:
    if setting.required:
        return "Required."
    if setting.shape.optional:
        return "Absent means off."
    if setting.shape.items is not None:
        return "A list of sections; absent means none."
    if setting.shape.values is not None:
        return "A mapping by name; absent means the defaults for each."
    return "Absent means the defaults."


def _section(section: type[Any], *, path: str) -> Iterator[str]:
    settings = settings_of(section)
    yield "| Key | Value | Default | Example | Meaning |"
    yield "|---|---|---|---|---|"
    for setting in settings:
        if setting.shape.raw:
            continue
        yield _row(setting, path=path)
    yield ""
    if any(setting.shape.raw for setting in settings):
        yield "Every other key belongs to the plugin and is checked by it.\n"
    for setting in settings:
        inner = _section_of(setting.shape)
        if inner is not None:
            inner_path = _inner_path(setting.shape, join_key(path, setting.name))
            yield f"### {inner_path}\n"
            yield from _section(inner, path=inner_path)


def _section_of(shape: Shape) -> type[Any] | None:
    inner = shape.items or shape.values or shape
    return inner.section


def _inner_path(shape: Shape, path: str) -> str:
    if shape.items is not None:
        return f"{path}[]"
    return f"{path}.NAME" if shape.values is not None else path


def _row(setting: Setting, *, path: str) -> str:
    shape = setting.shape
    cells = (
        "<br>".join(f"`{join_key(path, key)}`" for key in setting.keys),
        shape.words,
        _default(setting),
        _code(_example(setting)),
        shape.bounds.description or "",
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(setting: Setting) -> str:
    if setting.required:
        return "**required**"
    if setting.default is None:
        return "none"
    if dataclasses.is_dataclass(setting.default):
        return "its defaults"
    return _code(_text(setting.default))


def _example(setting: Setting) -> str:
    """Return a line that could stand in the file."""
    shape = setting.shape
    if shape.section is not None:
        return ""
    if shape.is_secret:
        return f"{setting.keys[0]}: /etc/computility-agent/secret"
    kinds = [leaf.kind.example for leaf in shape.leaves if leaf.kind is not None]
    if shape.bounds.example is not None:
        value = shape.bounds.example
    elif kinds:
        value = kinds[0]
    elif not setting.required and setting.default is not None:
        value = _text(setting.default)
    elif shape.choices:
        value = shape.choices[0]
    else:
        value = _text(shape.bounds.ge) if shape.bounds.ge is not None else "text"
    is_text = any(leaf.type == "text" for leaf in shape.leaves)
    return f"{setting.name}: {quoted(value) if is_text else value}"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (tuple, RawSection)):
        return "[]"
    return str(value)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the document, or with --check FILE return 1 if that file is stale."""
    parser = argparse.ArgumentParser(prog="python -m agent.config.reference", description=__doc__)
    parser.add_argument("--check", metavar="FILE", type=Path, help="exit 1 if FILE is stale")
    options = parser.parse_args(arguments)
    if options.check is None:
        sys.stdout.write(render())
        return 0
    if is_stale(options.check.read_text(encoding="utf-8")):
        sys.stderr.write(f"{options.check} is stale; run python -m agent.config.reference\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
