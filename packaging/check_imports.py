"""Fails where the staged agent would miss a module: what it imports late is imported now.

`stage` runs it with the staged interpreter, after the libraries were pruned.
"""
# ruff: noqa: INP001, T201

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("agent", "collectors", "runtimes")
# What only type checkers have.
FOR_TYPES = frozenset({"_typeshed.wsgi"})


def module_names() -> Iterator[str]:
    """Yield every module of the agent."""
    for name in PACKAGES:
        package = importlib.import_module(name)
        yield name
        for each in pkgutil.walk_packages(package.__path__, f"{name}."):
            yield each.name


def imported_by(name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the absolute imports of a module, wherever in it they stand: module and names."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return
    for node in ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((each.name, ()) for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, tuple(each.name for each in node.names)


def main() -> int:
    """Import everything, and print what could not be."""
    missing = set()
    modules = list(module_names())
    wanted = {each for name in modules for each in imported_by(name)}
    for module, names in sorted(wanted | {(name, ()) for name in modules}):
        if module in FOR_TYPES or module.endswith("__main__"):
            continue
        try:
            loaded = importlib.import_module(module)
            for name in names:
                if name != "*" and not hasattr(loaded, name):
                    importlib.import_module(f"{module}.{name}")
        except ImportError as error:
            missing.add(f"{module}: {error}")
    entry_points = importlib.metadata.entry_points()
    groups = [each for each in entry_points.groups if each.startswith("computility_agent.")]
    for each in (point for group in groups for point in entry_points.select(group=group)):
        each.load()
    if not groups:
        missing.add("the entry points of the plugins")
    print("\n".join(sorted(missing)), end="", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
