"""An agent, a platform and a docker engine of the benches' own, and packages of any size."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import footprint
import tests_package  # noqa: F401 - before anything of `tests`

from agent.app import local_client
from agent.app.local_socket import SOCKET_NAME
from agent.app.workloads.questions import LOAD_SERVICE, PUSH_PACKAGE
from agent.errors import TransientError
from agent.workloads.package_format import building
from agent.workloads.package_format.limits import InspectionLimits
from tests.docker_engine import PrivateEngine, busybox_tar

CODE = "11010800005020000001"
PATIENCE_SECONDS = 900.0
# Vendors' tools are searched at the start; none of these benches is about them.
PLUGINS = (
    *("amd", "ascend", "axera", "cambricon", "enflame", "hygon"),
    *("iluvatar", "kunlun", "metax", "mthreads", "nvidia", "sophgo"),
)
_PIECE_BYTES = 4 << 20


class Site:
    """Is a folder with an agent that can be started, killed and asked, and where its engine is."""

    def __init__(
        self, folder: Path, *, socket: str, platform: tuple[str, Path] | None, code: str = CODE
    ) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        password = folder / "password"
        password.write_text(footprint.PASSWORD)
        password.chmod(0o600)
        settings: dict[str, Any] = {
            "node": {
                "code": code,
                "type": "AI_BOX",
                "address": "127.0.0.1",
                "state_dir": str(folder),
            },
            "device_api": {
                "listen": f"127.0.0.1:{footprint.free_port()}",
                "password_file": str(password),
            },
            "acsmp": [],
            "runtime": {"socket": socket},
            "accelerators": {name: {"enabled": False} for name in PLUGINS},
        }
        if platform is not None:
            url, key = platform
            settings["acsmp"] = [{"name": "bench", "url": url, "sm2_public_key_file": str(key)}]
        # JSON is YAML.
        (folder / "config.yaml").write_text(json.dumps(settings))

    def start(self, *before: str) -> None:
        """Start the agent, by the words before its command if there are any."""
        command = [*before, *footprint.agent_command(self.folder / "config.yaml")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop the agent."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(60)

    def ask(self, question: str, **fields: Any) -> dict[str, Any]:
        """Ask the agent on its local socket."""
        return local_client.ask(self.folder / SOCKET_NAME, question, fields=fields)

    def is_up(self) -> bool:
        """Tell whether the agent answers."""
        assert self.process is not None
        if self.process.poll() is not None:
            raise SystemExit(f"the agent ended:\n{(self.folder / 'log').read_text()[-2000:]}")
        try:
            self.ask("status")
        except TransientError:
            return False
        return True

    def log_text(self) -> str:
        """Return what the agent wrote."""
        return (self.folder / "log").read_text(errors="replace")

    def push(self, package_id: str, package: Path) -> None:
        """Let the agent take a package's file from this disk."""
        with package.open("rb") as file:
            local_client.ask(
                self.folder / SOCKET_NAME,
                PUSH_PACKAGE,
                fields={"package_id": package_id},
                file=file.fileno(),
                answer_seconds=None,
            )

    def load(self, package_id: str, *, replicas: int = 1) -> str:
        """Load a service; return its id at once."""
        return str(self.ask(LOAD_SERVICE, package_id=package_id, replicas=replicas)["service_id"])

    def states(self) -> list[str]:
        """Return the states of the services."""
        return [str(each["state"]) for each in self.ask("services")["services"]]


class Platform:
    """Is a simulator in a process of its own, and what it is asked on its control endpoint."""

    def __init__(self, folder: Path, packages: Path | None) -> None:
        self.port, self._control_port = footprint.free_port(), footprint.free_port()
        self.key = folder / "platform.pem.pub.pem"
        self._command = [
            sys.executable,
            *("-I", "-m", "agent", "simulate", "--listen", f"127.0.0.1:{self.port}"),
            *("--control", f"127.0.0.1:{self._control_port}"),
            *("--key", str(folder / "platform.pem"), "--poll-seconds", "15"),
        ]
        if packages is not None:
            self._command += ["--packages", str(packages)]

    @property
    def url(self) -> str:
        """Is the address for agents."""
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Platform]:
        """Run it until the end of the block."""
        with footprint.started(self._command):
            wait_until(lambda: _listens(self.port), what="the platform")
            yield self

    def ask(self, method: str, path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask the control endpoint."""
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._control_port}{path}", data=body, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.loads(answer.read() or b"{}")
        return found


@contextlib.contextmanager
def private_engine() -> Iterator[PrivateEngine]:
    """Run a dockerd whose data lies on the disk of the temporary folder, and remove it all."""
    engine = PrivateEngine(folder=Path(tempfile.mkdtemp(prefix="bench-engine-")))
    try:
        engine.start()
        yield engine
    finally:
        engine.remove()


def write_package(package: Path, *, layer_bytes: list[int], name: str) -> Path:
    """Make a package with an image of random layers of these sizes; return the image's archive.

    The service of the package sleeps. Besides the package its image archive stays, beside it.
    """
    source = package.with_suffix("")
    source.mkdir()
    image = source / "image.tar"
    with image.open("wb") as file:
        _write_image(file, layer_bytes=layer_bytes)
    manifest = {
        "name": name,
        "version": "1.0.0",
        "type": "image",
        "image": image.name,
        "command": ["/bin/sleep", "1000000"],
    }
    (source / "algo.yaml").write_text(json.dumps(manifest))
    building.build(source, output=package, limits=InspectionLimits())
    return image


def _write_image(file: BinaryIO, *, layer_bytes: list[int]) -> None:
    base = busybox_tar()
    digests, names = [], []
    for number, size_bytes in enumerate([len(base), *layer_bytes]):
        names.append(f"layer-{number}/layer.tar")
        # A layer of one file: its header before it, two empty blocks behind it.
        padding = -size_bytes % 512
        whole_bytes = size_bytes if number == 0 else 512 + size_bytes + padding + 1024
        digest = hashlib.sha256()
        _write(file, digest, _header(names[-1], whole_bytes), is_counted=False)
        if number == 0:
            _write(file, digest, base)
        else:
            _write(file, digest, _header(f"model-{number}.bin", size_bytes))
            for done in range(0, size_bytes, _PIECE_BYTES):
                _write(file, digest, os.urandom(min(_PIECE_BYTES, size_bytes - done)))
            _write(file, digest, bytes(padding + 1024))
        _write(file, digest, bytes(-whole_bytes % 512), is_counted=False)
        digests.append(f"sha256:{digest.hexdigest()}")
    config = json.dumps(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
            "os": "linux",
            "config": {"Cmd": ["/bin/sleep", "1000000"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": digests},
            "history": [{"created_by": name} for name in names],
        }
    ).encode()
    manifest = json.dumps(
        [{"Config": "config.json", "RepoTags": ["bench/peer:1"], "Layers": names}]
    ).encode()
    for name, content in (("config.json", config), ("manifest.json", manifest)):
        file.write(_header(name, len(content)))
        file.write(content + bytes(-len(content) % 512))
    file.write(bytes(1024))
    file.flush()
    os.fsync(file.fileno())


def _header(name: str, size_bytes: int) -> bytes:
    header = tarfile.TarInfo(name)
    header.size, header.mode = size_bytes, 0o644
    return header.tobuf(tarfile.GNU_FORMAT)


def _write(file: BinaryIO, digest: Any, content: bytes, *, is_counted: bool = True) -> None:
    file.write(content)
    if is_counted:
        digest.update(content)


def drop_caches() -> None:
    """Bring everything to the disk and forget what was read of it (needs root)."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3\n")


def wait_until(
    condition: Callable[[], Any],
    *,
    what: str,
    within_seconds: float = PATIENCE_SECONDS,
    pause_seconds: float = 0.05,
) -> float:
    """Return the seconds until something holds; end the bench if it never does."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > within_seconds:
            raise SystemExit(f"waited {within_seconds:g} s in vain: {what}")
        time.sleep(pause_seconds)
    return time.monotonic() - begin


def _listens(port: int) -> bool:
    try:
        footprint.wait_for(port)
    except SystemExit:
        return False
    return True
