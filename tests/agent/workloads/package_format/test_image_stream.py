"""The image of a package on its way into an engine."""

from __future__ import annotations

import gzip
import json
import random
import tarfile

import pytest

from agent.model.workloads import Manifest, PackageType
from agent.workloads.package_format import manifest as manifests
from agent.workloads.package_format.errors import PackageRefused
from agent.workloads.package_format.image_stream import open_image
from agent.workloads.package_format.sources import CHUNK_BYTES
from tests.agent.workloads.package_format import samples
from tests.agent.workloads.package_format.samples import Image

REFERENCE = "computility-agent/package:0123456789abcdef"
MANIFEST = manifests.parse(samples.ALGO)
SAME = samples.layer("same")
FORMS = {
    "docker": samples.docker_image(),
    "docker-with-links": samples.docker_image(SAME, samples.layer("x"), SAME),
    "docker-25": samples.oci_image(with_docker=True),
    "oci": samples.oci_image(),
    "oci-gzip-layers": samples.oci_image(compresses=True),
    "oci-one-layer-twice": samples.oci_image(SAME, SAME),
}


def streamed(path, *, reference=REFERENCE, **options):
    return b"".join(open_image(path, MANIFEST, reference=reference, **options))


@pytest.mark.parametrize("packing", ["plain", "gzip"])
@pytest.mark.parametrize("image", FORMS.values(), ids=FORMS.keys())
def test_every_form_comes_out_as_one_image_with_our_tag_alone(tmp_path, image: Image, packing):
    archive = image.archive()
    packed = gzip.compress(archive) if packing == "gzip" else archive
    read = samples.read_stream(streamed(samples.write(tmp_path, samples.package(packed))))
    assert read.config == image.config
    assert read.layers == image.layers
    assert read.manifest == [
        {
            "Config": f"{samples.sha256(image.config)}.json",
            "RepoTags": [REFERENCE],
            "Layers": read.manifest[0]["Layers"],
        }
    ]
    # Nothing of what the archive says beside that reaches the engine; the manifest is the last.
    assert len(read.names) == len(set(image.layers)) + 2
    assert read.names[-1] == "manifest.json"


@pytest.mark.parametrize("nested", [False, True])
def test_an_index_of_several_platforms_gives_the_image_of_the_machine(tmp_path, nested):
    images = {
        name: samples.oci_image(samples.layer(name), architecture=name)
        for name in ("amd64", "arm64", "loong64")
    }
    archive = samples.multi_platform_image(*images.items(), nested=nested)
    path = samples.write(tmp_path, samples.package(archive))
    for architecture, kernel_name in (("arm64", "aarch64"), ("amd64", "x86_64")):
        for name in (architecture, kernel_name):
            read = samples.read_stream(streamed(path, architecture=name))
            assert read.config == images[architecture].config
    with pytest.raises(PackageRefused, match="no image for linux/riscv64"):
        streamed(path, architecture="riscv64")


def test_an_index_without_platforms_is_decided_by_the_configs(tmp_path):
    images = [
        samples.oci_image(samples.layer(name), architecture=name) for name in ("amd64", "arm64")
    ]
    members = {**images[0].members, **images[1].members}
    members["index.json"] = json.dumps(
        {"manifests": [json.loads(image.members["index.json"])["manifests"][0] for image in images]}
    ).encode()
    archive = Image(members, b"", ()).archive()
    path = samples.write(tmp_path, samples.package(archive))
    read = samples.read_stream(streamed(path, architecture="aarch64"))
    assert read.config == images[1].config


@pytest.mark.parametrize("form", ["docker", "oci", "oci-gzip-layers"])
def test_a_layer_that_is_another_than_it_should_be_ends_the_stream_before_the_manifest(
    tmp_path, form
):
    image = FORMS[form]
    content = samples.package(image.archive())
    place = content.index(image.layers[1]) + len(image.layers[1]) // 2
    damaged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    parts = open_image(samples.write(tmp_path, damaged), MANIFEST, reference=REFERENCE)
    seen = []
    with pytest.raises(PackageRefused, match="digest"):
        seen.extend(parts)
    assert b"RepoTags" not in b"".join(seen)


def test_a_large_layer_passes_in_large_parts(tmp_path):
    large = samples.tar([("data", random.Random(1).randbytes(9 * CHUNK_BYTES + 77))])
    image = samples.docker_image(large)
    path = samples.write(tmp_path, samples.package(image.archive()))
    parts = list(open_image(path, MANIFEST, reference=REFERENCE))
    assert max(map(len, parts)) <= CHUNK_BYTES
    assert len(parts) < 20
    assert samples.read_stream(b"".join(parts)).layers == (large,)


def test_what_is_wrong_is_told_before_the_first_byte(tmp_path):
    path = samples.write(tmp_path, samples.package(b"no tar"))
    with pytest.raises(PackageRefused, match="is no tar"):
        open_image(path, MANIFEST, reference=REFERENCE)


def test_a_stream_that_is_left_closes_the_file(tmp_path):
    path = samples.write(tmp_path, samples.package(FORMS["docker"].archive()))
    parts = open_image(path, MANIFEST, reference=REFERENCE)
    next(parts)
    next(parts)
    parts.close()  # a file left open is an error of the test run


def test_the_member_that_algo_yaml_names_is_taken_and_no_other(tmp_path):
    asked, other = samples.docker_image(samples.layer("a")), samples.docker_image()
    path = samples.write(
        tmp_path,
        samples.tar(
            [
                ("algo.yaml", samples.ALGO),
                ("other.tar", other.archive()),
                ("./images/asked.tar", asked.archive()),
            ]
        ),
    )
    manifest = Manifest(name="n", version="1", type=PackageType.IMAGE, member="images/asked.tar")
    stream = b"".join(open_image(path, manifest, reference=REFERENCE))
    assert samples.read_stream(stream).config == asked.config


def test_a_hard_link_among_layers_is_followed(tmp_path):
    image = samples.docker_image(SAME, samples.layer("x"), SAME)
    members = {
        name: samples.special(name, tarfile.LNKTYPE, link=one.linkname.removeprefix("../"))
        if isinstance(one, tarfile.TarInfo) and one.issym()
        else one
        for name, one in image.members.items()
    }
    archive = Image(members, b"", ()).archive()
    read = samples.read_stream(streamed(samples.write(tmp_path, samples.package(archive))))
    assert read.layers == image.layers
