"""A vendor's own wheel is found, run and asked like ours, without a change here."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from agent.config.settings import NodeSettings, Settings
from agent.model.clock import SystemClock
from agent.model.view import PluginState
from agent.sampling import plugins
from agent.sampling.hosts import HostOptions
from agent.sampling.sampler import Sampler
from collectors.accelerators import blueprint

PACKAGE = "zeta_cards"
METADATA = "Metadata-Version: 2.1\nName: zeta-cards\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: by-hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
ENTRY_POINTS = "[computility_agent.accelerators]\nzeta = zeta_cards.plugin:AcmePlugin\n"


def copied(source):
    """Return a file of the blueprint as a vendor's copy of it, as README.md says to make one."""
    return (
        source.read_text(encoding="utf-8")
        .replace("collectors.accelerators.blueprint", PACKAGE)
        .replace("acme-smi", "zeta-smi")
        .replace('"acme"', '"zeta"')
    )


@pytest.fixture
def wheel(tmp_path):
    """Return a wheel of the copied blueprint, written as the format wants it and by no tool."""
    files = {
        f"{PACKAGE}/{each.name}": copied(each) for each in Path(blueprint.__path__[0]).glob("*.py")
    }
    info = "zeta_cards-1.0.dist-info"
    files |= {
        f"{info}/METADATA": METADATA,
        f"{info}/WHEEL": WHEEL,
        f"{info}/entry_points.txt": ENTRY_POINTS,
    }
    record = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record.append(f"{name},sha256={digest.decode()},{len(text.encode())}\n")
    files[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"])
    path = tmp_path / "zeta_cards-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def test_an_installed_wheel_is_active_with_its_cards(wheel, acme, tmp_path):
    site = tmp_path / "site"
    words = ["install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *words],
        check=True,
        timeout=120,
    )
    (acme.folder / "acme-smi").rename(acme.folder / "zeta-smi")

    found = plugins.discover([str(site)])
    assert [(each.name, each.distribution) for each in found] == [("zeta", "zeta-cards")]
    sampler = Sampler(
        Settings(node=NodeSettings(code="11010800005020000001", type="AI_BOX")),
        clock=SystemClock(),
        found=found,
        options=HostOptions(import_paths=(str(site),), environment={"PATH": acme.path}),
    )
    view = sampler.sample_once(deadline_seconds=30.0)

    (status,) = view.plugins
    assert (status.name, status.state, status.detail) == ("zeta", PluginState.ACTIVE, None)
    cards = [each.accelerator for each in view.accelerators]
    assert [(card.vendor, card.source, card.index) for card in cards] == [
        ("zeta", "zeta-smi", 0),
        ("zeta", "zeta-smi", 1),
    ]
    assert view.accelerators[0].reading.power_watts == 61.5
