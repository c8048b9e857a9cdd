"""The example of docs/packages.md is built, inspected and loaded as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from agent.model.workloads import EnvironmentVariable, Port
from agent.workloads.package_format import fields, image_archive, image_survey, manifest
from agent.workloads.package_format.building import build
from agent.workloads.package_format.image_stream import open_image
from agent.workloads.package_format.inspection import InspectionLimits, inspect
from tests.agent.workloads.package_format import samples

DOCUMENT = (Path(__file__).parents[4] / "docs/packages.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)


def test_the_example_says_something_for_every_key_of_its_table():
    keys = set(re.findall(r"^\| `(\w+)` \(", DOCUMENT, re.MULTILINE))
    assert keys - {"artifact"} == set(re.findall(r"^(\w+):", EXAMPLE, re.MULTILINE))
    assert manifest.parse(EXAMPLE.encode()).unknown_keys == ()


def test_the_example_is_built_inspected_and_given_to_an_engine(tmp_path):
    image = samples.docker_image()
    folder = tmp_path / "person-structure"
    folder.mkdir()
    (folder / "algo.yaml").write_text(EXAMPLE, encoding="utf-8")
    (folder / "image.tar").write_bytes(image.archive())
    built = build(folder, output=tmp_path / "p.tar", limits=InspectionLimits())
    found = inspect(built.path, limits=InspectionLimits())
    assert found == built.inspection
    assert [member.name for member in found.members] == ["algo.yaml", "image.tar"]
    said = found.manifest
    assert (said.name, said.version, said.provider) == ("person-structure", "1.0.0", "EXAMPLE")
    assert said.env == (
        EnvironmentVariable(name="AUTH_SERVER_ADDR", value=""),
        EnvironmentVariable(name="LOG_LEVEL", value="info"),
    )
    assert said.ports == (Port(container_port=8080),)
    assert said.licence_path == "/etc/algo/licence.dat"
    assert said.read_only_root
    stream = b"".join(open_image(built.path, said, reference="ours:1"))
    assert samples.read_stream(stream).config == image.config


def test_the_document_names_the_limits_that_hold():
    limits = InspectionLimits()
    assert f"more than {limits.package_members} members" in DOCUMENT
    assert "more than 20 000\n  members" in DOCUMENT
    assert limits.image_members == 20_000
    assert f"more than {limits.inflation_ratio:g} times" in DOCUMENT
    assert f"first {limits.free_inflated_bytes // 1024**2} MiB" in DOCUMENT
    assert f"larger than {limits.image_bytes // 1024**3} GiB" in DOCUMENT
    assert f"at most {manifest.LARGEST_MANIFEST_BYTES // 1024} KiB" in DOCUMENT
    assert image_survey.LARGEST_DOCUMENT_BYTES == 1024**2
    assert f"1 to {image_archive.MOST_LAYERS} layers" in DOCUMENT
    for folder in fields.SYSTEM_FOLDERS:
        assert f"`{folder}`" in DOCUMENT
