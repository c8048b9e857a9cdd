"""The RAPL meter on a tree of files as the kernel makes them."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import NotPresent, ReadingUnavailable
from collectors.meters.rapl.plugin import RaplConfig, RaplMeter

MOST = 262_143_328_850


@pytest.fixture
def machine(tmp_path):
    """Give a machine of two processors, whose numbers are not in the order of their names."""
    domains = {
        "intel-rapl:0": ("package-1", 11_999_999),
        "intel-rapl:0:0": ("dram", 1_000_000),
        "intel-rapl:1": ("package-0", 22_000_000),
        "intel-rapl:1:0": ("dram", 2_500_000),
        "intel-rapl:2": ("psys", 99_000_000),
        "intel-rapl-mmio:0": ("package-0", 7_000_000),
    }
    for folder, (name, energy) in domains.items():
        place = tmp_path / "powercap" / folder
        place.mkdir(parents=True)
        (place / "name").write_text(f"{name}\n")
        (place / "energy_uj").write_text(f"{energy}\n")
        (place / "max_energy_range_uj").write_text(f"{MOST}\n")
    (tmp_path / "boot_id").write_text("1f5d6c3e-0000-4000-8000-000000000000\n")
    return tmp_path


def meter(machine, domain="package-0"):
    return RaplMeter(
        RaplConfig(domain=domain),
        powercap=machine / "powercap",
        boot_id=machine / "boot_id",
    )


@pytest.mark.parametrize(
    ("domain", "joules"),
    [("package-0", 22), ("package-1", 11), ("psys", 99), ("package-0/dram", 2)],
)
def test_a_domain_is_found_by_its_name(machine, domain, joules):
    one = meter(machine, domain)
    one.probe()

    assert one.read().energy_joules == joules
    assert one.read().reset_marker == "1f5d6c3e-0000-4000-8000-000000000000"


def test_the_register_wraps_where_the_kernel_says(machine):
    traits = meter(machine).traits()

    assert (traits.modulus, traits.resolution) == (262_143, 1)
    assert not traits.starts_at_zero


def test_another_boot_is_another_marker(machine):
    before = meter(machine).read().reset_marker
    (machine / "boot_id").write_text("another\n")

    assert meter(machine).read().reset_marker != before


def test_a_domain_that_is_not_there_names_those_that_are(machine):
    with pytest.raises(NotPresent, match="no domain package-7") as caught:
        meter(machine, "package-7").probe()
    assert "package-0/dram, package-1" in caught.value.hint


def test_a_machine_without_rapl_says_so(tmp_path):
    with pytest.raises(NotPresent, match="has no RAPL") as caught:
        meter(tmp_path).probe()
    assert caught.value.hint
    assert meter(tmp_path).traits().modulus is None


def test_a_register_for_root_alone_says_what_to_do(machine):
    # Not in pytest's own folder, which is closed to the user that root becomes.
    with tempfile.TemporaryDirectory() as folder:
        open_machine = Path(folder) / "machine"
        shutil.copytree(machine, open_machine)
        for each in (Path(folder), open_machine):
            each.chmod(0o755)
        (open_machine / "powercap/intel-rapl:1/energy_uj").chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(NotPresent, match="root alone") as caught:
                meter(open_machine).probe()
        finally:
            os.seteuid(user)
    assert "root" in caught.value.hint


@given(st.binary(max_size=40))
def test_no_content_breaks_it(tmp_path_factory, content):
    place = tmp_path_factory.getbasetemp() / "powercap" / "intel-rapl:0"
    place.mkdir(parents=True, exist_ok=True)
    (place / "name").write_text("package-0")
    (place / "energy_uj").write_bytes(content)

    try:
        reading = meter(place.parent.parent).read()
    except ReadingUnavailable:
        return
    assert reading.energy_joules >= 0
