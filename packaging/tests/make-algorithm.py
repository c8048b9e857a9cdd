# ruff: noqa: INP001 - a script, no module
"""Makes a package of an algorithm that sleeps, for the engine of this machine."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import tests_package  # noqa: F401 - what `tests` means below

from agent.workloads.package_format import building
from agent.workloads.package_format.limits import InspectionLimits
from tests.docker_engine import docker_archive


def make(output: Path) -> None:
    """Write the package's file."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        (source / "image.tar").write_bytes(docker_archive(reference=None, salt=b"life test"))
        manifest = {
            "name": "life-test",
            "version": "1.0.0",
            "type": "image",
            "image": "image.tar",
            "env": [{"name": "AUTH_SERVER_ADDR", "value": "192.0.2.1:80"}],
        }
        (source / "algo.yaml").write_text(json.dumps(manifest))
        building.build(source, output=output, limits=InspectionLimits())


if __name__ == "__main__":
    make(Path(sys.argv[1]))
