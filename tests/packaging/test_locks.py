"""What the packages are built from is pinned by hash, and is what the project declares."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
SOURCES = ("python3.13", "openssl", "sqlite3", "expat", "libffi", "zlib", "bzip2", "xz-utils")


def locked(path):
    """Return the version and the hashes of each library of a lock."""
    found = {}
    for entry in re.split(r"\n(?=[A-Za-z])", path.read_text(encoding="utf-8")):
        if match := re.match(r"([A-Za-z0-9._-]+)==(\S+)", entry):
            hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})\b", entry)
            found[canonicalize_name(match[1])] = (match[2], hashes)
    return found


def lines_of(word):
    text = (PACKAGING / "runtime/versions.lock").read_text(encoding="utf-8")
    return [line.split()[1:] for line in text.splitlines() if line.startswith(f"{word} ")]


@pytest.mark.parametrize("name", ["requirements.lock", "tools.lock", "runtime/zig.lock"])
def test_every_library_of_a_lock_has_hashes(name):
    libraries = locked(PACKAGING / name)
    assert libraries
    assert all(hashes for _, hashes in libraries.values())


def test_the_lock_holds_what_the_project_declares():
    libraries = locked(PACKAGING / "requirements.lock")
    declared = [Requirement(each) for each in importlib.metadata.requires("computility-agent")]
    declared = [each for each in declared if "extra" not in str(each.marker or "")]
    declared += [
        Requirement(line)
        for line in (PACKAGING / "requirements.in").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    for each in declared:
        version, _ = libraries.get(canonicalize_name(each.name), (None, None))
        assert version, f"{each.name} is not in the lock: packaging/renew-locks {each.name}"
        assert version in each.specifier, f"{each}: packaging/renew-locks {each.name}"


def test_the_tools_are_locked():
    wanted = (PACKAGING / "tools.in").read_text(encoding="utf-8").splitlines()
    libraries = locked(PACKAGING / "tools.lock")
    assert {line for line in wanted if line and not line.startswith("#")} <= libraries.keys()


def test_every_source_package_has_its_files_by_hash():
    assert sorted(name for name, *_ in lines_of("source")) == sorted(SOURCES)
    for name in SOURCES:
        files = [rest for source, *rest in lines_of("file") if source == name]
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest, _ in files)
        kinds = {
            kind for _, file in files for kind in (".dsc", ".orig.", ".debian.") if kind in file
        }
        assert kinds == {".dsc", ".orig.", ".debian."}, name


def test_the_interpreter_is_patched_and_by_no_patch_twice():
    patches = [name for source, name in lines_of("patch") if source == "python3.13"]
    assert any(name.startswith("CVE-") for name in patches)
    assert len(patches) == len(set(patches))
