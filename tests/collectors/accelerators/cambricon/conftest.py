"""The stand-in for libcndev.so, and tables of our own in the layouts of cnmon."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from collectors.accelerators.vendor_tool import RecordedTool, ToolAnswer

HERE = Path(__file__).parent
STUB = HERE / "cndev_stub"


@pytest.fixture(scope="session")
def _stubs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    compiler = shutil.which("cc")
    if compiler is None:
        return {}
    built = {}
    for kind in ("current", "old", "grown"):
        flags = [] if kind == "current" else [f"-DCNDEV_STUB_{kind.upper()}"]
        library = tmp_path_factory.mktemp("cndev") / f"libcndev-{kind}.so"
        command = [compiler, "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *flags]
        subprocess.run([*command, "-o", library, STUB / "cndev_stub.c"], check=True, timeout=60)
        built[kind] = library
    return built


@pytest.fixture
def stub(
    _stubs: dict[str, Path],
    require_program: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., str]:
    """Return a function that puts a library in place which plays a scenario, and names it.

    The library is a copy of its own, so that its state is, too. `stub("sick")` plays a file of
    `scenarios`, a text with lines plays itself.
    """
    require_program("cc")
    copies = 0

    def place(scenario: str, *, kind: str = "current") -> str:
        nonlocal copies
        copies += 1
        is_text = "\n" in scenario
        text = scenario if is_text else (STUB / "scenarios" / f"{scenario}.txt").read_text()
        path = tmp_path / "scenario.txt"
        path.write_text(text)
        monkeypatch.setenv("CNDEV_STUB_SCENARIO", str(path))
        library = tmp_path / f"libcndev-{copies}.so"
        shutil.copyfile(_stubs[kind], library)
        return str(library)

    return place


@pytest.fixture
def own_table() -> Callable[[str], str]:
    """Return a function that reads one of our own tables."""
    return lambda name: (HERE / "tables" / f"{name}.txt").read_text()


@pytest.fixture
def printed() -> Callable[..., RecordedTool]:
    """Return a function that makes a tool which prints a text."""

    def make(text: str, *, exit_status: int = 0) -> RecordedTool:
        return RecordedTool("cnmon", {(): ToolAnswer(text=text, exit_status=exit_status)})

    return make
