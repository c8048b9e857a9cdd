"""Docker for tests: the machine's engine, an engine of the tests' own, images and archives.

No image registry is asked: images are made of a static busybox.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import socket as socket_module
import subprocess
import tarfile
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import docker
import docker.errors
import pytest

from runtimes.docker.runtime import DockerConfig, DockerRuntime
from tests.conftest import missing

# What a busy machine may need for anything: only failures wait this long.
PATIENCE_SECONDS = 60.0
SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
BUSYBOX = Path("/bin/busybox")
APPLETS = (
    *("cat", "chmod", "date", "dd", "echo", "env", "false", "grep", "head", "httpd", "id", "kill"),
    *("ls", "mkdir", "mount", "mv", "nc", "printf", "ps", "rm", "sh", "sleep", "stat", "tail"),
    *("tee", "test", "touch", "tr", "trap", "true", "umask", "wc", "wget", "whoami", "yes"),
)

ArchiveForm = Literal["docker", "docker-25", "oci"]


def wait_until(
    condition: Callable[[], Any], *, what: str, within_seconds: float = PATIENCE_SECONDS
) -> Any:
    """Return the first true value of a condition; fail the test when it never comes."""
    pause = threading.Event()
    ends = time.monotonic() + within_seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > ends:
            pytest.fail(f"waited {within_seconds:g} s in vain: {what}")
        pause.wait(0.02)


# Images


def busybox_tar(*, salt: bytes = b"") -> bytes:
    """Return the file system of an image: busybox with its applets, and a file with the salt."""
    if not BUSYBOX.is_file():
        missing("/bin/busybox is not on this machine; .ci/run installs busybox-static")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "etc", "proc", "sys", "dev", "tmp", "root", "run"):
            member = tarfile.TarInfo(folder)
            member.type = tarfile.DIRTYPE
            member.mode = 0o1777 if folder == "tmp" else 0o755
            tar.addfile(member)
        files = {
            "bin/busybox": (BUSYBOX.read_bytes(), 0o755),
            "etc/passwd": (b"root:x:0:0:root:/root:/bin/sh\nalgo:x:1000:1000::/:/bin/sh\n", 0o644),
            "etc/salt": (salt, 0o644),
        }
        for name, (content, mode) in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
        for applet in APPLETS:
            member = tarfile.TarInfo(f"bin/{applet}")
            member.type, member.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(member)
    return buffer.getvalue()


def docker_archive(
    *,
    reference: str | None,
    form: ArchiveForm = "docker",
    command: tuple[str, ...] = ("/bin/sleep", "100000"),
    salt: bytes = b"",
) -> bytes:
    """Return an image as `docker save` writes it, in one of its three forms.

    `docker` is that of engines before 25, `docker-25` the one since, which is an OCI layout with
    docker's manifest beside it, and `oci` an OCI layout alone.
    """
    layer = busybox_tar(salt=salt)
    layer_digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(
                os.uname().machine, "amd64"
            ),
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": {"Cmd": list(command), "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "busybox"}],
        }
    ).encode()
    config_digest = hashlib.sha256(config).hexdigest()
    tags = [reference] if reference is not None else None
    files: dict[str, bytes] = {}
    if form == "docker":
        files[f"{layer_digest}/VERSION"] = b"1.0"
        files[f"{layer_digest}/json"] = json.dumps({"id": layer_digest}).encode()
        config_path, layer_path = f"{config_digest}.json", f"{layer_digest}/layer.tar"
    else:
        config_path = f"blobs/sha256/{config_digest}"
        layer_path = f"blobs/sha256/{layer_digest}"
        kind = "application/vnd.oci.image"
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": f"{kind}.manifest.v1+json",
                "config": {
                    "mediaType": f"{kind}.config.v1+json",
                    "digest": f"sha256:{config_digest}",
                    "size": len(config),
                },
                "layers": [
                    {
                        "mediaType": f"{kind}.layer.v1.tar",
                        "digest": f"sha256:{layer_digest}",
                        "size": len(layer),
                    }
                ],
            }
        ).encode()
        manifest_digest = hashlib.sha256(manifest).hexdigest()
        entry: dict[str, Any] = {
            "mediaType": f"{kind}.manifest.v1+json",
            "digest": f"sha256:{manifest_digest}",
            "size": len(manifest),
        }
        if reference is not None:
            entry["annotations"] = {
                "io.containerd.image.name": f"docker.io/{reference}",
                "org.opencontainers.image.ref.name": reference.rpartition(":")[2],
            }
        files["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
        files[f"blobs/sha256/{manifest_digest}"] = manifest
        files["index.json"] = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": f"{kind}.index.v1+json",
                "manifests": [entry],
            }
        ).encode()
    files[config_path] = config
    files[layer_path] = layer
    if form != "oci":
        files["manifest.json"] = json.dumps(
            [{"Config": config_path, "RepoTags": tags, "Layers": [layer_path]}]
        ).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


# Engines


class Engine:
    """Makes images and containers in one engine for a test, and removes all of them."""

    def __init__(self, *, socket: str) -> None:
        self.socket = socket
        self._images: list[str] = []
        self._containers: list[str] = []

    def api(self) -> docker.APIClient:
        """Return a client of the test's own: close it, or use it with `with`."""
        return docker.APIClient(base_url=self.socket, timeout=60)

    def runtime(self, **options: Any) -> DockerRuntime:
        """Return the runtime under test; the test closes it."""
        return DockerRuntime(DockerConfig(socket=self.socket), **options)

    def reference(self) -> str:
        """Return a reference that nothing else uses; its image is removed at the end."""
        reference = f"computility-agent-test/{uuid.uuid4().hex[:12]}:1"
        self._images.append(reference)
        return reference

    def name(self) -> str:
        """Return a container's name that nothing else uses; the container is removed at the end."""
        name = f"computility-agent-test-{uuid.uuid4().hex[:12]}"
        self._containers.append(name)
        return name

    def busybox_image(self, *, command: tuple[str, ...] = ("/bin/sleep", "100000")) -> str:
        """Make an image of busybox; return its reference."""
        reference = self.reference()
        archive = docker_archive(reference=reference, command=command, salt=reference.encode())
        with self.api() as api:
            for progress in api.load_image(archive):
                assert "error" not in progress, progress
        return reference

    def clean(self) -> None:
        """Remove what was made here, whatever state it is in."""
        with self.api() as api:
            for name in self._containers:
                _ignore_missing(lambda name=name: api.remove_container(name, force=True, v=True))
            for reference in self._images:
                _ignore_missing(lambda reference=reference: api.remove_image(reference, force=True))


def _ignore_missing(action: Callable[[], object]) -> None:
    try:
        action()
    except docker.errors.NotFound:
        pass
    except docker.errors.APIError as error:
        # Somebody else is removing it at this moment.
        if error.status_code != 409:
            raise


def answers(socket: str) -> bool:
    """Tell whether an engine answers there."""
    with socket_module.socket(socket_module.AF_UNIX, socket_module.SOCK_STREAM) as connection:
        connection.settimeout(10)
        try:
            connection.connect(socket.removeprefix("unix://"))
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.recv(64)
        except OSError:
            return False


class PrivateEngine(Engine):
    """Runs a dockerd of the test's own, which may be killed; its containers have no network.

    Data root, exec root, containerd, pid file, socket and network namespace are its own: nothing
    is shared with the machine's engine. (Without a namespace `--bridge=none` takes docker0 away
    from under the other.) As on a distribution's machine, containerd runs apart from dockerd.
    """

    def __init__(self, *, folder: Path, data_root: Path | None = None) -> None:
        super().__init__(socket=f"unix://{folder}/d.sock")
        self._folder = folder
        self._data_root = data_root if data_root is not None else folder / "data"
        self._containerd: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Is the process id of dockerd."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start dockerd, and wait until it answers."""
        if self._containerd is None or self._containerd.poll() is not None:
            self._start_containerd()
        # A dockerd that was killed leaves this behind, and its process id may be taken again.
        (self._folder / "d.pid").unlink(missing_ok=True)
        # /etc/docker/daemon.json is of the machine's engine.
        settings = self._folder / "daemon.json"
        settings.write_text("{}")
        self._process = self._run(
            *("unshare", "--net", "--"),
            "dockerd",
            f"--config-file={settings}",
            f"--host={self.socket}",
            f"--containerd={self._folder}/containerd.sock",
            f"--data-root={self._data_root}",
            f"--exec-root={self._folder}/exec",
            f"--pidfile={self._folder}/d.pid",
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
            "--ip-masq=false",
            "--shutdown-timeout=2",
        )
        self._wait_for(self._process, is_up=lambda: answers(self.socket))

    def log(self) -> str:
        """Return the end of what dockerd and containerd wrote."""
        return (self._folder / "log").read_text(errors="replace")[-4000:]

    def signal(self, number: signal.Signals) -> None:
        """Send dockerd a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill dockerd (SIGKILL); containerd and the containers go on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE_SECONDS)

    def stop(self) -> None:
        """End dockerd as an operator does (SIGTERM); it stops the containers first."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)

    def restart(self) -> None:
        """Kill dockerd and start it again."""
        self.kill()
        self.start()

    def remove(self) -> None:
        """Stop everything that was started here, and leave nothing behind."""
        try:
            if self._process is not None:
                self._process.send_signal(signal.SIGCONT)
                if self._process.poll() is not None:
                    self.start()
                remove_containers(self)
        finally:
            for process in (self._process, self._containerd):
                if process is not None:
                    process.terminate()
                    try:
                        process.wait(PATIENCE_SECONDS)
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.wait(PATIENCE_SECONDS)
            unmount_below(self._folder)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _start_containerd(self) -> None:
        settings = self._folder / "containerd.toml"
        address = f"{self._folder}/containerd.sock"
        settings.write_text(
            "version = 2\n"
            f'root = "{self._folder}/containerd"\n'
            f'state = "{self._folder}/containerd-state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = "{address}"\n'
            f'[ttrpc]\naddress = "{address}.ttrpc"\n'
        )
        self._containerd = self._run("containerd", "--config", str(settings))
        self._wait_for(self._containerd, is_up=lambda: _accepts(address))

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def _wait_for(self, process: subprocess.Popen[bytes], *, is_up: Callable[[], bool]) -> None:
        def check() -> bool:
            if process.poll() is not None:
                pytest.fail(f"{process.args} ended with {process.returncode}:\n{self.log()}")
            return is_up()

        wait_until(check, what=f"{process.args} that answers")


def remove_containers(engine: Engine) -> None:
    """Remove every container of an engine that belongs to the test."""
    with engine.api() as api:
        for container in api.containers(all=True):
            identifier = container["Id"]
            _ignore_missing(
                lambda identifier=identifier: api.remove_container(identifier, force=True, v=True)
            )


def unmount_below(folder: Path) -> None:
    """Take away what an engine left mounted below a folder."""
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        if (place := line.split()[1]).startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", place], check=False, timeout=30)


def _accepts(path: str) -> bool:
    with socket_module.socket(socket_module.AF_UNIX, socket_module.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


class Podman(Engine):
    """Runs podman's docker-compatible socket, with a storage of the test's own."""

    def __init__(self, *, folder: Path) -> None:
        super().__init__(socket=f"unix://{folder}/p.sock")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the service, and wait until it answers."""
        storage = self._folder / "storage.conf"
        storage.write_text(
            '[storage]\ndriver = "vfs"\n'
            f'graphroot = "{self._folder}/graph"\nrunroot = "{self._folder}/run"\n'
        )
        settings = self._folder / "containers.conf"
        # It asks for more open files than a sandbox may have, and for systemd.
        settings.write_text(
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
            # crun takes no mixture of the two versions of cgroups, as some sandboxes have.
            f'tmp_dir = "{self._folder}/tmp"\n'
            f'runtime = "{"runc" if shutil.which("runc") else "crun"}"\n'
            '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
            'netns = "none"\n'
        )
        environment = {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(storage),
            "CONTAINERS_CONF": str(settings),
        }
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["unshare", "--net", "--", "podman", "system", "service", "--time=0", self.socket],
                env=environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        process = self._process

        def is_up() -> bool:
            if process.poll() is not None:
                log = (self._folder / "log").read_text(errors="replace")
                missing(f"podman cannot run here: {log[-1000:]}")
            return answers(self.socket)

        wait_until(is_up, what="podman's socket")

    def remove(self) -> None:
        """Stop everything that was started here, and leave nothing behind."""
        try:
            remove_containers(self)
        finally:
            if self._process is not None:
                self._process.kill()
                self._process.wait(PATIENCE_SECONDS)
            unmount_below(self._folder)
            shutil.rmtree(self._folder, ignore_errors=True)


def private_engine_of(stack: ExitStack, *, data_root: Path | None = None) -> PrivateEngine:
    """Start an engine of the caller's own; it is removed when the stack closes."""
    if os.geteuid() != 0:
        missing("a dockerd of the tests' own needs root")
    if shutil.which("dockerd") is None:
        missing("dockerd is not on this machine; .ci/run installs docker.io")
    # A socket's path has at most 107 bytes, which pytest's folders would exceed.
    folder = Path(tempfile.mkdtemp(prefix="ca-dockerd-"))
    engine = PrivateEngine(folder=folder, data_root=data_root)
    stack.callback(engine.remove)
    engine.start()
    return engine


@pytest.fixture
def docker_engine() -> Iterator[Engine]:
    """Return the machine's engine; what the test makes in it is removed. Never stop or kill it."""
    if not answers(SOCKET):
        missing(f"no docker engine answers at {SOCKET}; .ci/run starts one")
    engine = Engine(socket=SOCKET)
    try:
        yield engine
    finally:
        engine.clean()


@pytest.fixture
def docker_runtime(docker_engine: Engine) -> Iterator[DockerRuntime]:
    """Return the runtime under test on the machine's engine."""
    runtime = docker_engine.runtime()
    yield runtime
    runtime.close()


@pytest.fixture
def busybox_image(docker_engine: Engine) -> str:
    """Return the reference of a busybox image of the test's own in the machine's engine."""
    return docker_engine.busybox_image()


@pytest.fixture
def private_engine() -> Iterator[PrivateEngine]:
    """Return an engine of the test's own, started; it may be killed and restarted."""
    with ExitStack() as stack:
        yield private_engine_of(stack)


@contextmanager
def podman_of_tests() -> Iterator[Podman]:
    """Run podman's docker-compatible socket; skip the test where it cannot run."""
    if os.geteuid() != 0:
        missing("podman with a storage of the tests' own needs root")
    if shutil.which("podman") is None:
        missing("podman is not on this machine; .ci/run installs it")
    engine = Podman(folder=Path(tempfile.mkdtemp(prefix="ca-podman-")))
    try:
        engine.start()
        yield engine
    finally:
        engine.remove()


@pytest.fixture
def podman_engine() -> Iterator[Podman]:
    """Return podman's docker-compatible socket, started for the test."""
    with podman_of_tests() as engine:
        yield engine
