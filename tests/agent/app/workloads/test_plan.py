"""The plan of a service, from a package's file and from the agent's database."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from datetime import datetime, timezone

import pytest

from agent.app.workloads import plan as workload_plan
from agent.app.workloads import plan_text as workload_plan_text
from agent.app.workloads.plan import Machine, PlanRequest
from agent.config.settings import (
    LimitSettings,
    NodeSettings,
    RuntimeSettings,
    Settings,
    WorkloadSettings,
)
from agent.errors import BadInput, ConflictError, PermanentError, RequestError, TransientError
from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading, ContainerGrant
from agent.model.view import AcceleratorView, AgentView
from agent.model.workloads import EnvironmentVariable, Manifest, PackageType, Resources
from agent.store.database import Database
from agent.workloads import package_view
from agent.workloads.service_planner import Chips
from runtimes.fake.runtime import FakeRuntime

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
ALGO = """\
name: person
version: 1.0.0
type: image
image: image.tar
env:
  - {name: AUTH_SERVER_ADDR, value: /opt/auth.lic}
  - {name: LOG_LEVEL, value: info}
ports: [8000:80]
resources: {accelerators: 0, cpus: 2}
read_only_root: true
"""


def tar(files):
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


def image():
    layer = tar({"hello": b"hello"})
    config = json.dumps(
        {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "config": {},
            "rootfs": {
                "type": "layers",
                "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()],
            },
        }
    ).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = [{"Config": name, "RepoTags": ["other:1"], "Layers": ["l/layer.tar"]}]
    return tar({name: config, "l/layer.tar": layer, "manifest.json": json.dumps(manifest).encode()})


@pytest.fixture
def package(tmp_path):
    path = tmp_path / "person.tar"
    path.write_bytes(tar({"algo.yaml": ALGO.encode(), "image.tar": image()}))
    return path


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def settings(state, *, kind="docker", **workloads):
    return Settings(
        node=NodeSettings(code="", type="AI_BOX", state_dir=str(state)),
        runtime=RuntimeSettings(kind=kind),
        workloads=WorkloadSettings(**workloads),
    )


def fake_runtime(_settings):
    return FakeRuntime()


class Cards:
    """Is a machine with two cards."""

    def __init__(self):
        self.samples = 0

    def chips(self):
        return Chips(view=self.view, can_grant=lambda _: True, grant=self.grant)

    def view(self):
        cards = [
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
        ]
        return AgentView(taken_at=NOON, taken_monotonic_seconds=0.0, accelerators=tuple(cards))

    def grant(self, vendor, uuids):
        return ContainerGrant(
            devices=tuple(f"/dev/{uuid}" for uuid in uuids), mounts=(("/lib/a", "/lib/b"),)
        )


def plan(package, *, state, **more):
    request = PlanRequest(package=str(package), **more.pop("request", {}))
    return workload_plan.plan(
        request,
        settings=more.pop("settings", None) or settings(state),
        build_runtime=more.pop("build_runtime", fake_runtime),
        **more,
    )


def install(state, package_id="p-1", *, manifest=None, failed=False):
    database = Database(state)
    manifest = manifest or Manifest(
        name="known",
        version="2",
        type=PackageType.IMAGE,
        member="i",
        resources=Resources(accelerators=1),
    )
    state_and_error = ("failed", "HTTP 404") if failed else (None, None)
    with database.transaction() as statements:
        statements.execute(
            "INSERT INTO packages (package_id, created_at, generation, manifest, size_bytes,"
            " push_state, push_error) VALUES (?, ?, ?, ?, 1, ?, ?)",
            (
                package_id,
                NOON.isoformat(),
                "a" * 16,
                package_view.encode_manifest(manifest),
                *state_and_error,
            ),
        )
    return database


def test_a_file_on_the_desk_is_planned_and_nothing_is_written(package, state):
    made = plan(
        package,
        state=state,
        settings=settings(state, limits=LimitSettings(memory_gib=1.5)),
        request={
            "env": (EnvironmentVariable(name="LOG_LEVEL", value="debug"),),
            "replicas": 2,
            "licence_url": "https://user:hidden@host/l",
        },
    )
    assert made["package"] == {"package_id": "person", "name": "person", "version": "1.0.0"}
    assert [each["index"] for each in made["replicas"]] == [0, 1]
    gets = made["replicas"][1]["gets"]
    assert gets["environment"] == {
        "AUTH_SERVER_ADDR": "/opt/auth.lic",
        "LOG_LEVEL": "debug",
        "NVIDIA_VISIBLE_DEVICES": "void",
    }
    assert gets["ports"] == [{"container_port": 80, "host_port": 8001, "protocol": "tcp"}]
    assert gets["mounts"][0]["target"] == "/opt/auth.lic"
    assert gets["mounts"][0]["source"].startswith(str(state / "licences"))
    assert (gets["cpus"], gets["memory_bytes"]) == (2.0, 1.5 * 2**30)
    # What the runtime says of it, and not what is said here.
    assert made["replicas"][1]["sent"]["environment"] == gets["environment"]
    assert not state.exists()
    assert "hidden" not in json.dumps(made)


def test_it_reads_in_plain_words(package, state):
    said = workload_plan_text.text(plan(package, state=state, request={"replicas": 2}))
    for line in (
        "package      person: person 1.0.0, 2 replicas, by docker",
        "replica 1",
        "  accelerator  none",
        "  environment  NVIDIA_VISIBLE_DEVICES=void",
        "  port         80/tcp, reached on 8001 of this node",
        "  cpus         2",
        "  memory       no limit",
        "  processes    4096",
        "  capabilities none; all others are dropped, and none can be gained; not privileged",
        "  file system  read-only but for /tmp, in memory",
    ):
        assert line in said.splitlines()
    assert said.count("what the engine would be sent:") == 2


def test_a_package_of_the_agent_is_planned_by_its_id_while_the_agent_works(state):
    database = install(state)
    made = plan("p-1", state=state, machine=Cards())
    assert made["package"]["name"] == "known"
    labels = made["replicas"][0]["gets"]["labels"]
    assert labels["computility-agent.generation"] == "a" * 16
    assert labels["computility-agent.accelerators"] == "acme:u1"
    said = workload_plan_text.text(made)
    assert "  accelerator  acme u1" in said
    assert "  device       /dev/u1" in said
    assert "  mount        /lib/a at /lib/b, read-only" in said
    instance = database.instance
    again = plan("p-1", state=state, machine=Cards())
    assert again["replicas"][0]["gets"]["labels"]["computility-agent.agent"] == instance
    with database.transaction() as statements:
        assert statements.execute("SELECT count(*) FROM services").fetchone()[0] == 0
    database.close()
    assert plan("p-1", state=state, machine=Cards()) == again


def test_replicas_spread_over_the_chips_of_this_machine(package, state):
    install(state).close()
    made = plan("p-1", state=state, machine=Cards(), request={"replicas": 2})
    given = [each["gets"]["labels"]["computility-agent.accelerators"] for each in made["replicas"]]
    assert given == ["acme:u1", "acme:u2"]


def test_a_package_of_the_agent_that_failed_says_so(state):
    install(state, failed=True).close()
    with pytest.raises(ConflictError, match="HTTP 404"):
        plan("p-1", state=state)


@pytest.mark.parametrize("name", ["nothing", "/nothing/here.tar", "a/b", ""])
def test_what_is_neither_a_file_nor_known_is_bad_input(state, name):
    with pytest.raises(BadInput):
        plan(name, state=state)
    install(state).close()
    with pytest.raises(BadInput):
        plan(name, state=state)


def test_a_plan_is_refused_as_the_agent_would_refuse_it(package, state):
    with pytest.raises(RequestError, match="OTHER"):
        plan(
            package,
            state=state,
            request={"env": (EnvironmentVariable(name="OTHER", value=""),)},
        )
    package.write_bytes(b"no tar at all")
    with pytest.raises(PermanentError):
        plan(package, state=state)


def test_a_database_that_is_none_is_said_to_be_unreadable(state):
    state.mkdir()
    (state / "state.db").write_bytes(b"nothing of SQLite" * 100)
    with pytest.raises(TransientError, match="cannot be read"):
        plan("p-1", state=state)


def test_cards_that_cannot_be_given_are_said_to_be(acme, state):
    # The plugin and its child are real; the nodes of its driver are not on any machine.
    install(state).close()
    found = settings(state)
    machine = Machine(settings=found, found=acme.found, options=acme.options)
    with pytest.raises(TransientError, match="/dev/acme_ctl"):
        plan("p-1", state=state, settings=found, machine=machine)


def test_what_docker_would_be_sent_is_what_the_docker_runtime_sends(package, state):
    made = workload_plan.plan(
        PlanRequest(package=str(package)), settings=settings(state), machine=Cards()
    )
    sent = made["replicas"][0]["sent"]
    assert sent["name"] == made["replicas"][0]["gets"]["name"]
    host = sent["body"]["HostConfig"]
    assert host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"]
    assert host["ReadonlyRootfs"] is True
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert "docker.sock" not in json.dumps(sent)
