"""What devices fetch from the platform: packages and licences, with ranges, on its listener."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any, BinaryIO

import falcon

from agent.simulator.byte_ranges import UnsatisfiableRange, parse_range
from agent.simulator.events import Event, EventKind, EventLog
from agent.simulator.faults import Fault, FaultKind
from agent.simulator.file_body import FileBody, Stopping, spoilt_body
from agent.simulator.licence_shelf import LicenceShelf
from agent.simulator.misbehaviour import (
    DOWNLOAD_FAULT,
    LICENCES_PATH,
    MOVED_PATH,
    PACKAGES_PATH,
)
from agent.simulator.package_shelf import PackageShelf
from agent.simulator.refusal import Refusal, ResultCode
from agent.simulator.registry import Registry
from agent.simulator.request_token import token_of


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """Is an open file that is about to be sent; `modified_at` is the date of HTTP."""

    name: str
    file: BinaryIO
    size_bytes: int
    etag: str
    modified_at: str | None


class Downloads:
    """Serves the files of packages and licences; safe in every thread.

    With a required token only registered nodes get anything.
    """

    def __init__(
        self,
        *,
        packages: PackageShelf,
        licences: LicenceShelf,
        registry: Registry,
        events: EventLog,
        stopping: Stopping,
    ) -> None:
        self._packages = packages
        self._licences = licences
        self._registry = registry
        self._events = events
        self._stopping = stopping

    def add_routes(self, application: falcon.App[Any, Any]) -> None:
        """Put the paths into the platform's application."""
        for prefix in ("", MOVED_PATH):
            for path, kind in ((PACKAGES_PATH, "package"), (LICENCES_PATH, "licence")):
                application.add_route(f"{prefix}{path}{{identifier}}", _File(self, kind=kind))

    def serve(
        self, request: falcon.Request, response: falcon.Response, *, kind: str, identifier: str
    ) -> None:
        """Answer one GET or HEAD."""
        try:
            self._registry.check_any_token(token_of(request))
            stored = self._open(kind, identifier)
        except Refusal as refusal:
            self._refuse(request, response, refusal, kind=kind, identifier=identifier)
            return
        fault = request.env.get(DOWNLOAD_FAULT)
        if fault is not None and fault.kind is FaultKind.CHANGE_ETAG:
            stored = replace(stored, etag=_other_etag(stored.etag, request))
        try:
            start, length = self._head(request, response, stored, fault=fault)
        except UnsatisfiableRange:
            stored.file.close()
            response.status = 416
            response.set_header("Content-Range", f"bytes */{stored.size_bytes}")
            self._tell(request, stored, status=416, start=0, length=0)
            return
        status = 200 if response.status == 200 else 206
        self._tell(request, stored, status=status, start=start, length=length)
        self._body(request, response, stored, start=start, length=length, fault=fault)

    def _open(self, kind: str, identifier: str) -> _Stored:
        if kind == "licence":
            licence = self._licences.get(identifier)
            return _Stored(
                name=f"licence {identifier}",
                file=io.BytesIO(licence.content),
                size_bytes=len(licence.content),
                etag=licence.etag,
                modified_at=None,
            )
        package = self._packages.get(identifier)
        try:
            # Unbuffered: the pieces are large, and every one of them is read once.
            file = package.path.open("rb", buffering=0)
        except OSError as error:
            raise Refusal(
                f"the file of package {identifier} cannot be read: {error.strerror}",
                code=ResultCode.UNKNOWN_PACKAGE,
            ) from error
        return _Stored(
            name=f"package {identifier}",
            file=file,
            size_bytes=package.size_bytes,
            etag=f'"{package.md5}"',
            modified_at=formatdate(package.path.stat().st_mtime, usegmt=True),
        )

    def _head(
        self,
        request: falcon.Request,
        response: falcon.Response,
        stored: _Stored,
        *,
        fault: Fault | None,
    ) -> tuple[int, int]:
        response.content_type = "application/octet-stream"
        response.set_header("ETag", stored.etag)
        if stored.modified_at is not None:
            response.set_header("Last-Modified", stored.modified_at)
        response.status = 200
        part = None
        if fault is None or fault.kind is not FaultKind.NO_RANGE:
            response.set_header("Accept-Ranges", "bytes")
            if_range = request.get_header("If-Range")
            if if_range is None or if_range.strip() in (stored.etag, stored.modified_at):
                part = parse_range(request.get_header("Range"), size_bytes=stored.size_bytes)
        start, length = (0, stored.size_bytes) if part is None else part
        if part is not None:
            response.status = 206
            last = start + length - 1
            response.set_header("Content-Range", f"bytes {start}-{last}/{stored.size_bytes}")
        announced = length
        if fault is not None and fault.kind is FaultKind.FALSE_LENGTH:
            announced = fault.bytes
        response.set_header("Content-Length", str(announced))
        return start, length

    def _body(
        self,
        request: falcon.Request,
        response: falcon.Response,
        stored: _Stored,
        *,
        start: int,
        length: int,
        fault: Fault | None,
    ) -> None:
        if request.method == "HEAD":
            stored.file.close()
        elif fault is None or fault.kind in (FaultKind.NO_RANGE, FaultKind.CHANGE_ETAG):
            stored.file.seek(start)
            response.stream = FileBody(stored.file)
        else:
            response.stream = spoilt_body(
                stored.file, start=start, length=length, fault=fault, stopping=self._stopping
            )

    def _tell(
        self, request: falcon.Request, stored: _Stored, *, status: int, start: int, length: int
    ) -> None:
        asked = request.get_header("Range")
        part = f", {length} bytes from {start}" if status == 206 else ""
        self._events.add(
            Event(
                kind=EventKind.DOWNLOAD,
                accepted=status < 400,
                status=status,
                text=f"{request.method} {stored.name} by {request.remote_addr}: {status}{part}",
                details={
                    "peer": request.remote_addr,
                    "method": request.method,
                    "range": None if asked is None else asked[:60],
                    "start": start,
                    "length_bytes": length,
                    "size_bytes": stored.size_bytes,
                },
            )
        )

    def _refuse(
        self,
        request: falcon.Request,
        response: falcon.Response,
        refusal: Refusal,
        *,
        kind: str,
        identifier: str,
    ) -> None:
        response.status = refusal.code.status
        response.content_type = "application/json"
        response.data = json.dumps(
            {"Code": int(refusal.code), "Message": refusal.message}, ensure_ascii=False
        ).encode("utf-8", "replace")
        self._events.add(
            Event(
                kind=EventKind.DOWNLOAD,
                accepted=False,
                status=refusal.code.status,
                result_code=int(refusal.code),
                text=f"refused {kind} {identifier[:40]!r} to {request.remote_addr}: "
                f"{refusal.message}",
                details={"peer": request.remote_addr, "method": request.method},
            )
        )


class _File:
    def __init__(self, downloads: Downloads, *, kind: str) -> None:
        self._downloads = downloads
        self._kind = kind

    def on_get(self, request: falcon.Request, response: falcon.Response, identifier: str) -> None:
        self._downloads.serve(request, response, kind=self._kind, identifier=identifier)

    def on_head(self, request: falcon.Request, response: falcon.Response, identifier: str) -> None:
        self._downloads.serve(request, response, kind=self._kind, identifier=identifier)


def _other_etag(etag: str, request: falcon.Request) -> str:
    """Return an ETag that is not the one which the client holds."""
    other = f'"{etag.strip(chr(34))[::-1]}-changed"'
    held = (request.get_header("If-Range") or "").strip()
    return other if held != other else f'{other[:-1]}-again"'
