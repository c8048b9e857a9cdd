"""A platform pushes packages and loads services on a real agent with a real docker engine."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import docker.errors
import pytest
import requests

from agent.simulator.faults import Fault, FaultKind
from agent.simulator.refusal import Refusal
from agent.workloads.package_format import building
from agent.workloads.package_format.limits import InspectionLimits
from tests.docker_engine import SOCKET, Engine, docker_archive

pytestmark = pytest.mark.docker

CODE = "11010800005020000001"
LICENCE = b"licence of person-structure: 8 channels, until 2030-01-01\n"
OTHERS_LABELS = {"computility-agent.service": "somebody", "computility-agent.agent": "another"}
PLUGINS = (
    *("amd", "ascend", "axera", "cambricon", "enflame", "hygon"),
    *("iluvatar", "kunlun", "metax", "mthreads", "nvidia", "sophgo"),
)
# What the algorithm does: it asks the address that it was given, or reads the file.
ONLINE = """\
until answer=$(wget -q -O - "http://$AUTH_SERVER_ADDR/authorise?host=$HOSTNAME")
do sleep 0.2
done
echo "authorised: $answer at level $LOG_LEVEL"
while true; do sleep 1; done
"""
OFFLINE = """\
echo "licence: $(cat "$AUTH_SERVER_ADDR")"
if echo forged > "$AUTH_SERVER_ADDR"; then echo "it could be written"; else echo "read-only"; fi
exec sleep 100000
"""


class Site:
    """Is a platform, an agent with a docker engine, and what may be asked of the three."""

    def __init__(self, box: Any, city: Any, engine: Engine) -> None:
        self.box = box
        self.city = city
        self.engine = engine
        self._made = 0

    def add_package(self, script: str, *, licence_path: str | None = None) -> str:
        """Make a package whose image is new to the engine; return its id."""
        self._made += 1
        folder = self.box.folder / f"source-{self._made}"
        folder.mkdir()
        salt = f"{folder}".encode()
        (folder / "image.tar").write_bytes(docker_archive(reference=None, salt=salt))
        manifest = {
            "name": "person-structure",
            "version": "1.0.0",
            "type": "image",
            "image": "image.tar",
            "env": [
                {"name": "AUTH_SERVER_ADDR", "value": licence_path or ""},
                {"name": "LOG_LEVEL", "value": "info"},
            ],
            "command": ["/bin/sh", "-c", script],
        }
        (folder / "algo.yaml").write_text(json.dumps(manifest))
        package = folder.with_suffix(".tar")
        building.build(folder, output=package, limits=InspectionLimits())
        return str(self.city.simulator.add_package(package))

    def push(self, package_id: str, *, upload: bool = False) -> None:
        """Push a package and wait until the platform reads it as downloaded."""
        self.city.simulator.push(CODE, package_id, upload=upload)
        self.box.wait_until(lambda: self.package(package_id)["Status"] != 1)
        package = self.package(package_id)
        assert (package["Status"], package["DownloadProgress"]) == (3, 1)

    def package(self, package_id: str) -> dict[str, Any]:
        found = self.city.simulator.packages(CODE)
        return next(each for each in found if each["AlgoFilePackageID"] == package_id)

    def load(self, package_id: str, **words: Any) -> str:
        """Load a service and wait until the platform reads it as running."""
        service_id = str(self.city.simulator.load(CODE, package_id, **words))
        self.wait_for_state(service_id, "RUNNING")
        return service_id

    def states(self) -> dict[str, str]:
        found = self.city.simulator.services(CODE)
        return {each["AlgoServiceID"]: each["Status"] for each in found}

    def wait_for_state(self, service_id: str, state: str) -> None:
        self.box.wait_until(lambda: self.states().get(service_id) == state)

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return what docker says of the containers of this agent, by name."""
        with self.engine.api() as api:
            listed = api.containers(
                all=True, filters={"label": f"computility-agent.agent={self.instance}"}
            )
            found = []
            for each in listed:
                # It may have gone since it was listed.
                with contextlib.suppress(docker.errors.NotFound):
                    found.append(api.inspect_container(each["Id"]))
        return {each["Name"].lstrip("/"): each for each in found}

    def ids(self) -> dict[str, tuple[str, str]]:
        """Return id and time of the start of each container of this agent, by name."""
        return {
            name: (each["Id"], each["State"]["StartedAt"])
            for name, each in self.containers().items()
        }

    def images(self) -> list[str]:
        """Return the images of this agent's packages that the engine has."""
        generations = [path.stem for path in (self.box.folder / "packages").glob("*")]
        return [each for each in self.all_images() if each.rpartition(":")[2] in generations]

    def logs(self, service_id: str, *, replica: int = 0) -> str:
        told = self.box.run("services", "logs", service_id, "--replica", str(replica))
        assert told.returncode == 0, told.stderr
        return str(told.stdout)

    def wait_for_logs(self, service_id: str, text: str) -> None:
        self.box.wait_until(lambda: text in self.logs(service_id))

    def monitors(self) -> dict[str, dict[str, Any]]:
        """Return the services of annex G as the platform last read them, by name."""
        content = self.city.simulator.registry.nodes()[0].read_back.content
        return {
            each["AlgoServiceID"]: each
            for record in content or ()
            for device in record["DeviceInfos"]
            for each in device.get("AlgoServiceMonitors") or ()
        }

    def restart(self) -> None:
        assert self.box.stop() == 0
        self.box.start()
        self.box.wait_until(self.is_reachable)

    def is_reachable(self) -> bool:
        """Tell whether the platform reaches the agent, which it registers anew with its port."""
        try:
            self.city.simulator.packages(CODE)
        except Refusal:
            return False
        return True

    @property
    def instance(self) -> str:
        database = sqlite3.connect(self.box.folder / "state.db")
        try:
            row = database.execute("SELECT value FROM meta WHERE key = 'instance'").fetchone()
        finally:
            database.close()
        return str(row[0])

    def all_images(self) -> list[str]:
        """Return the images of all agents' packages that the engine has."""
        with self.engine.api() as api:
            found = api.images(name="computility-agent/package")
        return [tag for each in found for tag in each["RepoTags"] or ()]

    def clean(self) -> None:
        """Remove what a failed test left in the engine."""
        if not (self.box.folder / "state.db").exists():
            return
        images = self.images()
        with self.engine.api() as api:
            for container in self.containers().values():
                api.remove_container(container["Id"], force=True, v=True)
            for image in images:
                try:
                    api.remove_image(image, force=True)
                except docker.errors.NotFound:
                    continue


@pytest.fixture
def bridge(docker_engine: Engine) -> str:
    """Return the address of this machine as the containers of the engine see it."""
    image, name = docker_engine.busybox_image(), docker_engine.name()
    with docker_engine.api() as api:
        api.start(api.create_container(image=image, name=name)["Id"])
        return str(api.inspect_container(name)["NetworkSettings"]["Gateway"])


@pytest.fixture
def site(
    box: Any, platform: Callable[..., Any], docker_engine: Engine, bridge: str
) -> Iterator[Site]:
    """Return a running agent that a platform reads, with cards left out and room enough."""
    city = platform(poll_seconds=0.5, authorisation_listen=(bridge, 0))
    box.add_platform(city, "city")
    box.settings["runtime"] = {"socket": SOCKET}
    box.settings["workloads"] = {"download": {"minimum_free_gib": 0}}
    box.settings["accelerators"] = {name: {"enabled": False} for name in PLUGINS}
    box.settings["metrics"] = {"listen": "127.0.0.1:0"}
    box.start()
    city.wait_for("Keepalive")
    one = Site(box, city, docker_engine)
    try:
        yield one
    finally:
        if box.process.poll() is None:
            box.stop()
        one.clean()


def test_a_service_is_pushed_loaded_authorised_read_back_and_removed(site):
    address = site.city.simulator.authorisation_address
    package_id = site.add_package(ONLINE)
    site.push(package_id)
    service_id = site.load(
        package_id, env={"AUTH_SERVER_ADDR": address, "LOG_LEVEL": "debug"}, replicas=2
    )

    # Both replicas asked the address that they were given, each from its own.
    def askers() -> set[str]:
        return {
            event["details"]["peer"]
            for event in list(site.city.events)
            if event["kind"] == "authorisation" and "/authorise?host=" in event["details"]["path"]
        }

    site.box.wait_until(lambda: len(askers()) == 2)
    containers = site.containers()
    assert askers() == {each["NetworkSettings"]["IPAddress"] for each in containers.values()}
    for replica in (0, 1):
        site.box.wait_until(lambda replica=replica: site.logs(service_id, replica=replica))
        assert site.logs(service_id, replica=replica) == (
            'authorised: {"Code": 0, "Message": "success"} at level debug\n'
        )
    for container in containers.values():
        host = container["HostConfig"]
        assert not host["Privileged"]
        assert host["CapDrop"] == ["ALL"]
        assert any(each.startswith("no-new-privileges") for each in host["SecurityOpt"])

    # Annex G and the metrics tell what it uses.
    site.box.wait_until(lambda: site.monitors().get(service_id))
    site.box.wait_until(
        lambda: f'computility_service_memory_used_bytes{{package="{package_id}"' in metrics(site)
    )
    shown = metrics(site)
    assert f'computility_service_replicas_running{{package="{package_id}"' in shown
    status = site.box.run("services", "list").stdout
    assert f"{service_id}  RUNNING" in status.upper().replace(service_id.upper(), service_id)

    # While it is loaded, its package can be neither replaced nor deleted.
    site.add_package(OFFLINE)
    site.city.simulator.add_package(site.box.folder / "source-2.tar", package_id=package_id)
    for refused in (
        lambda: site.city.simulator.push(CODE, package_id),
        lambda: site.city.simulator.delete(CODE, package_id),
    ):
        with pytest.raises(Refusal, match="HTTP 409"):
            refused()

    (image,) = site.images()
    site.city.simulator.unload(CODE, package_id, service_id=service_id)
    site.box.wait_until(lambda: not site.containers())
    assert site.states() == {}
    site.city.simulator.delete(CODE, package_id)
    assert site.city.simulator.packages(CODE) == []
    site.box.wait_until(lambda: image not in site.all_images())
    assert list((site.box.folder / "packages").iterdir()) == []
    assert findings(site) == []


def test_a_service_with_an_offline_licence_reads_it_and_cannot_change_it(site):
    path = "/etc/algo/licence.dat"
    package_id = site.add_package(OFFLINE, licence_path=path)
    site.push(package_id, upload=True)
    url = site.city.simulator.add_licence(LICENCE)
    service_id = site.load(package_id, licence_url=url)
    site.wait_for_logs(service_id, "only")
    assert f"licence: {LICENCE.decode()}" in site.logs(service_id)
    assert "read-only" in site.logs(service_id).splitlines()
    (container,) = site.containers().values()
    assert f"AUTH_SERVER_ADDR={path}" in container["Config"]["Env"]
    (mount,) = container["Mounts"]
    assert (mount["Destination"], mount["RW"]) == (path, False)
    kept = site.box.folder / "licences" / service_id
    assert kept.read_bytes() == LICENCE

    # What was authorised once starts again without the platform.
    site.city.simulator.stop()
    with site.engine.api() as api:
        api.remove_container(container["Id"], force=True)
    site.box.wait_until(lambda: running(site) == 1)
    site.box.run("services", "unload", package_id)
    site.box.wait_until(lambda: not site.containers())
    site.box.wait_until(lambda: not kept.exists())
    assert site.box.run("packages", "delete", package_id).returncode == 0
    site.box.wait_until(lambda: not list((site.box.folder / "packages").iterdir()))


def test_what_somebody_takes_away_comes_back_and_what_is_others_stays(site):
    package_id = site.add_package("exec sleep 100000")
    site.push(package_id)
    service_id = site.load(package_id, replicas=2)
    (image,) = site.images()
    first, second = (f"computility-{service_id}-{number}" for number in (0, 1))
    others = [site.engine.name(), site.engine.name()]
    with site.engine.api() as api:
        for name, labels in zip(others, ({}, OTHERS_LABELS), strict=True):
            made = api.create_container(
                image=image, command=["sleep", "100000"], name=name, labels=labels
            )
            api.start(made["Id"])
        before = site.ids()
        api.remove_container(first, force=True)
        site.box.wait_until(lambda: running(site) == 2)
        assert site.ids()[second] == before[second]
        assert site.ids()[first] != before[first]

        api.stop(second, timeout=0)
        site.box.wait_until(lambda: running(site) == 2)
        assert site.ids()[second][0] == before[second][0]

        # The agent says whose they are, and leaves both alone.
        listed = site.box.run("services", "list").stdout
        assert f"{others[1]}  running  of another agent" in listed
        assert others[0] not in listed
        assert all(api.inspect_container(name)["State"]["Running"] for name in others)

        # An image that is pruned comes out of its package again, with no platform to ask.
        assert site.box.stop() == 0
        site.city.simulator.stop()
        for name in (*others, first, second):
            api.remove_container(name, force=True)
        api.remove_image(image, force=True)
    assert site.images() == []
    site.box.start()
    site.box.wait_until(lambda: running(site) == 2)
    assert site.images() == [image]


def test_the_agent_comes_and_goes_and_its_services_run_on(site):
    package_id = site.add_package("exec sleep 100000")
    site.push(package_id)
    service_id = site.load(package_id, replicas=2)
    before = site.ids()
    assert len(before) == 2

    site.restart()
    site.wait_for_state(service_id, "RUNNING")
    assert site.ids() == before

    # Other limits hold for what is made from now on.
    site.box.settings["workloads"]["limits"] = {"memory_gib": 1}
    site.box.settings["collect"]["interval_seconds"] = 2
    site.box.write()
    site.box.process.send_signal(signal.SIGHUP)
    site.box.wait_for_log("reload")
    site.wait_for_state(service_id, "RUNNING")
    assert site.ids() == before
    site.box.wait_until(lambda: site.box.status()["workloads"])

    with site.engine.api() as api:
        api.remove_container(f"computility-{service_id}-0", force=True)
    site.box.wait_until(lambda: running(site) == 2)
    made = site.containers()
    assert made[f"computility-{service_id}-0"]["HostConfig"]["Memory"] == 1 << 30
    assert made[f"computility-{service_id}-1"]["Id"] == before[f"computility-{service_id}-1"][0]

    # What was asked for while nobody was there to ask is not there; what was is.
    site.box.process.kill()
    site.box.process.wait()
    assert len(site.ids()) == 2
    site.box.start()
    site.box.wait_until(site.is_reachable)
    site.wait_for_state(service_id, "RUNNING")
    site.city.simulator.unload(CODE, package_id)
    site.box.wait_until(lambda: not site.containers())


def test_a_download_goes_on_after_a_restart_of_the_agent(site):
    """The platform wants its token, which the agent has only once it is registered again."""
    package_id = site.add_package("exec sleep 100000")
    site.city.simulator.apply(Fault(kind=FaultKind.DRIP, operation="Package", bytes=200_000))
    site.city.simulator.push(CODE, package_id)
    site.box.wait_until(lambda: site.package(package_id).get("DownloadProgress", 0) > 0.1)
    site.restart()
    site.city.simulator.faults.clear()
    site.box.wait_until(lambda: site.package(package_id)["Status"] != 1)
    assert site.package(package_id)["Status"] == 3
    downloads = [each for each in site.city.events if each["kind"] == "download"]
    assert downloads[-1]["details"]["start"] > 0


def metrics(site: Site) -> str:
    return requests.get(f"http://{site.box.status()['metrics']}/metrics", timeout=10).text


def running(site: Site) -> int:
    """Return how many containers of this agent run."""
    return sum(each["State"]["Running"] for each in site.containers().values())


def findings(site: Site) -> list[Any]:
    """Return what the platform found wrong with what it was told."""
    return [event for event in list(site.city.events) if event["findings"]]
