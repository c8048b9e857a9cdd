"""A small, strict monitoring platform on a real socket: annex A with a memory."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

USERNAME, PASSWORD = "centre", "p&w=字"
_GROUPS = (
    "computePowerSupply",
    "computePowerApplication",
    "computeElectricitySynergy",
    "computeNetworkSecurity",
)


class Refusal(Exception):  # noqa: N818 - the code of the answer
    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message


class FakePlatform:
    """Answers as the tables say, and refuses what they do not.

    `faults` are taken before a request is looked at: "drop" closes without an answer, "lose" does
    what was asked for and closes then, "no id" leaves `data` out of the answer, a tuple is sent as
    status and body.
    """

    def __init__(self) -> None:
        self.projects: dict[int, dict[str, Any]] = {}
        self.centres: dict[int, dict[str, Any]] = {}
        self.reports: dict[tuple[int, str], dict[str, Any]] = {}
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.faults: list[str | tuple[int, bytes]] = []
        self.tokens: set[str] = set()
        self.logins = 0
        self.seconds: int | None = 3600
        self.check: Callable[[str, bytes, Any], None] = lambda query, body, headers: None
        self.wraps_data = False
        self.faults_from = ""
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                pass

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                platform._handle(self, self.rfile.read(length))

            do_GET = do_POST = do_PUT = handle_any  # noqa: N815 - the names of the base class

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def calls(self, method: str, path: str) -> int:
        return sum(one[0] == method and urlsplit(one[1]).path == path for one in self.requests)

    def _handle(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        parts = urlsplit(handler.path)
        self.requests.append((handler.command, handler.path, dict(handler.headers), body))
        fault = None
        if self.faults and f"{handler.command} {parts.path}".startswith(self.faults_from):
            fault = self.faults.pop(0)
        if fault == "drop":
            handler.close_connection = True
            return
        if isinstance(fault, tuple):
            self._reply(handler, fault[0], fault[1])
            return
        try:
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self.check(parts.query, body, handler.headers)
            given = json.loads(body) if body else {}
            answer = {"code": 200, **self._answer(handler, parts.path, query, given)}
        except Refusal as refusal:
            answer = {"code": refusal.code, "msg": refusal.message}
        if fault == "lose":
            handler.close_connection = True
            return
        if fault == "no id":
            answer.pop("data", None)
        self._reply(handler, 200, json.dumps(answer, ensure_ascii=False).encode())

    def _reply(self, handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _answer(
        self, handler: BaseHTTPRequestHandler, path: str, query: dict[str, str], body: Any
    ) -> dict[str, Any]:
        if path == "/api/token":
            if (body.get("username"), body.get("password")) != (USERNAME, PASSWORD):
                raise Refusal(10001, "用户验证失败")
            self.logins += 1
            token = f"t-{self.logins}"
            self.tokens.add(token)
            expiry = {} if self.seconds is None else {"expiresIn": self.seconds}
            return {"token": token} | expiry
        if handler.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            raise Refusal(10002, "无效 Token")
        if path == "/api/queryMonthReport":
            found = [
                one
                for one in self.reports.values()
                if query.get("centerId") in (None, str(one.get("centerId")))
                and query.get("reportMonth") in (None, one["reportMonth"])
            ]
            return self._list(found)
        if path == "/api/monthReport":
            return self._report(body)
        table, key = {
            "/api/project": (self.projects, "projectName"),
            "/api/computePowerCenter": (self.centres, "name"),
        }[path]
        if handler.command == "GET":
            return self._list(
                [
                    {"id": number, **one}
                    for number, one in table.items()
                    if query.get(key) in (None, one[key]) and query.get("id") in (None, str(number))
                ]
            )
        _demand(body, key if handler.command == "POST" else "", path=path)
        if handler.command == "POST":
            number = len(table) + 1
            table[number] = body
            return {"data": str(number)}
        number = body.pop("id", None)
        if number is None:
            number = next((at for at, one in table.items() if one[key] == body[key]), None)
        if number not in table:
            raise Refusal(99999, "不存在")
        table[number] |= body
        return {}

    def _report(self, body: Any) -> dict[str, Any]:
        for name in ("reportMonth", *_GROUPS):
            if name not in body:
                raise Refusal(10005, f"{name} 缺失")
        if not re.fullmatch(r"\d{4}-\d{2}", body["reportMonth"]):
            raise Refusal(10004, "reportMonth")
        names = {one["name"]: number for number, one in self.centres.items()}
        number = body.get("centerId", names.get(body.get("centerName")))
        if type(number) is not int or number not in self.centres:
            raise Refusal(99999, "算力中心不存在")
        self.reports[number, body["reportMonth"]] = {**body, "centerId": number}
        return {}

    def _list(self, found: list[dict[str, Any]]) -> dict[str, Any]:
        data = {"total": len(found), "datalist": found}
        return {"data": [data] if self.wraps_data else data}


def _demand(body: dict[str, Any], key: str, *, path: str) -> None:
    needed = {
        "/api/project": ("computePowerInvestment", *(("province",) if key else ())),
        "/api/computePowerCenter": (
            "projectId", "longitude", "latitude", "type", *(("province", "city") if key else ()),
        ),
    }[path]  # fmt: skip
    for name in (*needed, *((key,) if key else ())):
        if body.get(name) is None:
            raise Refusal(10005, f"{name} 缺失")
    for name in ("province", "city"):
        if name in body and not re.fullmatch(r"\d{6}", body[name]):
            raise Refusal(10004, name)
    if "id" in body and type(body["id"]) is not int:
        raise Refusal(10004, "id")
