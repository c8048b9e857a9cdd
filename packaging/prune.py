"""Removes from the staged folders what an agent never runs, and what differs from build to build.

It is called by `stage` with the folder that becomes /opt/computility-agent.
"""
# ruff: noqa: INP001

from __future__ import annotations

import shutil
import sys
from pathlib import Path

TEST_FOLDERS = ("test", "tests")

# Each of a library: what nothing of the agent imports.
UNUSED = (
    "bin",  # commands of the libraries
    "Cryptodome/IO",
    "Cryptodome/Math",
    "Cryptodome/Protocol",
    "Cryptodome/PublicKey",
    "Cryptodome/SelfTest",
    "Cryptodome/Signature",
)

# Files of a .dist-info that tell of the installation and not of the library.
ABOUT_INSTALLATION = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "WHEEL")


def main(home: Path) -> None:
    """Prune the folder `home`."""
    libraries = home / "lib"
    for name in UNUSED:
        shutil.rmtree(libraries / name, ignore_errors=True)
    for folder in sorted(home.rglob("__pycache__")):
        shutil.rmtree(folder)
    for name in TEST_FOLDERS:
        for folder in sorted(libraries.rglob(name), reverse=True):
            shutil.rmtree(folder)
    for information in libraries.glob("*.dist-info"):
        for name in ABOUT_INSTALLATION:
            (information / name).unlink(missing_ok=True)
    for file in home.rglob("*"):
        if not file.is_file() or file.is_symlink():
            continue
        if file.suffix in (".pyi", ".pyx", ".pxd", ".c", ".h"):
            file.unlink()
        elif file.suffix == ".py":
            drop_interpreter_line(file)
            file.chmod(0o644)
        elif ".so" in file.suffixes:
            file.chmod(0o644)


def drop_interpreter_line(file: Path) -> None:
    """Take the line away by which a module would run under the machine's own Python."""
    content = file.read_bytes()
    if content.startswith(b"#!"):
        # Lines keep their numbers.
        file.write_bytes(b"#" + content[content.index(b"\n") :])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
