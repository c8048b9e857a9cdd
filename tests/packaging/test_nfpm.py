"""The description of the packages names what there is, and the conffile as the systems want it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "/etc/computility-agent/config.yaml"


@pytest.fixture(scope="module")
def description():
    return yaml.safe_load((ROOT / "packaging/nfpm.yaml").read_text(encoding="utf-8"))


def contents_of(description, packager):
    return {
        each["dst"]: each
        for each in description["contents"]
        if each.get("packager", packager) == packager
    }


@pytest.mark.parametrize("packager", ["deb", "rpm"])
def test_a_package_holds_files_that_exist(description, packager):
    for each in contents_of(description, packager).values():
        source = each.get("src", "")
        if source.startswith("${") or each.get("type") in ("dir", "symlink"):
            continue
        assert (ROOT / source).is_file(), source


@pytest.mark.parametrize("packager", ["deb", "rpm"])
def test_the_scripts_of_a_package_exist(description, packager):
    scripts = description["overrides"][packager]["scripts"]
    assert set(scripts) == {"preinstall", "postinstall", "preremove", "postremove"}
    assert all((ROOT / script).is_file() for script in scripts.values())


@pytest.mark.parametrize(("packager", "group"), [("deb", None), ("rpm", "computility-agent")])
def test_the_configuration_is_kept_and_closed_to_others(description, packager, group):
    config = contents_of(description, packager)[CONFIG]
    assert config["type"] == "config|noreplace"
    assert config["file_info"]["mode"] == 0o640
    assert config["file_info"].get("group") == group


def test_the_shipped_configuration_never_changes():
    """A changed conffile stops the unattended upgrade of every box whose own file was edited."""
    shipped = hashlib.sha256((ROOT / "packaging/config.yaml").read_bytes()).hexdigest()
    assert shipped == "739fdf94f6da8da80ca9f4998b246544ec27c49b79f25d72fb4f67de48365530"


def test_no_module_hides_the_library_packaging():
    assert not (ROOT / "packaging/__init__.py").exists()
