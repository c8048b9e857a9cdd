"""Algorithm packages on the device API (T/BAX 0006.5, F.1 to F.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any, BinaryIO, Protocol

import falcon

from agent.model.workloads import Digests, Package
from agent.protocols.acsmp import multipart, requests, wire_packages
from agent.protocols.acsmp.tolerant import WireError
from agent.protocols.acsmp.wire_packages import PushRequest
from agent.workloads.packages import PackagePush

_EXPECTED = (
    "expected the package: its address in Url, with its MD5, or the file itself in the part File "
    "of multipart/form-data (table A.1)"
)


class Packages(Protocol):
    """Is what keeps the packages of this node; see agent/workloads/packages.py."""

    def push(self, push: PackagePush) -> None:
        """Note that a package is to be fetched."""

    def receive(self, package_id: str, *, file: BinaryIO, digests: Digests) -> None:
        """Take a package; returns when it is whole, verified and in force."""

    def delete(self, package_id: str) -> None:
        """Remove a package."""

    def get(self, package_id: str) -> Package:
        """Return a package."""

    def list(self) -> Sequence[Package]:
        """Return every package, oldest first."""


class PackageApi:
    """Holds the handlers of the routes about packages; safe in every thread."""

    def __init__(self, packages: Packages, *, zone: tzinfo) -> None:
        self._packages = packages
        self._zone = zone

    def push(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer AlgoFilePackageRequest (F.1) once it is noted, or once its file is verified."""
        if multipart.is_form(request.content_type):
            self._take_form(request)
        else:
            self._push(request, wire_packages.decode_push(requests.fields(request)))
        requests.answer_success(response)

    def search(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer AlgoPackageListRequest (F.3)."""
        query = wire_packages.decode_package_query(requests.fields(request))
        requests.check_code(request, query.computility_code)
        requests.answer_data(
            response,
            [
                wire_packages.device_package(package, zone=self._zone)
                for package in self._packages.list()
                if query.state in (None, package.state)
            ],
        )

    def show(
        self, request: falcon.Request, response: falcon.Response, *, code: str, package_id: str
    ) -> None:
        """Answer with one package (F.4)."""
        requests.check_code(request, code)
        package = self._packages.get(_id(package_id))
        requests.answer_data(response, wire_packages.device_package(package, zone=self._zone))

    def delete(
        self, request: falcon.Request, response: falcon.Response, *, code: str, package_id: str
    ) -> None:
        """Remove a package (F.2)."""
        requests.check_code(request, code)
        self._packages.delete(_id(package_id))
        requests.answer_success(response)

    def _take_form(self, request: falcon.Request) -> None:
        form = multipart.read_form(
            request.env["wsgi.input"],
            content_type=request.content_type or "",
            file_field=wire_packages.FILE_FIELD,
        )
        fields: Mapping[str, Any] = {**request.params, **form.fields}
        push = wire_packages.decode_push(fields)
        if form.file is None:
            self._push(request, push)
            return
        requests.check_code(request, push.computility_code)
        if push.url is not None:
            raise WireError("there are both File and Url: send one of them (table A.1)")
        self._packages.receive(push.package_id, file=form.file, digests=push.digests)

    def _push(self, request: falcon.Request, push: PushRequest) -> None:
        requests.check_code(request, push.computility_code)
        if push.url is None:
            raise WireError(_EXPECTED, field="Url")
        self._packages.push(
            PackagePush(package_id=push.package_id, url=push.url, digests=push.digests)
        )


def _id(package_id: str) -> str:
    return wire_packages.checked_id(package_id, field="AlgoFilePackageID")
