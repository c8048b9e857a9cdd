"""What the simulator's tests share: a clock to turn by hand, messages, a device to read back."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agent.security import sm2
from agent.simulator.run import Simulator, SimulatorSettings

CODE = "11010800005020000001"
PASSWORD = "geheim-密码"


class HandClock:
    """Is a monotonic clock that moves when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="session")
def key_pair() -> sm2.PrivateKey:
    return sm2.generate_key_pair()


@pytest.fixture(scope="session")
def key_path(key_pair: sm2.PrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "platform.sm2.pem"
    path.write_text(key_pair.to_pkcs8_pem(), encoding="ascii")
    return path


@pytest.fixture(scope="session")
def encrypted_password(key_pair: sm2.PrivateKey) -> str:
    return sm2.encrypt(key_pair.public_key, PASSWORD.encode(), layout=sm2.Layout())


@pytest.fixture
def registration(encrypted_password: str) -> dict[str, Any]:
    """Return a table B.1 without fault."""
    return {
        "Code": CODE,
        "Type": "AI_BOX",
        "IP": "127.0.0.1",
        "Port": 8123,
        "Username": "admin",
        "Password": encrypted_password,
        "SupportAlgoService": False,
    }


@pytest.fixture
def run_simulator(key_path: Path) -> Iterator[Callable[..., Simulator]]:
    """Return a function that starts a simulator on free ports; settings by keyword."""
    running: list[Simulator] = []

    def run(*, monotonic: Callable[[], float] = time.monotonic, **settings: Any) -> Simulator:
        chosen = {
            "listen": ("127.0.0.1", 0),
            "control_listen": ("127.0.0.1", 0),
            "key_file": key_path,
            "poll_seconds": None,
            **settings,
        }
        simulator = Simulator(SimulatorSettings(**chosen), monotonic=monotonic)
        running.append(simulator)
        simulator.start()
        return simulator

    yield run
    for simulator in running:
        simulator.stop()


@dataclass
class FakeDevice:
    """Is a device whose answer a test writes: `answer` writes it to the handler."""

    answer: Callable[[BaseHTTPRequestHandler], None]
    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def device_answer() -> dict[str, Any]:
    """Return a table G.2 without fault."""
    return {
        "Code": 0,
        "Message": "success",
        "Data": {
            "PageContent": [
                {
                    "ComputilityCode": CODE,
                    "DeviceInfos": [
                        {
                            "DeviceID": CODE,
                            "HostName": "box",
                            "IsOnline": True,
                            "Cpu": 8,
                            "CpuUtilization": 0.25,
                            "Memory": 16,
                            "MemoryUsed": 4.5,
                            "Disk": 100,
                            "DiskUsed": 10.5,
                            "DiskDetails": [{"Path": "/", "Disk": 100, "DiskUsed": 10.5}],
                            "XpuMonitors": [
                                {
                                    "XpuMemory": 16,
                                    "XpuMemoryUsed": 5.0,
                                    "XpuUtilization": 0.5,
                                    "XpuType": "NVIDIA-T4",
                                }
                            ],
                            "AlgoServiceMonitors": [],
                        }
                    ],
                }
            ],
            "PageRequest": {"PageNumber": 1, "PageSize": 10},
            "Total": 1,
            "TotalPages": 1,
        },
    }


@pytest.fixture
def fake_device() -> Callable[..., AbstractContextManager[FakeDevice]]:
    """Return a function that runs a device: `answer` is a body, or writes to the handler."""

    @contextmanager
    def run(answer: Any) -> Iterator[FakeDevice]:
        def write_json(handler: BaseHTTPRequestHandler) -> None:
            body = json.dumps(answer).encode()
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        device = FakeDevice(answer=answer if callable(answer) else write_json)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                device.requests.append(
                    {
                        "path": self.path,
                        "authorization": self.headers["Authorization"],
                        "body": json.loads(body),
                    }
                )
                try:
                    device.answer(self)
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            device.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield device
            finally:
                device.released.set()
                server.shutdown()
                thread.join()

    return run


@pytest.fixture
def certificate(tmp_path: Path, require_program: Callable[[str], str]) -> Path:
    """Return a PEM file with a key and its own certificate for 127.0.0.1."""
    key, own = tmp_path / "key.pem", tmp_path / "own.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=box -addext"
    subprocess.run(
        [
            require_program("openssl"),
            *words.split(),
            "subjectAltName=IP:127.0.0.1",
            *("-keyout", str(key), "-out", str(own)),
        ],
        check=True,
        capture_output=True,
    )
    both = tmp_path / "both.pem"
    both.write_text(own.read_text() + key.read_text())
    return both
