"""What the engine is sent."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from agent.model.workloads import ContainerSpec, HealthCheck, Mount, Port
from runtimes.docker.container_config import create_body, split_device, without_init

SPEC = ContainerSpec(
    name="computility-s-0",
    image="computility-agent/package:0123456789abcdef",
    labels={"computility-agent.service": "s"},
    environment={"AUTH_SERVER_ADDR": "/licence", "EMPTY": ""},
    command=("/bin/algorithm", "--port", "80"),
    mounts=(Mount(source="/var/lib/x/licence", target="/licence"),),
    devices=("/dev/davinci0", "/dev/a:/dev/b", "/dev/c:/dev/d:r"),
    runtime="nvidia",
    ports=(Port(container_port=80, host_port=8080), Port(container_port=53, protocol="udp")),
    health=HealthCheck(
        command=("/bin/true",),
        interval_seconds=0.5,
        timeout_seconds=2,
        start_seconds=1.5,
        retries=4,
    ),
    cpus=1.5,
    memory_bytes=64 << 20,
    shared_memory_bytes=16 << 20,
    processes_maximum=100,
    capabilities=("CHOWN",),
    read_only_root=True,
)


def test_the_whole_body_is_as_agreed() -> None:
    assert create_body(SPEC) == {
        "Image": "computility-agent/package:0123456789abcdef",
        "Labels": {"computility-agent.service": "s"},
        "Env": ["AUTH_SERVER_ADDR=/licence", "EMPTY="],
        "Cmd": ["/bin/algorithm", "--port", "80"],
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Healthcheck": {
            "Test": ["CMD", "/bin/true"],
            "Interval": 500_000_000,
            "Timeout": 2_000_000_000,
            "StartPeriod": 1_500_000_000,
            "Retries": 4,
        },
        "HostConfig": {
            "Privileged": False,
            "CapDrop": ["ALL"],
            "CapAdd": ["CHOWN"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "Tmpfs": {"/tmp": "rw,nosuid,nodev,exec,mode=1777"},
            "Init": True,
            "NetworkMode": "default",
            "RestartPolicy": {"Name": "unless-stopped"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": "/var/lib/x/licence",
                    "Target": "/licence",
                    "ReadOnly": True,
                    "BindOptions": {"Propagation": "rprivate"},
                }
            ],
            "Devices": [
                {
                    "PathOnHost": "/dev/davinci0",
                    "PathInContainer": "/dev/davinci0",
                    "CgroupPermissions": "rwm",
                },
                {
                    "PathOnHost": "/dev/a",
                    "PathInContainer": "/dev/b",
                    "CgroupPermissions": "rwm",
                },
                {"PathOnHost": "/dev/c", "PathInContainer": "/dev/d", "CgroupPermissions": "r"},
            ],
            "PortBindings": {"80/tcp": [{"HostPort": "8080"}]},
            "NanoCpus": 1_500_000_000,
            "Memory": 64 << 20,
            "MemorySwap": 64 << 20,
            "ShmSize": 16 << 20,
            "PidsLimit": 100,
            "Runtime": "nvidia",
        },
    }


def test_what_is_not_asked_for_is_not_sent() -> None:
    spec = ContainerSpec(name="x", image="i", labels={})
    body = create_body(spec)

    assert {"Cmd", "ExposedPorts", "Healthcheck"}.isdisjoint(body)
    absent = {"Tmpfs", "NanoCpus", "Memory", "MemorySwap", "ShmSize", "PidsLimit", "Runtime"}
    assert absent.isdisjoint(body["HostConfig"])
    assert body["HostConfig"]["CapAdd"] == []
    assert body["HostConfig"]["ReadonlyRootfs"] is False


def test_the_body_is_json() -> None:
    assert json.loads(json.dumps(create_body(SPEC))) == create_body(SPEC)


def test_a_body_without_init_differs_in_nothing_else() -> None:
    body = create_body(SPEC)
    other = without_init(body)

    assert body["HostConfig"]["Init"] is True
    assert other["HostConfig"]["Init"] is False
    assert {**other, "HostConfig": {**other["HostConfig"], "Init": True}} == body


def test_a_device_says_where_it_is_in_the_container_and_what_is_allowed() -> None:
    assert split_device("/dev/x") == ("/dev/x", "/dev/x", "rwm")
    assert split_device("/dev/x:/dev/y") == ("/dev/x", "/dev/y", "rwm")
    assert split_device("/dev/x:/dev/y:rw") == ("/dev/x", "/dev/y", "rw")


words = st.text(max_size=12)
specs = st.builds(
    ContainerSpec,
    name=words,
    image=words,
    labels=st.dictionaries(words, words, max_size=3),
    environment=st.dictionaries(words, words, max_size=3),
    command=st.none() | st.lists(words, max_size=3).map(tuple),
    mounts=st.lists(st.builds(Mount, source=words, target=words), max_size=3).map(tuple),
    devices=st.lists(words, max_size=3).map(tuple),
    runtime=st.none() | words,
    ports=st.lists(
        st.builds(
            Port,
            container_port=st.integers(1, 65535),
            host_port=st.none() | st.integers(1, 65535),
            protocol=st.sampled_from(["tcp", "udp"]),
        ),
        max_size=3,
    ).map(tuple),
    health=st.none()
    | st.builds(
        HealthCheck,
        command=st.lists(words, min_size=1, max_size=2).map(tuple),
        interval_seconds=st.floats(0.001, 1e6),
    ),
    cpus=st.none() | st.floats(0.01, 1e4),
    memory_bytes=st.none() | st.integers(1, 1 << 50),
    processes_maximum=st.none() | st.integers(1, 1 << 20),
    capabilities=st.lists(words, max_size=3).map(tuple),
    read_only_root=st.booleans(),
)


@given(spec=specs)
def test_no_specification_makes_a_container_that_could_gain_rights(spec: ContainerSpec) -> None:
    body = create_body(spec)
    host = body["HostConfig"]

    assert host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["CapAdd"] == list(spec.capabilities)
    assert host["NetworkMode"] == "default"
    assert host["RestartPolicy"] == {"Name": "unless-stopped"}
    assert [mount["Source"] for mount in host["Mounts"]] == [m.source for m in spec.mounts]
    # Neither rooms of this node nor other ways to mount are ever asked for.
    assert {"Binds", "VolumesFrom", "PidMode", "IpcMode", "UsernsMode", "UTSMode"}.isdisjoint(host)
    assert {"User", "Volumes", "Entrypoint", "CgroupnsMode", "Sysctls"}.isdisjoint({**body, **host})
    assert json.loads(json.dumps(body)) == body
