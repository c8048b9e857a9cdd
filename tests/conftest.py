"""Fixtures that every test may use."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from agent.sampling.hosts import HostOptions
from agent.sampling.plugins import FoundPlugin

pytest_plugins = ("tests.docker_engine",)

NVML_STUB = Path(__file__).parent / "collectors/accelerators/nvidia/nvml_stub"


# How fast a machine is decides no test: one that is busy draws its examples slowly, too.
hypothesis.settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("untimed")


@pytest.fixture
def require_program() -> Callable[[str], str]:
    """Return a function that finds a program of somebody else, or skips the test.

    CI prepares all of them, so there a missing one is a failure: a skipped test shows nothing.
    """

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            missing(f"{name} is not on this machine; .ci/run installs it")
        assert path is not None
        return path

    return find


def missing(reason: str) -> None:
    """Skip the test for want of something, or fail it in CI, which has everything."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True)
class AcmeMachine:
    """Is a machine with two cards of the vendor that does not exist, and with its tool."""

    folder: Path
    found: tuple[FoundPlugin, ...] = (
        FoundPlugin(
            group="accelerators",
            name="acme",
            target="collectors.accelerators.blueprint.plugin:AcmePlugin",
            distribution="acme-cards",
        ),
    )

    def print(self, text: str, *, exit_status: int = 0) -> None:
        """Let the tool print a text."""
        (self.folder / "printed").write_text(text, encoding="utf-8")
        tool = self.folder / "acme-smi"
        tool.write_text(f"#!/bin/sh\ncat {self.folder}/printed\nexit {exit_status}\n")
        tool.chmod(0o755)

    def hang(self) -> None:
        """Let the tool print nothing, and not end."""
        (self.folder / "acme-smi").write_text("#!/bin/sh\nexec sleep 600\n")

    @property
    def path(self) -> str:
        """Is what PATH has to be for the tool to be found."""
        return f"{self.folder}:/usr/bin:/bin"

    @property
    def options(self) -> HostOptions:
        """Let the plugin's child find the tool."""
        return HostOptions(environment={"PATH": self.path})


@pytest.fixture
def acme(tmp_path: Path) -> AcmeMachine:
    """Return a machine with ACME's tool, which prints a table of two cards."""
    folder = tmp_path / "acme"
    folder.mkdir()
    machine = AcmeMachine(folder)
    tables = Path(__file__).parent / "collectors/accelerators/blueprint/tables"
    machine.print((tables / "two-cards.txt").read_text(encoding="utf-8"))
    return machine


@dataclass(frozen=True)
class NvmlStub:
    """Is a built stand-in for NVIDIA's library; nvml_stub.c says how a scenario is written."""

    folder: Path
    old_driver_folder: Path

    def scenario(self, name: str) -> Path:
        """Return one of the scenarios beside the stub's source, such as `two-cards`."""
        path = NVML_STUB / "scenarios" / f"{name}.txt"
        assert path.is_file(), path
        return path

    def environment(self, scenario: Path, *, old_driver: bool = False) -> dict[str, str]:
        """Return the environment of a child process that plays a scenario."""
        folder = self.old_driver_folder if old_driver else self.folder
        return {
            **os.environ,
            "LD_LIBRARY_PATH": str(folder),
            "NVML_STUB_SCENARIO": str(scenario),
        }


@pytest.fixture(scope="session")
def nvml_stub(tmp_path_factory: pytest.TempPathFactory) -> NvmlStub:
    """Return the stand-in for libnvidia-ml.so.1, built for this run.

    NVIDIA's binding keeps one library for the life of a process, so a test plays a scenario in a
    child process.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        missing("cc is not on this machine; .ci/run installs it")
    folders = []
    for flags in ([], ["-DNVML_STUB_OLD_DRIVER"]):
        folder = tmp_path_factory.mktemp("nvml")
        library = folder / "libnvidia-ml.so.1"
        command = [compiler, "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *flags]
        command += ["-Wl,-soname,libnvidia-ml.so.1", "-o", library, NVML_STUB / "nvml_stub.c"]
        subprocess.run(command, check=True, timeout=60)
        folders.append(folder)
    return NvmlStub(folder=folders[0], old_driver_folder=folders[1])
