"""A small device that speaks annex F as the standard prints it, for the simulator's tests."""

from __future__ import annotations

import hashlib
import json
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TIME = "2026-03-04 05:06:07"
Answer = dict[str, Any]


@dataclass
class FakeBox:
    """Is a device; `spoil` may change an answer before it goes out."""

    port: int = 0
    packages: dict[str, Answer] = field(default_factory=dict)
    services: dict[str, Answer] = field(default_factory=dict)
    monitors: list[Answer] | None = None
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    spoil: Callable[[str, Answer], Answer] = lambda _, answer: answer

    def serve(self, method: str, path: str, body: bytes, content_type: str) -> tuple[int, Answer]:
        """Return status and answer of one call."""
        if content_type.startswith("multipart/"):
            return self._upload(path, body, content_type)
        message = json.loads(body) if body else {}
        self._note((method, path, message))
        parts = path.removeprefix("/ACSMP/").split("/")
        match method, parts:
            case "POST", ["Computility"]:
                return 200, self._computility(message)
            case "POST", ["AlgoFilePackages", "Devices"]:
                with urllib.request.urlopen(message["Url"], timeout=5) as file:
                    content = file.read()
                return self._take(message["AlgoFilePackageID"], content, message["MD5"])
            case "POST", ["AlgoFilePackages", "Devices", "Search"]:
                wanted = message.get("Status")
                records = [p for p in self.packages.values() if wanted in (None, p["Status"])]
                return 200, success(records)
            case "POST", ["AlgoFilePackages", "Devices", _, package_id]:
                return self._one(self.packages, package_id)
            case "DELETE", ["AlgoFilePackages", "Devices", _, package_id]:
                if any(s["AlgoFilePackageID"] == package_id for s in self.services.values()):
                    return 409, {"Code": 40901, "Message": "its service exists"}
                self.packages.pop(package_id, None)
                return 200, success()
            case "POST", ["AlgoServices", "Devices"]:
                return 200, success(self.load(message))
            case "POST", ["AlgoServices", "Devices", "UnInstall"]:
                for service_id in list(self.services):
                    if message.get("AlgoServiceID", service_id) == service_id:
                        del self.services[service_id]
                return 200, success()
            case "POST", ["AlgoServices", "Devices", "Search"]:
                return 200, success(self._page(message))
            case "GET", ["AlgoServices", "Devices", _, service_id]:
                return self._one(self.services, service_id)
        return 404, {"Code": 40400, "Message": f"nothing is at {path}"}

    def load(self, message: Answer) -> str:
        """Run a service and return its id."""
        service_id = str(uuid.uuid4())
        self.services[service_id] = {
            "AlgoServiceID": service_id,
            "AlgoFilePackageID": message["AlgoFilePackageID"],
            "Status": "RUNNING",
            "Env": message.get("Env", []),
            "Replicas": message.get("Replicas", 1),
            "CreatedDate": f"{TIME}.123",
        }
        return service_id

    def wait_for_requests(self, count: int) -> None:
        """Wait until so many calls have come in all."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= count, 10)

    def _note(self, request: tuple[str, str, Any]) -> None:
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()

    def _upload(self, path: str, body: bytes, content_type: str) -> tuple[int, Answer]:
        boundary = content_type.partition("boundary=")[2].encode()
        fields = {}
        for part in body.split(b"--" + boundary)[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            name = head.partition(b'name="')[2].partition(b'"')[0].decode()
            fields[name] = content.removesuffix(b"\r\n")
        self._note(("POST", path, {name: len(value) for name, value in fields.items()}))
        package_id = fields["AlgoFilePackageID"].decode()
        return self._take(package_id, fields["File"], fields["MD5"].decode())

    def _take(self, package_id: str, content: bytes, md5: str) -> tuple[int, Answer]:
        is_whole = hashlib.md5(content, usedforsecurity=False).hexdigest() == md5
        self.packages[package_id] = {
            "AlgoPackageName": "people",
            "AlgoPackageType": "image",
            "AlgoPackageVersion": "1.0.0",
            "AlgoFilePackageID": package_id,
            "Status": 3 if is_whole else 2,
            "CreatedDate": TIME,
            "DownloadProgress": 1.0 if is_whole else 0.5,
            "ProgressUpdateTime": TIME,
            "DownloadErrorMessage": "" if is_whole else "MD5",
        }
        return 200, success()

    def _one(self, records: dict[str, Answer], identifier: str) -> tuple[int, Answer]:
        if identifier not in records:
            return 404, {"Code": 40401, "Message": "there is none"}
        return 200, success(records[identifier])

    def _page(self, message: Answer) -> Answer:
        number, size = message.get("PageNumber", 1), message.get("PageSize", 10)
        records = list(self.services.values())
        return {
            "Records": records[(number - 1) * size : number * size],
            "PageNumber": number,
            "PageSize": size,
            "TotalSize": len(records),
        }

    def _computility(self, message: Answer) -> Answer:
        monitors = self.monitors
        if monitors is None:
            names = ("AlgoServiceID", "AlgoFilePackageID")
            monitors = [{name: s[name] for name in names} for s in self.services.values()]
        device = {"DeviceID": message["ComputilityCode"], "AlgoServiceMonitors": monitors}
        return success(
            {
                "PageContent": [
                    {"ComputilityCode": message["ComputilityCode"], "DeviceInfos": [device]}
                ],
                "PageRequest": {"PageNumber": 1, "PageSize": 10},
                "Total": 1,
                "TotalPages": 1,
            }
        )


def success(data: Any = None) -> Answer:
    """Return an answer that says yes."""
    body = {"Code": 0, "Message": "success"}
    return body if data is None else {**body, "Data": data}


@contextmanager
def run_box() -> Iterator[FakeBox]:
    """Run a device until the end of the block."""
    box = FakeBox()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            content_type = self.headers.get("Content-Type", "")
            status, answer = box.serve(self.command, self.path, body, content_type)
            raw = json.dumps(box.spoil(self.path, answer)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the names of http.server

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        box.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield box
        finally:
            server.shutdown()
            thread.join()
