"""What an engine makes of a package's image."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tarfile
import uuid
from pathlib import Path

import docker
import docker.errors
import pytest
import requests

from agent.workloads.package_format import manifest as manifests
from agent.workloads.package_format.errors import PackageRefused
from agent.workloads.package_format.image_stream import open_image
from agent.workloads.package_format.inspection import InspectionLimits, inspect
from tests.agent.workloads.package_format import samples
from tests.conftest import missing

pytestmark = pytest.mark.docker
SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
BUSYBOX = Path("/bin/busybox")


@pytest.fixture
def engine():
    """Return a client of the machine's engine."""
    try:
        client = docker.APIClient(base_url=SOCKET, timeout=120)
        client.ping()
    except (docker.errors.DockerException, requests.exceptions.RequestException):
        missing(f"no docker engine answers at {SOCKET}; .ci/run starts one")
    with contextlib.closing(client):
        yield client


@pytest.fixture
def make_reference(engine):
    """Return a function that makes references of this test's own; their images are removed."""
    made = []

    def make() -> str:
        made.append(f"computility-agent-test/{uuid.uuid4().hex[:12]}:1")
        return made[-1]

    yield make
    for reference in made:
        with contextlib.suppress(docker.errors.NotFound):
            engine.remove_image(reference, force=True)


def busybox_layer(salt: str) -> bytes:
    """Return a layer with busybox, which no other test has."""
    if not BUSYBOX.is_file():
        missing("/bin/busybox is not on this machine; .ci/run installs busybox-static")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        program = tarfile.TarInfo("bin/busybox")
        program.size, program.mode = BUSYBOX.stat().st_size, 0o755
        with BUSYBOX.open("rb") as file:
            archive.addfile(program, file)
        said = tarfile.TarInfo("salt")
        said.size = len(salt)
        archive.addfile(said, io.BytesIO(salt.encode()))
    return buffer.getvalue()


def image_of(form: str, *, salt: str, tag: str) -> bytes:
    """Return an image archive of a form, with two layers or three, and a tag of its own."""
    layers = busybox_layer(salt), samples.layer(salt)
    if form.startswith("docker-links"):
        return samples.docker_image(*layers, layers[1], tags=[tag]).archive()
    if form.startswith("docker-25"):
        return samples.oci_image(*layers, with_docker=True).archive()
    if form.startswith("oci"):
        return samples.oci_image(*layers, compresses="gzip-layers" in form).archive()
    return samples.docker_image(*layers, tags=[tag]).archive()


def output_of(engine: docker.APIClient, reference: str, command: list[str]) -> bytes:
    """Run a command in a container of an image and return what it printed."""
    container = engine.create_container(reference, command, network_disabled=True)["Id"]
    try:
        engine.start(container)
        engine.wait(container, timeout=60)
        return bytes(engine.logs(container))
    finally:
        engine.remove_container(container, force=True)


@pytest.mark.parametrize(
    "form",
    [
        *("docker", "docker-links", "docker-25", "oci", "oci-gzip-layers"),
        *("docker in gzip", "oci-gzip-layers in gzip"),
    ],
)
def test_an_engine_loads_every_form_under_our_reference_alone_and_runs_it(
    engine, make_reference, tmp_path, form
):
    reference, own_tag = make_reference(), make_reference()
    salt = uuid.uuid4().hex
    archive = image_of(form, salt=salt, tag=own_tag)
    packed = gzip.compress(archive, compresslevel=1) if form.endswith("in gzip") else archive
    path = samples.write(tmp_path, samples.package(packed))
    found = inspect(path, limits=InspectionLimits())
    list(engine.load_image(open_image(path, found.manifest, reference=reference)))

    loaded = engine.inspect_image(reference)
    assert found.image is not None
    assert loaded["Id"] == found.image.image_id
    assert loaded["RepoTags"] == [reference]
    with pytest.raises(docker.errors.ImageNotFound):
        engine.inspect_image(own_tag)
    assert output_of(engine, reference, ["/bin/busybox", "cat", "/salt"]) == salt.encode()


def test_what_an_engine_saved_comes_back_as_the_same_image(engine, make_reference, tmp_path):
    source, reference = make_reference(), make_reference()
    salt = uuid.uuid4().hex
    repository, _, tag = source.rpartition(":")
    engine.import_image_from_data(busybox_layer(salt), repository=repository, tag=tag)
    saved = b"".join(engine.get_image(source))
    image_id = engine.inspect_image(source)["Id"]
    engine.remove_image(source)

    path = samples.write(tmp_path, samples.package(saved))
    found = inspect(path, limits=InspectionLimits())
    assert found.image is not None
    assert (found.image.image_id, found.image.tags) == (image_id, (source,))
    list(engine.load_image(open_image(path, found.manifest, reference=reference)))
    assert engine.inspect_image(reference)["Id"] == image_id
    assert engine.inspect_image(reference)["RepoTags"] == [reference]


def test_a_damaged_image_leaves_nothing_in_the_engine(engine, make_reference, tmp_path):
    reference = make_reference()
    salt = uuid.uuid4().hex
    archive = image_of("oci-gzip-layers", salt=salt, tag=reference)
    content = bytearray(samples.package(archive))
    content[content.index(gzip.compress(samples.layer(salt), mtime=0)) + 40] ^= 1
    path = samples.write(tmp_path, bytes(content))
    manifest = manifests.parse(samples.ALGO)
    with pytest.raises(PackageRefused, match="digest"):
        list(engine.load_image(open_image(path, manifest, reference=reference)))
    with pytest.raises(docker.errors.ImageNotFound):
        engine.inspect_image(reference)
