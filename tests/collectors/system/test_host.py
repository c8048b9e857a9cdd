from __future__ import annotations

import platform

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.system.host import HostCollector, HostConfig, parse_pretty_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
            "Debian GNU/Linux 12 (bookworm)",
        ),
        ("PRETTY_NAME='openEuler 22.03 (LTS-SP3)'", "openEuler 22.03 (LTS-SP3)"),
        ("PRETTY_NAME=Alpine", "Alpine"),
        ("PRETTY_NAME=银河麒麟\\ V10", "银河麒麟 V10"),
        ('PRETTY_NAME="a \\"quoted\\" name"', 'a "quoted" name'),
        ('PRETTY_NAME="never closed', "never closed"),
        ("PRETTY_NAME=one\nPRETTY_NAME=two", "two"),
        ("# PRETTY_NAME=comment", None),
        ('PRETTY_NAME=""', None),
        ("", None),
    ],
)
def test_the_distributions_name_is_read_as_a_shell_would(text, name):
    assert parse_pretty_name(text) == name


@given(st.text())
def test_any_text_gives_a_name_or_none(text):
    name = parse_pretty_name("PRETTY_NAME=" + text)
    assert name is None or name


def test_the_administrators_file_wins(tmp_path):
    for folder, name in (("usr/lib", "distribution"), ("etc", "administrator")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "os-release").write_text(f"PRETTY_NAME={name}\n")
        [reading] = HostCollector(HostConfig(), root=tmp_path).collect()
        assert reading.os_release == name


def test_a_system_without_the_file_has_no_name(tmp_path):
    [reading] = HostCollector(HostConfig(), root=tmp_path).collect()

    assert reading.os_release is None
    assert reading.unknown.keys() == {"os_release"}


def test_names_are_those_of_the_kernel():
    [reading] = HostCollector(HostConfig()).collect()

    assert (reading.host_name, reading.os_name, reading.architecture) == (
        platform.node(),
        "Linux",
        platform.machine(),
    )
