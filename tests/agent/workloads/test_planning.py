"""How the container of a replica is made."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.settings import LimitSettings, WorkloadSettings
from agent.errors import PermanentError
from agent.model.accelerator import (
    Accelerator,
    AcceleratorKind,
    AcceleratorReading,
    ContainerGrant,
)
from agent.model.view import AcceleratorView
from agent.model.workloads import (
    ContainerSpec,
    DesiredService,
    EnvironmentVariable,
    HealthCheck,
    InstalledPackage,
    Manifest,
    Mount,
    PackageType,
    Port,
    Resources,
)
from agent.workloads import planning

ID = "76079e21-1b8b-4151-b904-6c56a4635d58"
MANIFEST = Manifest(
    name="person",
    version="1",
    type=PackageType.IMAGE,
    member="image.tar",
    env=(
        EnvironmentVariable(name="AUTH_SERVER_ADDR", value="/opt/auth.lic"),
        EnvironmentVariable(name="LOG_LEVEL", value="info"),
    ),
    command=("run", "--fast"),
    ports=(Port(container_port=80, host_port=8000), Port(container_port=53, protocol="udp")),
    health=HealthCheck(command=("true",)),
    read_only_root=True,
)
PACKAGE = InstalledPackage(
    package_id="p",
    generation="0123456789abcdef",
    file="/state/packages/0123456789abcdef.tar",
    manifest=MANIFEST,
    image="computility-agent/package:0123456789abcdef",
)
SERVICE = DesiredService(
    service_id=ID,
    package_id="p",
    generation="0123456789abcdef",
    env=(EnvironmentVariable(name="LOG_LEVEL", value="debug"),),
    replicas=2,
    created_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
)
CHIPS = tuple(
    AcceleratorView(
        accelerator=Accelerator(
            uuid=uuid,
            vendor="acme",
            kind=AcceleratorKind.NPU,
            index=0,
            product_name=None,
            memory_total_bytes=None,
        ),
        reading=AcceleratorReading(uuid=uuid),
    )
    for uuid in ("u1", "u2")
)
GRANT = ContainerGrant(
    devices=("/dev/acme0", "/dev/acme1"),
    mounts=(("/usr/lib/libacme.so", "/usr/local/lib/libacme.so"),),
    environment={"ACME_VISIBLE": "0,1", "LOG_LEVEL": "vendor"},
    runtime="acme",
)


def spec(*, service=SERVICE, manifest=MANIFEST, limits=None, capabilities=(), **more):
    arguments = {
        "replica": 0,
        "agent": "agent-1",
        "chips": (),
        "grant": None,
        "licence_file": None,
        "settings": WorkloadSettings(
            limits=limits or LimitSettings(), capabilities=tuple(capabilities)
        ),
        **more,
    }
    return planning.container_spec(service, replace(PACKAGE, manifest=manifest), **arguments)


def test_a_container_is_exactly_what_package_service_and_configuration_say():
    assert spec(replica=1, capabilities=["CHOWN"]) == ContainerSpec(
        name=f"computility-{ID}-1",
        image="computility-agent/package:0123456789abcdef",
        labels={
            "computility-agent.package": "p",
            "computility-agent.service": ID,
            "computility-agent.replica": "1",
            "computility-agent.agent": "agent-1",
            "computility-agent.generation": "0123456789abcdef",
        },
        environment={
            "AUTH_SERVER_ADDR": "/opt/auth.lic",
            "LOG_LEVEL": "debug",
            "NVIDIA_VISIBLE_DEVICES": "void",
        },
        command=("run", "--fast"),
        ports=(Port(container_port=80, host_port=8001), Port(container_port=53, protocol="udp")),
        health=HealthCheck(command=("true",)),
        processes_maximum=4096,
        capabilities=("CHOWN",),
        read_only_root=True,
    )


def test_chips_bring_what_their_vendor_says():
    made = spec(chips=CHIPS, grant=GRANT)
    assert made.labels["computility-agent.accelerators"] == "acme:u1,acme:u2"
    assert made.devices == GRANT.devices
    assert made.runtime == "acme"
    assert made.mounts == (
        Mount(source="/usr/lib/libacme.so", target="/usr/local/lib/libacme.so", read_only=True),
    )
    assert made.environment["ACME_VISIBLE"] == "0,1"
    assert made.environment["LOG_LEVEL"] == "vendor"
    assert made.environment["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_a_granted_nvidia_chip_is_not_kept_away():
    grant = ContainerGrant(environment={"NVIDIA_VISIBLE_DEVICES": "GPU-1"}, runtime="nvidia")
    made = spec(chips=CHIPS[:1], grant=grant)
    assert made.environment["NVIDIA_VISIBLE_DEVICES"] == "GPU-1"


def test_a_licence_is_mounted_read_only_where_the_service_is_told_that_it_is():
    made = spec(licence_file=f"/state/licences/{ID}")
    assert made.mounts == (
        Mount(source=f"/state/licences/{ID}", target="/opt/auth.lic", read_only=True),
    )
    assert made.environment["AUTH_SERVER_ADDR"] == "/opt/auth.lic"
    own = replace(MANIFEST, licence_path="/etc/licence")
    made = spec(manifest=own, licence_file="/state/l")
    assert made.mounts[0].target == made.environment["AUTH_SERVER_ADDR"] == "/etc/licence"


@pytest.mark.parametrize(
    ("asked", "allowed", "given_"),
    [(None, None, None), (2.0, None, 2.0), (None, 3.0, 3.0), (2.0, 3.0, 2.0), (4.0, 3.0, 3.0)],
)
def test_the_lesser_of_package_and_configuration_limits(asked, allowed, given_):
    memory = None if asked is None else int(asked * 2**30)
    manifest = replace(MANIFEST, resources=Resources(cpus=asked, memory_bytes=memory))
    made = spec(manifest=manifest, limits=LimitSettings(cpus=allowed, memory_gib=allowed))
    assert made.cpus == given_
    assert made.memory_bytes == (None if given_ is None else given_ * 2**30)
    assert made.memory_bytes is None or type(made.memory_bytes) is int


@pytest.mark.parametrize(
    ("asked", "allowed", "given_"),
    [(None, None, None), (None, 1.0, None), (2.0, None, 2.0), (2.0, 3.0, 2.0), (4.0, 3.0, 3.0)],
)
def test_shared_memory_is_what_was_asked_for_within_the_memory(asked, allowed, given_):
    shared = None if asked is None else int(asked * 2**30)
    manifest = replace(MANIFEST, resources=Resources(shared_memory_bytes=shared))
    made = spec(manifest=manifest, limits=LimitSettings(memory_gib=allowed))
    assert made.shared_memory_bytes == (None if given_ is None else given_ * 2**30)


def test_processes_are_limited_by_the_configuration():
    assert spec(limits=LimitSettings(processes=7)).processes_maximum == 7
    assert spec(limits=LimitSettings(processes=None)).processes_maximum is None


def test_capabilities_are_written_in_one_way_and_never_all():
    names = ["cap_chown", "CHOWN", " NET_BIND_SERVICE "]
    assert spec(capabilities=names).capabilities == ("CHOWN", "NET_BIND_SERVICE")
    for name in ("ALL", "cap_all"):
        with pytest.raises(PermanentError):
            spec(capabilities=[name])


@given(replica=st.integers(0, 63), port=st.integers(1, 65535))
def test_a_replicas_port_is_the_next_one_or_refused(replica, port):
    manifest = replace(MANIFEST, ports=(Port(container_port=80, host_port=port),))
    if port + replica > 65535:
        with pytest.raises(PermanentError, match="65535"):
            spec(manifest=manifest, replica=replica)
    else:
        (given_port,) = spec(manifest=manifest, replica=replica).ports
        assert (given_port.host_port, given_port.container_port) == (port + replica, 80)


SOCKETS = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/../run//docker.sock",
    "//run/docker.sock",
    "/somewhere/else/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run",
    "/var/run/",
    "/",
    "/var/..",
]


@pytest.mark.parametrize("path", SOCKETS)
def test_nothing_that_leads_to_the_engine_gets_into_a_container(path):
    for mount in ((path, "/x"), ("/x", path)):
        with pytest.raises(PermanentError, match="engine"):
            spec(chips=CHIPS, grant=ContainerGrant(mounts=(mount,)))
    for device in (path, f"/dev/x:{path}"):
        with pytest.raises(PermanentError, match="engine"):
            spec(chips=CHIPS, grant=ContainerGrant(devices=(device,)))
    with pytest.raises(PermanentError, match="engine"):
        spec(licence_file=path)
    with pytest.raises(Exception, match=r"engine|LicenseFile"):
        spec(licence_file="/l", manifest=replace(MANIFEST, licence_path=path))


def test_two_files_at_one_place_are_refused():
    grant = ContainerGrant(mounts=(("/usr/lib/x", "/opt/auth.lic"),))
    with pytest.raises(PermanentError, match=r"/opt/auth\.lic"):
        spec(chips=CHIPS, grant=grant, licence_file="/l")


def test_files_without_an_image_and_chips_without_a_grant_make_no_container():
    with pytest.raises(PermanentError, match="no image"):
        planning.container_spec(
            SERVICE,
            replace(PACKAGE, image=None),
            replica=0,
            agent="a",
            chips=(),
            grant=None,
            licence_file=None,
            settings=WorkloadSettings(),
        )
    with pytest.raises(PermanentError, match="chips"):
        spec(chips=CHIPS)
