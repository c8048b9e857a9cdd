"""What is in a package, and that a broken one is never taken for another."""

from __future__ import annotations

import contextlib
import gzip
import random
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import TransientError
from agent.workloads.package_format import manifest as manifests
from agent.workloads.package_format.errors import PackageRefused
from agent.workloads.package_format.image_stream import open_image
from agent.workloads.package_format.inspection import (
    ImageSummary,
    InspectionLimits,
    PackageMember,
    inspect,
)
from tests.agent.workloads.package_format import samples

LIMITS = InspectionLimits(image_bytes=8 * 1024**2, free_inflated_bytes=1024**2)
GIB = 1024**3


def test_a_package_with_an_image_is_described(tmp_path):
    image = samples.docker_image(tags=["nginx:latest", "nginx:1"])
    archive = image.archive()
    content = samples.tar(
        [("README", b"hello"), ("./algo.yaml", samples.ALGO), ("image.tar", archive)]
    )
    found = inspect(samples.write(tmp_path, content), limits=LIMITS)
    assert found.manifest == manifests.parse(samples.ALGO)
    assert found.size_bytes == len(content)
    assert found.members == (
        PackageMember(name="README", size_bytes=5),
        PackageMember(name="algo.yaml", size_bytes=len(samples.ALGO)),
        PackageMember(name="image.tar", size_bytes=len(archive)),
    )
    files = [one for one in image.members.values() if isinstance(one, bytes)]
    assert found.image == ImageSummary(
        image_id=f"sha256:{samples.sha256(image.config)}",
        form="docker",
        is_compressed=False,
        architecture=samples.machine_architecture(),
        operating_system="linux",
        layers=2,
        size_bytes=sum(map(len, files)),
        tags=("nginx:latest", "nginx:1"),
    )


def test_layers_in_gzip_count_with_the_size_that_they_will_have(tmp_path):
    layers = samples.layer("a", size=50_000), samples.layer("b", size=60_000)
    sizes = []
    for compresses in (False, True):
        archive = samples.oci_image(*layers, compresses=compresses).archive()
        for packed in (archive, gzip.compress(archive)):
            found = inspect(samples.write(tmp_path, samples.package(packed)), limits=LIMITS).image
            assert found is not None
            assert found.is_compressed is (packed is not archive)
            sizes.append(found.size_bytes)
    assert all(sum(map(len, layers)) < size < sum(map(len, layers)) + 5000 for size in sizes)


def test_an_artifact_is_any_file(tmp_path):
    algo = b"name: n\nversion: 1\nartifact: bin/model.bin\n"
    content = samples.package(b"\0anything", algo=algo, name="bin/model.bin")
    found = inspect(samples.write(tmp_path, content), limits=LIMITS)
    assert found.image is None
    assert found.members[1].name == "bin/model.bin"


def test_a_package_for_another_machine_is_taken_where_it_is_meant_for_that(tmp_path):
    content = samples.package(samples.docker_image(architecture="arm64").archive())
    path = samples.write(tmp_path, content)
    assert inspect(path, limits=LIMITS, architecture="aarch64").image is not None
    with pytest.raises(PackageRefused, match='"linux/arm64", not for linux/riscv64'):
        inspect(path, limits=LIMITS, architecture="riscv64")


def test_a_file_that_cannot_be_read_may_be_readable_later(tmp_path):
    with pytest.raises(TransientError, match="No such file"):
        inspect(tmp_path / "missing.tar", limits=LIMITS)
    with pytest.raises(TransientError, match="no path"):
        inspect(Path("a\0b"), limits=LIMITS)


def test_the_content_of_a_plain_image_is_passed_over(tmp_path):
    # 16 GiB that are not there: only what is read costs anything.
    layer_header = samples.with_size_field(
        samples.header("data", size=0), b"\x80" + (15 * GIB).to_bytes(11, "big")
    )
    layer_bytes = 15 * GIB + 512 + 1024
    image = samples.docker_image(samples.layer("x"))
    (layer_name,) = (name for name in image.members if name.endswith("layer.tar"))
    small = image.archive(**{layer_name: None})
    layer_member = samples.with_size_field(
        samples.header(layer_name, size=0), b"\x80" + layer_bytes.to_bytes(11, "big")
    )
    archive_bytes = 512 + layer_bytes + len(small)
    image_member = samples.with_size_field(
        samples.header("image.tar", size=0), b"\x80" + archive_bytes.to_bytes(11, "big")
    )
    path = tmp_path / "package.tar"
    with path.open("wb") as file:
        file.write(samples.header("algo.yaml", size=len(samples.ALGO)))
        file.write(samples.padded(samples.ALGO) + image_member + layer_member + layer_header)
        file.seek(15 * GIB + 1024, 1)
        file.write(small)
        file.truncate(file.tell() + 1024)
    reads_before = _bytes_read()
    found = inspect(path, limits=InspectionLimits())
    assert found.image is not None
    assert found.image.layers == 1
    assert found.size_bytes > 15 * GIB
    assert _bytes_read() - reads_before < 16 * 1024**2


def _bytes_read() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("rchar")).split()[1])


def test_memory_does_not_grow_with_what_is_inflated(tmp_path):
    large = samples.tar([("data", random.Random(2).randbytes(1024**2) * 24)])
    image = samples.oci_image(large, compresses=True)
    packed = samples.package(gzip.compress(image.archive(), compresslevel=1))
    path = samples.write(tmp_path, packed)
    del large, image, packed
    tracemalloc.start()
    try:
        manifest = inspect(path, limits=InspectionLimits()).manifest
        for _ in open_image(path, manifest, reference="a:b"):
            pass
        assert tracemalloc.get_traced_memory()[1] < 12 * 1024**2
    finally:
        tracemalloc.stop()


GOOD = {
    "docker": samples.docker_image(),
    "docker-25": samples.oci_image(with_docker=True),
    "oci": samples.oci_image(compresses=True),
}
PACKAGES = {
    **{name: (samples.package(image.archive()), image) for name, image in GOOD.items()},
    "gzip": (samples.package(gzip.compress(GOOD["docker"].archive(), mtime=0)), GOOD["docker"]),
}


@st.composite
def damaged_packages(draw):
    content, image = draw(st.sampled_from(list(PACKAGES.values())))
    mutated = bytearray(content)
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(mutated) - 1))
        change = draw(st.sampled_from(["flip", "set", "cut-out", "double", "header"]))
        if change == "flip":
            mutated[place] ^= 1 << draw(st.integers(0, 7))
        elif change == "set":
            mutated[place : place + 12] = draw(st.binary(min_size=12, max_size=12))
        elif change == "cut-out":
            block = place // 512 * 512
            del mutated[block : block + 512 * draw(st.integers(1, 4))]
            mutated += bytes(512)
        elif change == "double":
            block = place // 512 * 512
            mutated[block:block] = mutated[block : block + 512 * draw(st.integers(1, 4))]
        else:
            block = place // 512 * 512
            kind = draw(st.sampled_from([b"0", b"1", b"2", b"5", b"L", b"K", b"x", b"g", b"S"]))
            name = draw(st.sampled_from(["algo.yaml", "image.tar", "manifest.json", "../x"]))
            size = draw(st.integers(0, 5000))
            mutated[block : block + 512] = samples.header(name, size=size, kind=kind)
    if draw(st.booleans()):
        del mutated[draw(st.integers(0, len(mutated))) :]
    return bytes(mutated), image


@settings(max_examples=300)
@given(damaged_packages())
def test_a_damaged_package_is_refused_or_gives_the_image_that_it_had(tmp_path_factory, damaged):
    content, image = damaged
    path = tmp_path_factory.getbasetemp() / "damaged.tar"
    path.write_bytes(content)
    with contextlib.suppress(PackageRefused):
        found = inspect(path, limits=LIMITS)
        parts = open_image(path, found.manifest, reference="ours:1", limits=LIMITS)
        read = samples.read_stream(b"".join(parts))
        assert read.manifest[0]["RepoTags"] == ["ours:1"]
        # Docker's manifest itself has no digest: the layers and the config it names have.
        assert found.image is not None
        assert found.image.image_id == f"sha256:{samples.sha256(read.config)}"
        assert read.config == image.config
        assert read.layers == image.layers
