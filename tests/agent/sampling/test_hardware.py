"""A new device, driver or device node gives another mark, and nothing else does."""

from __future__ import annotations

import pytest

from agent.sampling.hardware import VALID_SECONDS, Hardware


@pytest.fixture
def machine(tmp_path):
    for folder in ("sys/bus/pci/devices/0000:00:1f.0", "proc", "dev"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "proc/modules").write_text("ext4 1000 2 - Live 0x0\n")
    (tmp_path / "dev/null").touch()
    return tmp_path


@pytest.fixture
def mark(machine, clock):
    hardware = Hardware(clock=clock, root=machine)

    def later():
        clock.seconds += VALID_SECONDS
        return hardware.mark()

    return later


def test_a_machine_that_stays_the_same_keeps_its_mark(mark, machine):
    before = mark()
    (machine / "proc/modules").write_text("ext4 1000 7 - Live 0x0\n")  # in use more often
    (machine / "dev/loop3").touch()
    (machine / "dev/ttyUSB0").touch()
    assert mark() == before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "sys/bus/pci/devices/0000:3b:00.0").mkdir(),
        lambda root: (root / "dev/davinci0").touch(),
        lambda root: (root / "dev/null").unlink(),
        lambda root: (root / "proc/modules").write_text("ext4 1 2 -\nnvidia 1 0 -\n"),
        lambda root: (root / "proc/modules").unlink(),
    ],
)
def test_what_comes_or_goes_changes_the_mark(mark, machine, change):
    before = mark()
    change(machine)
    assert mark() != before


def test_one_look_serves_everybody_for_a_while(machine, clock):
    hardware = Hardware(clock=clock, root=machine)
    before = hardware.mark()
    (machine / "dev/davinci0").touch()
    clock.seconds += VALID_SECONDS / 2
    assert hardware.mark() == before


def test_a_machine_without_any_of_it_has_a_mark(tmp_path, clock):
    assert isinstance(Hardware(clock=clock, root=tmp_path).mark(), int)
