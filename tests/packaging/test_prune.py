"""What is taken away from the staged files, and what stays."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"


@pytest.fixture(scope="module")
def prune():
    spec = importlib.util.spec_from_file_location("prune", PACKAGING / "prune.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def home(tmp_path):
    """Return a staged folder with a library that brings all kinds of things."""
    for name, text in {
        "lib/acme/__init__.py": "#!/usr/bin/env python\nVALUE = 1\n",
        "lib/acme/tests/test_acme.py": "",
        "lib/acme/contest/rules.py": "",
        "lib/tests/__init__.py": "",
        "lib/acme/_speed.pyx": "",
        "lib/acme/table.csv": "#!not a module\n",
        "lib/acme-1.0.dist-info/METADATA": "Name: acme\n",
        "lib/acme-1.0.dist-info/RECORD": "",
        "lib/acme-1.0.dist-info/entry_points.txt": "",
        "lib/acme-1.0.dist-info/licenses/LICENSE": "",
        "lib/bin/acme": "",
        "python/lib/python3.13/__pycache__/os.pyc": "",
        "python/lib/python3.13/os.py": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_tests_commands_and_records_of_the_installation_go(prune, home):
    prune.main(home)
    kept = {str(each.relative_to(home)) for each in home.rglob("*") if each.is_file()}
    assert kept == {
        "lib/acme/__init__.py",
        "lib/acme/contest/rules.py",
        "lib/acme/table.csv",
        "lib/acme-1.0.dist-info/METADATA",
        "lib/acme-1.0.dist-info/entry_points.txt",
        "lib/acme-1.0.dist-info/licenses/LICENSE",
        "python/lib/python3.13/os.py",
    }


def test_a_module_names_no_interpreter_and_keeps_its_lines(prune, home):
    module = home / "lib/acme/__init__.py"
    module.chmod(0o755)
    prune.main(home)
    assert module.read_text(encoding="utf-8") == "#\nVALUE = 1\n"
    assert module.stat().st_mode & 0o777 == 0o644
    assert (home / "lib/acme/table.csv").read_text(encoding="utf-8").startswith("#!")
