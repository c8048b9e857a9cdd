"""No program that needs a newer glibc than 2.17 gets into a package."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "packaging/check-symbols"
# The versioned name is asked for, whatever glibc this machine has.
SOURCE = """\
void wanted(void);
__asm__(".symver wanted, wanted@GLIBC_{version}");
void call(void) {{ wanted(); }}
"""


@pytest.fixture
def library(tmp_path, require_program):
    """Return a function that makes a library that needs a version of glibc."""
    compiler = require_program("gcc")

    def make(version):
        versions = tmp_path / "versions"
        versions.write_text(f"GLIBC_{version} {{ global: *; }};\n")
        libc = tmp_path / "libc-like.so"
        definition = tmp_path / "libc.c"
        definition.write_text("void wanted(void) {}\n")
        base = [compiler, "-shared", "-fPIC", "-nostdlib"]
        script = f"-Wl,--version-script={versions}"
        subprocess.run([*base, script, "-o", libc, definition], check=True, timeout=60)
        source = tmp_path / "user.c"
        source.write_text(SOURCE.format(version=version))
        folder = tmp_path / "staged"
        folder.mkdir()
        subprocess.run([*base, "-o", folder / "user.so", source, libc], check=True, timeout=60)
        return folder

    return make


def check(folder):
    return subprocess.run([SCRIPT, folder], check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("version", ["2.2.5", "2.4", "2.17"])
def test_an_old_enough_glibc_is_good(library, version):
    assert check(library(version)).returncode == 0


@pytest.mark.parametrize("version", ["2.18", "2.34", "3.0"])
def test_a_newer_glibc_is_refused_with_the_file_that_needs_it(library, version):
    done = check(library(version))
    assert done.returncode == 1
    assert f"user.so: GLIBC_{version}" in done.stderr


def test_what_is_no_program_is_no_matter(tmp_path):
    (tmp_path / "libc.so.txt").write_text("GLIBC_2.99")
    assert check(tmp_path).returncode == 0
