"""Every recording of nvidia-smi from the field against what stands in it, checked by eye."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.errors import ReadingUnavailable
from collectors.accelerators.nvidia import smi_output

NAMES = Path(__file__).resolve().parents[1] / "expected/nvidia/names"

STEMS = (
    "q-H100-MIG-load-590",
    "q-H100-cut-short-535.183",
    "q-unknown-error-535.154",
    "querygpu-H100-MIG-load-590",
    "querygpu-L40S-load-595",
    "querygpu-RTX2080S-linux-610.57",
    "querygpu-RTX2080S-windows-610.62",
    "table-550.90",
    "table-ERR-fan-525.125",
    "table-GRID-T4-16C-vgpu-570",
    "table-GRID-T4-4C-vgpu-470",
    "table-H100-MIG-load-590",
    "table-L40S-load-595",
    "table-RTX2080S-linux-610.57",
    "table-RTX2080S-windows-610.62",
    "table-jetson-orin-540.2-no-driver-version",
    "table-jetson-orin-540.4",
    "xml-A100-SXM4-MIG",
    "xml-A100-SXM4-v12",
    "xml-A10G",
    "xml-GTX1070Ti-trimmed-v10",
    "xml-RTX2080-windows",
    "xml-RTX4000SFF-v13",
    "xml-RTX4090-535",
    "xml-Tesla-P100",
    "xml-Tesla-T4",
)


@pytest.mark.parametrize("stem", STEMS)
def test_a_recording_gives_what_stands_in_it(stem, recording, smi_plugin, assert_expected):
    plugin = smi_plugin(recording(f"nvidia/{stem}.txt"))

    assert_expected("nvidia", stem, zip(plugin.list_accelerators(), plugin.read(), strict=True))


def test_slices_have_the_names_of_the_list_of_the_same_moment(recording, smi_plugin):
    plugin = smi_plugin(
        recording("nvidia/q-H100-MIG-load-590.txt"),
        listed=recording("nvidia/list-H100-MIG-590.txt"),
    )

    slices = plugin.list_accelerators()

    assert [each.product_name.rpartition(" MIG ")[2] for each in slices] == [
        "3g.40gb",
        "2g.20gb",
        "1g.10gb",
        "1g.10gb",
    ]
    assert all(each.uuid.startswith("MIG-0000000") for each in slices)


@pytest.mark.parametrize("stem", ["list-H100-MIG-590", "list-H200-MIG-590"])
def test_a_list_names_the_slices_of_its_card(stem, recording):
    names = smi_output.slice_names(recording(f"nvidia/{stem}.txt"))

    expected = json.loads((NAMES / f"{stem}.json").read_text(encoding="utf-8"))
    assert [index for _, index in names] == list(range(len(expected["slices"])))
    assert [each.profile for each in names.values()] == [
        f"MIG {profile}" for profile in expected["slices"]
    ]
    assert len({each.uuid for each in names.values()}) == len(names)


@pytest.mark.parametrize(
    ("stem", "words"),
    [
        ("error-no-driver", "not loaded"),
        ("error-version-mismatch-580", "different versions"),
        ("error-gpu-lost", "lost"),
        ("error-gpu-lost-mixed-with-csv", "lost"),
    ],
)
def test_an_error_is_said_in_words_with_a_hint(stem, words, recording, smi_plugin):
    with pytest.raises(ReadingUnavailable, match=words) as caught:
        smi_plugin(recording(f"nvidia/{stem}.txt")).list_accelerators()

    assert caught.value.hint


@pytest.mark.parametrize(
    "stem",
    [
        "list-H100-MIG-590",
        "list-H200-MIG-590",
        "tegrastats-agx-orin-jp7",
    ],
)
def test_what_is_no_source_shows_no_card(stem, recording, smi_plugin):
    with pytest.raises(ReadingUnavailable):
        smi_plugin(recording(f"nvidia/{stem}.txt")).list_accelerators()
