"""The list of what the packages bring tells versions, licences and patches."""

from __future__ import annotations

import importlib.util
import json
from email.message import Message
from pathlib import Path

import pytest

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"


@pytest.fixture(scope="module")
def sbom():
    spec = importlib.util.spec_from_file_location("sbom", PACKAGING / "sbom.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def about(**fields):
    message = Message()
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    return message


def install(folder, name, version, licence):
    information = folder / f"lib/{name}-{version}.dist-info"
    information.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense: {licence}\n"
    (information / "METADATA").write_text(text)


def test_a_part_of_the_interpreter_tells_its_version_licence_and_patches(sbom):
    lock = (PACKAGING / "runtime/versions.lock").read_text(encoding="utf-8")
    parts = {each["name"]: each for each in sbom.parts_of_the_runtime(lock)}
    assert parts.keys() >= {"cpython", "openssl", "sqlite3", "zlib", "libffi"}
    assert "CVE-" in parts["cpython"]["pedigree"]["notes"]
    assert parts["zlib"]["version"] == "1.3.1"
    assert parts["zlib"]["licenses"] == [{"license": {"id": "Zlib"}}]
    assert all(each["hashes"] for each in parts.values())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"License_Expression": "MIT OR Apache-2.0"}, {"expression": "MIT OR Apache-2.0"}),
        ({"License": "MIT"}, {"license": {"id": "MIT"}}),
        (
            {"License": "UNKNOWN", "Classifier": "License :: OSI Approved :: MIT License"},
            {"license": {"id": "MIT"}},
        ),
        ({"License": "BSD"}, {"license": {"name": "BSD"}}),
    ],
)
def test_a_licence_is_an_identifier_only_where_the_library_says_which(sbom, fields, expected):
    assert sbom.licence(about(**fields)) == expected


def test_a_library_without_a_licence_is_not_listed_as_if_it_had_one(sbom):
    with pytest.raises(SystemExit, match="does not tell its licence"):
        sbom.licence(about(Name="acme"))


def test_the_same_files_give_the_same_list(sbom, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    install(tmp_path, "computility_agent", "1.0", "Apache-2.0")
    install(tmp_path, "Acme.Cards", "2.1", "MIT")
    texts = []
    for _ in range(2):
        sbom.main(tmp_path, "x86_64")
        texts.append((tmp_path / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    document = json.loads(texts[0])
    assert document["metadata"]["component"]["version"] == "1.0"
    assert document["metadata"]["timestamp"].startswith("2001-09-09")
    assert "pkg:pypi/acme-cards@2.1" in document["dependencies"][0]["dependsOn"]
