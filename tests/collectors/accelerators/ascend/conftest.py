"""Own tables, a stand-in for the library, and a fake tool."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.errors import NotPresent, ReadingUnavailable
from collectors.accelerators.ascend.plugin import AscendConfig, AscendPlugin
from collectors.accelerators.vendor_tool import ToolAnswer

HERE = Path(__file__).parent
STUB = HERE / "dcmi_stub"


@dataclass
class FakeTool:
    """Answers commands from a mapping, and keeps which were run; no answer is a failure."""

    answers: Mapping[tuple[str, ...], str | ReadingUnavailable] = field(default_factory=dict)
    is_installed: bool = True
    exit_status: int = 0
    runs: list[tuple[str, ...]] = field(default_factory=list)
    program: str = "npu-smi"

    def find(self) -> None:
        if not self.is_installed:
            raise NotPresent("npu-smi is not on this machine")

    def run(self, *words: str) -> ToolAnswer:
        self.runs.append(words)
        answer = self.answers.get(words, ReadingUnavailable("not told to the fake tool"))
        if isinstance(answer, ReadingUnavailable):
            raise answer
        return ToolAnswer(text=answer, exit_status=self.exit_status)


@pytest.fixture
def fake_tool() -> type[FakeTool]:
    """Return the class of tools that answer from a mapping."""
    return FakeTool


@pytest.fixture(scope="session")
def table() -> Callable[[str], str]:
    """Return a function that reads one of the project's own tables."""
    return lambda name: (HERE / "tables" / f"{name}.txt").read_text(encoding="utf-8")


@pytest.fixture
def tool_plugin(tmp_path: Path) -> Callable[..., AscendPlugin]:
    """Return a function that makes a plugin which has only the tool's answers."""

    def make(tool: FakeTool, *, root: Path | None = None) -> AscendPlugin:
        return AscendPlugin(
            AscendConfig(source="tool"), tool=tool, root=tmp_path if root is None else root
        )

    return make


@dataclass(frozen=True)
class DcmiStub:
    """Is a built stand-in for libdcmi.so; dcmi_stub.c says how a scenario is written."""

    library: Path
    old_library: Path

    def scenario(self, name: str) -> Path:
        path = STUB / "scenarios" / f"{name}.txt"
        assert path.is_file(), path
        return path


@pytest.fixture(scope="session")
def _built_stub(tmp_path_factory: pytest.TempPathFactory) -> DcmiStub | None:
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    folder = tmp_path_factory.mktemp("dcmi")
    stub = DcmiStub(library=folder / "libdcmi.so", old_library=folder / "libdcmi-old.so")
    for library, flags in ((stub.library, []), (stub.old_library, ["-DDCMI_STUB_OLD"])):
        command = [compiler, "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *flags]
        subprocess.run([*command, "-o", library, STUB / "dcmi_stub.c"], check=True, timeout=60)
    return stub


@pytest.fixture
def dcmi_stub(_built_stub: DcmiStub | None, require_program: Callable[[str], str]) -> DcmiStub:
    """Return the stand-in for libdcmi.so, built for this run."""
    require_program("cc")
    assert _built_stub is not None
    return _built_stub


@pytest.fixture
def play(
    dcmi_stub: DcmiStub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., AscendPlugin]:
    """Return a function that makes a plugin on the stand-in, playing a scenario.

    The scenario is a name or a text; it is read anew with each list of cards, so that the file
    may be rewritten (`tmp_path / "scenario.txt"`). There is no tool, unless one is given.
    """
    path = tmp_path / "scenario.txt"
    monkeypatch.setenv("DCMI_STUB_SCENARIO", str(path))

    def make(
        scenario: str,
        *,
        tool: FakeTool | None = None,
        is_old: bool = False,
        root: Path | None = None,
        **config: str,
    ) -> AscendPlugin:
        named = "\n" not in scenario
        path.write_text(dcmi_stub.scenario(scenario).read_text() if named else scenario)
        library = dcmi_stub.old_library if is_old else dcmi_stub.library
        return AscendPlugin(
            AscendConfig(library=str(library), **config),
            tool=FakeTool(is_installed=False) if tool is None else tool,
            root=tmp_path if root is None else root,
        )

    return make
