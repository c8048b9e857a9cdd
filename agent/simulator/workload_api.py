"""Annexes A.1 to A.4, E.1 and F on the control listener: what a caller asks the platform."""

from __future__ import annotations

import contextlib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import falcon
from falcon.media import MultipartFormHandler

from agent.simulator import tables_workloads as annex
from agent.simulator.device_calls import DeviceAnswer
from agent.simulator.device_workloads import DeviceWorkloads
from agent.simulator.events import Event, EventKind, EventLog
from agent.simulator.licence_shelf import LICENCE_BYTES_MAXIMUM, LicenceShelf
from agent.simulator.misbehaviour import LICENCES_PATH, PACKAGES_PATH
from agent.simulator.package_shelf import ByteSource, PackageShelf, ShelvedPackage
from agent.simulator.refusal import Refusal, ResultCode
from agent.simulator.rows import Form, Table
from agent.simulator.validation import NotJson, check, decode, has_form

_MESSAGE_BYTES_MAXIMUM = 64 * 1024
_FIELD_BYTES_MAXIMUM = 4096
_FETCH_SECONDS = 30.0
_PREFIX = "/ACSMP"

Body = dict[str, Any]


class _Answered:
    """Turns what an operation returns or raises into the envelope of the standard."""

    def __init__(self, operation: Callable[..., Body]) -> None:
        self._operation = operation

    def __call__(self, request: falcon.Request, response: falcon.Response, **names: str) -> None:
        try:
            body = self._operation(request, **names)
            status = body.pop("_status", 200)
        except Refusal as refusal:
            status, body = (
                refusal.code.status,
                {"Code": int(refusal.code), "Message": refusal.message},
            )
        response.status = status
        response.content_type = "application/json"
        response.data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


class _Resource:
    """Is one path; falcon finds an operation for a method by its name."""

    def __init__(self, **operations: Callable[..., Body]) -> None:
        for method, operation in operations.items():
            setattr(self, f"on_{method}", _Answered(operation))


class WorkloadApi:
    """Serves packages, licences and services under the paths of the standard."""

    def __init__(
        self,
        *,
        shelf: PackageShelf,
        licences: LicenceShelf,
        workloads: DeviceWorkloads,
        events: EventLog,
        public_url: Callable[[], str],
        is_in_use: Callable[[str], bool],
        strict_extra: bool,
    ) -> None:
        self._shelf = shelf
        self._licences = licences
        self._workloads = workloads
        self._events = events
        self._public_url = public_url
        self._is_in_use = is_in_use
        self._strict_extra = strict_extra

    def add_routes(self, application: falcon.App[Any, Any]) -> None:
        """Put the paths into the control application."""
        packages, services = f"{_PREFIX}/AlgoFilePackages", f"{_PREFIX}/AlgoServices/Devices"
        one_package = _Resource(
            get=self._device_package, post=self._device_package, delete=self._delete_from_device
        )
        one_service = _Resource(get=self._service, post=self._service)
        for path, resource in {
            packages: _Resource(post=self._import),
            f"{packages}/Search": _Resource(post=self._search),
            f"{packages}/{{package_id}}": _Resource(get=self._detail, delete=self._delete),
            f"{packages}/Devices": _Resource(post=self._push),
            f"{packages}/Devices/Search": _Resource(post=self._device_packages),
            f"{packages}/Devices/{{code}}/{{package_id}}": one_package,
            services: _Resource(post=self._load),
            f"{services}/UnInstall": _Resource(post=self._unload),
            f"{services}/Search": _Resource(post=self._services),
            f"{services}/{{code}}/{{service_id}}": one_service,
            f"{_PREFIX}/License": _Resource(post=self._import_licence),
        }.items():
            application.add_route(path, resource)

    # The platform's own shelf

    def _import(self, request: falcon.Request) -> Body:
        if _is_multipart(request):
            package = self._import_upload(request)
        else:
            value = self._message(request, annex.PACKAGE_IMPORT)
            with _download(value["Url"]) as source:
                package = self._receive(source, value)
        problem = package.manifest.problem
        note = "" if problem is None else f"; {problem}"
        self._tell(f"package {package.package_id} imported, {package.size_bytes} bytes{note}")
        return _success(package.package_id)

    def _import_upload(self, request: falcon.Request) -> ShelvedPackage:
        # The fields that are known when the file begins are those that count; MD5 may follow it.
        fields: dict[str, str] = {}
        package: ShelvedPackage | None = None
        with _form_errors():
            for part in _form(request):
                if part.name == "File":
                    package = self._receive(part.stream, fields)
                elif part.name in ("MD5", "AlgoFilePackageID"):
                    fields[part.name] = part.stream.read(_FIELD_BYTES_MAXIMUM).decode().strip()
        if package is None:
            raise _violated("table A.1 row 1, File: is mandatory and missing")
        late_md5 = fields.get("MD5", package.md5)
        if late_md5.lower() != package.md5:
            self._shelf.delete(package.package_id)
            raise _violated(f"table A.1 row 3, MD5: is {late_md5[:40]}, not {package.md5}")
        return package

    def _receive(self, source: ByteSource, fields: Mapping[str, Any]) -> ShelvedPackage:
        package_id, md5 = fields.get("AlgoFilePackageID"), fields.get("MD5")
        if md5 is not None and not has_form(md5, Form.MD5):
            raise _violated(f"table A.1 row 3, MD5: must be {Form.MD5.value}")
        if package_id is not None and self._is_in_use(package_id):
            raise Refusal(
                f"a service of package {package_id} runs: unload it first (table 1)",
                code=ResultCode.PACKAGE_IN_USE,
            )
        try:
            return self._shelf.receive(source, md5=md5, package_id=package_id)
        except (OSError, http.client.HTTPException) as error:
            raise Refusal(f"the file did not come whole: {error}", code=ResultCode.NOT_JSON) from (
                error
            )

    def _search(self, request: falcon.Request) -> Body:
        value = self._message(request, annex.PACKAGE_SEARCH)
        return _success([_record(each) for each in self._shelf.packages() if _matches(each, value)])

    def _detail(self, _: falcon.Request, package_id: str) -> Body:
        return _success(_record(self._shelf.get(package_id)))

    def _delete(self, _: falcon.Request, package_id: str) -> Body:
        self._shelf.delete(package_id)
        self._tell(f"package {package_id} deleted from the platform")
        return _success()

    def _import_licence(self, request: falcon.Request) -> Body:
        if not _is_multipart(request):
            raise Refusal(
                "a licence comes as multipart/form-data (table E.1)",
                code=ResultCode.NOT_A_JSON_TYPE,
            )
        content, provider = None, ""
        with _form_errors():
            for part in _form(request):
                if part.name == "File":
                    content = part.stream.read(LICENCE_BYTES_MAXIMUM + 1)
                elif part.name == "Provider":
                    provider = part.stream.read(_FIELD_BYTES_MAXIMUM).decode().strip()
        if content is None:
            raise _violated("table E.1 row 4, File: is mandatory and missing")
        if not provider or len(provider) > 256:
            raise _violated("table E.1 row 2, Provider: must have 1 to 256 characters")
        licence = self._licences.add(content, provider=provider)
        self._tell(f"licence {licence.licence_id} imported, {len(content)} bytes")
        return _success(licence.licence_id)

    # Devices

    def _push(self, request: falcon.Request) -> Body:
        value = self._message(request, annex.PACKAGE_PUSH)
        upload = request.get_param_as_bool("upload", default=False)
        return _passed_on(self._workloads.push(value, upload=bool(upload)))

    def _device_packages(self, request: falcon.Request) -> Body:
        value = self._message(request, annex.DEVICE_PACKAGE_SEARCH)
        return _passed_on(self._workloads.packages(value))

    def _device_package(self, _: falcon.Request, code: str, package_id: str) -> Body:
        return _passed_on(self._workloads.package(code, package_id))

    def _delete_from_device(self, _: falcon.Request, code: str, package_id: str) -> Body:
        return _passed_on(self._workloads.delete_package(code, package_id))

    def _load(self, request: falcon.Request) -> Body:
        value = self._message(request, annex.SERVICE_INSTALL)
        return _passed_on(self._workloads.load(value))

    def _unload(self, request: falcon.Request) -> Body:
        value = self._message(request, annex.SERVICE_UNINSTALL)
        return _passed_on(self._workloads.unload(value))

    def _services(self, request: falcon.Request) -> Body:
        value = self._message(request, annex.SERVICE_SEARCH)
        return _passed_on(self._workloads.services(value))

    def _service(self, _: falcon.Request, code: str, service_id: str) -> Body:
        return _passed_on(self._workloads.service(code, service_id))

    def describe(self) -> Body:
        """Return the shelf, for the control endpoint."""
        base = self._public_url()
        return {
            "packages": [
                {
                    **_record(each),
                    "MD5": each.md5,
                    "size_bytes": each.size_bytes,
                    "url": f"{base}{PACKAGES_PATH}{each.package_id}",
                    "problem": each.manifest.problem,
                }
                for each in self._shelf.packages()
            ],
            "licences": [
                {
                    "ID": each.licence_id,
                    "Provider": each.provider,
                    "size_bytes": len(each.content),
                    "url": f"{base}{LICENCES_PATH}{each.licence_id}",
                }
                for each in self._licences.licences()
            ],
        }

    def _message(self, request: falcon.Request, table: Table) -> Mapping[str, Any]:
        body = request.bounded_stream.read(_MESSAGE_BYTES_MAXIMUM + 1)
        if len(body) > _MESSAGE_BYTES_MAXIMUM:
            raise Refusal(
                f"the body is longer than {_MESSAGE_BYTES_MAXIMUM} bytes", code=ResultCode.TOO_LARGE
            )
        try:
            checked = check(decode(body), table, strict_extra=self._strict_extra)
        except NotJson as error:
            raise Refusal(str(error), code=ResultCode.NOT_JSON) from error
        if not checked.accepted:
            raise Refusal(
                "; ".join(str(finding) for finding in checked.findings if finding.fatal),
                code=ResultCode.TABLE_VIOLATED,
                findings=checked.findings,
            )
        return checked.value

    def _tell(self, text: str) -> None:
        self._events.add(Event(kind=EventKind.CONTROL, text=text))


def _is_multipart(request: falcon.Request) -> bool:
    return (request.content_type or "").strip().lower().startswith("multipart/form-data")


def _form(request: falcon.Request) -> Any:
    return MultipartFormHandler().deserialize(
        request.bounded_stream, request.content_type, request.content_length
    )


@contextlib.contextmanager
def _form_errors() -> Iterator[None]:
    try:
        yield
    except falcon.HTTPError as error:
        reason = error.description or error.title
        raise Refusal(f"the form cannot be read: {reason}", code=ResultCode.NOT_JSON) from error
    except UnicodeDecodeError as error:
        raise Refusal("a field of the form is not UTF-8", code=ResultCode.NOT_JSON) from error


@contextlib.contextmanager
def _download(url: str) -> Iterator[ByteSource]:
    if not url.lower().startswith(("http://", "https://")):
        raise _violated("table A.1 row 2, Url: must begin with http:// or https://")
    try:
        with urllib.request.urlopen(url, timeout=_FETCH_SECONDS) as source:  # noqa: S310 - see above
            yield source
    except (urllib.error.URLError, http.client.HTTPException, ValueError) as error:
        raise Refusal(
            f"nothing came from the Url of table A.1: {error}", code=ResultCode.DEVICE_FAILED
        ) from error


def _passed_on(answer: DeviceAnswer) -> Body:
    return {**answer.body, "_status": answer.status}


def _success(data: Any = None) -> Body:
    body: Body = {"Code": 0, "Message": "success"}
    return body if data is None else {**body, "Data": data}


def _violated(message: str) -> Refusal:
    return Refusal(message, code=ResultCode.TABLE_VIOLATED)


def _record(package: ShelvedPackage) -> Body:
    """Return table A.5 of a package."""
    manifest = package.manifest
    record = {
        "AlgoFilePackageName": manifest.name,
        "AlgoFilePackageType": manifest.type,
        "AlgoFilePackageVersion": manifest.version,
        "AlgoFilePackageID": package.package_id,
        "CreatedDate": package.created_at,
    }
    return record if manifest.provider is None else {**record, "Provider": manifest.provider}


def _matches(package: ShelvedPackage, wanted: Mapping[str, Any]) -> bool:
    manifest = package.manifest
    given = {
        "AlgoFilePackageName": manifest.name,
        "AlgoFilePackageType": manifest.type,
        "AlgoFilePackageVersion": manifest.version,
        "Provider": manifest.provider,
    }
    if any(name in wanted and wanted[name] != value for name, value in given.items()):
        return False
    ids = wanted.get("AlgoFilePackageIDs")
    if ids is not None and package.package_id not in ids:
        return False
    # Times of one form compare as their texts do.
    first, last = wanted.get("CreateTimeFrom", ""), wanted.get("CreateTimeTo", "9")
    return bool(first[:19] <= package.created_at <= last)
