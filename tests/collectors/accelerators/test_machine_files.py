"""Files of the kernel are read live, recorded, and played back without the machine."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from collectors.accelerators import pci
from collectors.accelerators.machine_files import LiveFiles, RecordedFiles, RecordingFiles


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for address, vendor, kind in (
        ("0000:00:00.0", "0x1d94", "0x060000"),
        ("0000:3b:00.0", "0x1d94", "0x038000"),
        ("0000:5e:00.0", "0x1002", "0x120000"),
    ):
        folder = tmp_path / "sys/bus/pci/devices" / address
        (folder / "drm/renderD128").mkdir(parents=True)
        (folder / "drm/card0").mkdir()
        (folder / "vendor").write_text(vendor + "\n")
        (folder / "class").write_text(kind + "\n")
    (tmp_path / "dev/dri").mkdir(parents=True)
    (tmp_path / "dev/dri/renderD128").touch()
    return tmp_path


def test_a_bridge_of_a_maker_of_cards_is_no_card(root: Path) -> None:
    cards = pci.cards(LiveFiles(root))
    assert [(card.address, card.vendor_id) for card in cards] == [
        ("0000:3b:00.0", pci.HYGON),
        ("0000:5e:00.0", pci.AMD),
    ]


def test_a_machine_without_a_bus_has_no_cards(tmp_path: Path) -> None:
    assert pci.cards(LiveFiles(tmp_path)) == []
    assert pci.render_nodes(LiveFiles(tmp_path), "0000:3b:00.0") == ()


def test_only_nodes_that_are_there_are_handed_out(root: Path) -> None:
    assert pci.render_nodes(LiveFiles(root), "0000:3b:00.0") == ("/dev/dri/renderD128",)
    (root / "dev/dri/renderD128").unlink()
    assert pci.render_nodes(LiveFiles(root), "0000:3b:00.0") == ()


def test_what_was_recorded_is_answered_again(root: Path) -> None:
    recorder = RecordingFiles(LiveFiles(root))
    cards = pci.cards(recorder)
    nodes = pci.render_nodes(recorder, "0000:3b:00.0")
    with pytest.raises(FileNotFoundError):
        recorder.read("/not/there")
    played = RecordedFiles(recorder.answers)
    assert pci.cards(played) == cards
    assert pci.render_nodes(played, "0000:3b:00.0") == nodes
    with pytest.raises(FileNotFoundError):
        played.read("/not/there")


def test_an_error_is_recorded_as_it_was() -> None:
    played = RecordedFiles({"read(/x)": {"code": errno.EPERM}})
    with pytest.raises(PermissionError):
        played.read("/x")
    with pytest.raises(FileNotFoundError):
        played.read("/y")
    assert not played.exists("/x")
