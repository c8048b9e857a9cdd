"""A stand-in for libxpuml, tables in the tool's layouts, and plugins that read them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from collectors.accelerators.kunlun.driver import RecordedDriver
from collectors.accelerators.kunlun.plugin import KunlunConfig, KunlunPlugin
from collectors.accelerators.kunlun.tool_chips import FORMS
from collectors.accelerators.kunlun.xpuml import RecordedXpuml
from collectors.accelerators.vendor_tool import RecordedTool, ToolAnswer

HERE = Path(__file__).resolve().parent
STUB = HERE / "xpuml_stub" / "xpuml_stub.c"

Answers = Mapping[tuple[str, ...], str]


@pytest.fixture(scope="session")
def table() -> Callable[[str], str]:
    """Return a function that reads one of the project's own tables."""
    return lambda name: (HERE / "tables" / f"{name}.txt").read_text(encoding="utf-8")


@pytest.fixture
def answers_of() -> Callable[..., RecordedTool]:
    """Return a function that makes a tool of what it prints for each command."""

    def make(answers: Answers, *, program: str = "xpu_smi", exit_status: int = 0) -> RecordedTool:
        return RecordedTool(
            program,
            {
                words: ToolAnswer(text=text, exit_status=exit_status)
                for words, text in answers.items()
            },
        )

    return make


@pytest.fixture
def plugin_of(answers_of: Callable[..., RecordedTool]) -> Callable[..., KunlunPlugin]:
    """Return a function that makes a plugin of what a tool prints, with no library."""

    def make(answers: str | Answers, *, program: str = "xpu_smi") -> KunlunPlugin:
        by_words: Answers = {(): answers} if isinstance(answers, str) else answers
        return KunlunPlugin(
            KunlunConfig(),
            tools=[answers_of(by_words, program=program)],
            forms=[form for form in FORMS if form in by_words],
            library=RecordedXpuml({}),
            driver=RecordedDriver({}),
        )

    return make


@pytest.fixture(scope="session")
def xpuml_stubs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Return the stand-ins for libxpuml.so: "current", "old" and "grown"."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("cc is not on this machine")
    libraries = {}
    for name, flags in (
        ("current", []),
        ("old", ["-DXPUML_STUB_OLD"]),
        ("grown", ["-DXPUML_STUB_GROWN"]),
    ):
        library = tmp_path_factory.mktemp("xpuml") / f"libxpuml-{name}.so"
        command = [compiler, "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *flags]
        subprocess.run([*command, "-o", library, STUB], check=True, timeout=60)
        libraries[name] = library
    return libraries


@pytest.fixture
def scenario(
    monkeypatch: pytest.MonkeyPatch, require_program: Callable[[str], str]
) -> Callable[[str], Path]:
    """Return a function that makes the stand-in play a scenario from its next opening on."""
    require_program("cc")

    def play(name: str) -> Path:
        path = STUB.parent / "scenarios" / f"{name}.txt"
        assert path.is_file(), path
        monkeypatch.setenv("XPUML_STUB_SCENARIO", str(path))
        return path

    return play
