"""A licence reaches whoever a container runs as, through a real engine."""

from __future__ import annotations

import os
import uuid
from datetime import datetime, timezone

import pytest

from agent.config.settings import WorkloadSettings
from agent.model.workloads import (
    DesiredService,
    EnvironmentVariable,
    InstalledPackage,
    Manifest,
    PackageType,
)
from agent.workloads import planning
from agent.workloads.licences import Licences
from runtimes.docker import container_config

pytestmark = pytest.mark.docker

PLACE = "/opt/algo/auth.lic"


def run(engine, spec, *, user):
    """Make the container exactly as planned but for its user and end, and return what it printed.

    The user is that of the image, which a plan does not touch.
    """
    body = container_config.create_body(spec)
    body["HostConfig"]["RestartPolicy"] = {"Name": "no"}
    body["User"] = user
    with engine.api() as api:
        made = api.create_container_from_config(body, spec.name)["Id"]
        try:
            api.start(made)
            status = api.wait(made, timeout=60)["StatusCode"]
            return status, api.logs(made).decode()
        finally:
            api.remove_container(made, force=True)


@pytest.mark.parametrize(
    ("user", "owner", "read_only_root"),
    [
        ("0:0", 0, True),
        ("0:0", 4711, False),
        ("1000:1000", 0, False),
        ("65534", 4711, True),
    ],
)
def test_everybody_inside_reads_the_licence_and_nobody_changes_it(
    docker_engine, busybox_image, tmp_path, user, owner, read_only_root
):
    service = DesiredService(
        service_id=str(uuid.uuid4()),
        package_id="p",
        generation="g",
        env=(),
        replicas=1,
        created_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        licence_url="http://host/l",
    )
    # The folders above keep everybody out, as `node.state_dir` does.
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    licences = Licences(state / "licences", fetch=lambda *_, **__: b"the licence")
    path = licences.ensure(service)
    for each in (path, path.parent, state):
        os.chown(each, owner, owner)
    package = InstalledPackage(
        package_id="p",
        generation="g",
        file="/f",
        manifest=Manifest(
            name="n",
            version="1",
            type=PackageType.IMAGE,
            member="i",
            env=(EnvironmentVariable(name="AUTH_SERVER_ADDR", value=PLACE),),
            command=(
                "sh",
                "-c",
                'cat "$AUTH_SERVER_ADDR"; (echo x > "$AUTH_SERVER_ADDR") 2>/dev/null; echo " $?"',
            ),
            read_only_root=read_only_root,
        ),
        image=busybox_image,
    )
    spec = planning.container_spec(
        service,
        package,
        replica=0,
        agent="agent-1",
        chips=(),
        grant=None,
        licence_file=str(path),
        settings=WorkloadSettings(),
    )
    assert run(docker_engine, spec, user=user) == (0, "the licence 1\n")
    assert path.read_bytes() == b"the licence"
