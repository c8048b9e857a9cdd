"""The commands `packages inspect` and `packages build`."""

from __future__ import annotations

import hashlib

import pytest

from tests.agent.workloads.package_format import samples

ALGO = samples.ALGO + b"ports: ['80:8080/udp']\nhealth: {command: [ok]}\nsurprise: 1\n"


@pytest.fixture
def folder(tmp_path):
    """Return a folder of which a package can be made."""
    folder = tmp_path / "algo"
    folder.mkdir()
    (folder / "algo.yaml").write_bytes(ALGO)
    (folder / "image.tar").write_bytes(samples.docker_image().archive())
    return folder


def test_a_package_is_built_and_inspected(operator, folder, tmp_path):
    target = tmp_path / "p.tar"
    built = operator("packages", "build", folder, "--output", target)
    assert (built.status, built.err) == (0, "")
    content = target.read_bytes()
    digests = {name: hashlib.new(name, content).hexdigest() for name in ("md5", "sha256")}
    for words in (str(target), f"({len(content)} bytes)", *digests.values(), "surprise"):
        assert words in built.out

    shown = operator("packages", "inspect", target)
    assert (shown.status, shown.err) == (0, "")
    for words in (
        *("name         person-structure", "env          AUTH_SERVER_ADDR=\n"),
        *(digests["md5"], "2 layers", "nginx:latest", "(is dropped)", "surprise"),
        *("port         8080/udp, on this node 80", "every 30 s", samples.machine_architecture()),
    ):
        assert words in shown.out

    document = operator("packages", "inspect", target, "--json").document
    assert document["size_bytes"] == len(content)
    assert document["digests"].items() >= digests.items()
    assert document["image"]["id"].startswith("sha256:")
    assert document["manifest"]["unknown_keys"] == ["surprise"]
    assert document["manifest"]["env"] == [{"name": "AUTH_SERVER_ADDR", "value": ""}]
    assert [one["name"] for one in document["members"]] == ["algo.yaml", "image.tar"]


def test_everything_that_is_wrong_is_told(operator, folder, tmp_path):
    (folder / "algo.yaml").write_text("nmae: x\nversion: 1\nimage: image.tar\nenv: [1A=x]\n")
    refused = operator("packages", "build", folder, "--output", tmp_path / "p.tar")
    assert refused.status == 1
    assert refused.out == ""
    assert len(refused.err.splitlines()) == 2
    assert "is nmae meant?" in refused.err
    assert "line 4: env[0]" in refused.err
    assert not (tmp_path / "p.tar").exists()


def test_a_package_that_an_agent_would_refuse_has_status_1(operator, tmp_path):
    path = samples.write(tmp_path, b"PK\x03\x04" + bytes(600))
    refused = operator("packages", "inspect", path, "--json")
    assert (refused.status, refused.out) == (1, "")
    assert refused.err == f"computility-agent: {path}: the package is a ZIP archive, not a tar\n"
    missing = operator("packages", "inspect", tmp_path / "none.tar")
    assert missing.status == 1
    assert "No such file" in missing.err
    assert operator("packages", "build", tmp_path / "none").status == 2


def test_a_package_for_another_machine_is_checked_where_one_asks_for_it(operator, tmp_path):
    image = samples.docker_image(architecture="loong64")
    path = samples.write(tmp_path, samples.package(image.archive()))
    refused = operator("packages", "inspect", path)
    assert refused.status == 1
    assert "loong64" in refused.err
    taken = operator("packages", "inspect", path, "--architecture", "loongarch64")
    assert taken.status == 0
    assert "linux/loong64" in taken.out


def test_progress_is_shown_on_a_terminal_alone(operator, folder, tmp_path, monkeypatch):
    target = tmp_path / "p.tar"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    built = operator("packages", "build", folder, "--output", target)
    assert " MiB" in built.err
    assert built.err.endswith("\r")
