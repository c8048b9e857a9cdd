"""The device's side of annex F as the platform calls it, each answer judged by the tables."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agent.simulator import tables
from agent.simulator import tables_workloads as annex
from agent.simulator.device_client import Call, Device, DeviceClient, DeviceFailure
from agent.simulator.rows import Table
from agent.simulator.store import Node
from agent.simulator.validation import Finding, check
from agent.simulator.workload_judgement import package_oddities, page_oddities

_CHUNK_BYTES = 256 * 1024
_UPLOAD_SECONDS = 3600.0
_PACKAGES = "/AlgoFilePackages/Devices"
_SERVICES = "/AlgoServices/Devices"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAnswer:
    """Is what a device answered: HTTP status, body, and what was found in it.

    `is_success` says that it did what it was asked to; `breaks_tables` that nothing can be made of
    the answer.
    """

    status: int
    body: Mapping[str, Any]
    findings: tuple[Finding, ...]
    is_success: bool
    breaks_tables: bool

    @property
    def data(self) -> Any:
        """Return `Data`, with the table's own spellings; None where there is none."""
        return self.body.get("Data")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSource:
    """Is a package on its way to a device: where it lies, for the device and for us."""

    package_id: str
    url: str
    md5: str
    path: Path
    size_bytes: int


class DeviceCalls:
    """Calls the operations of annex F on devices; safe in every thread.

    Every method raises DeviceFailure where no answer came that could be judged.
    """

    def __init__(self, client: DeviceClient, *, strict_extra: bool) -> None:
        self._client = client
        self._strict_extra = strict_extra

    def push(self, node: Node, source: PackageSource) -> DeviceAnswer:
        """Tell a device where to fetch a package (F.1, with the address and sum of table A.1)."""
        message = {
            "AlgoFilePackageID": source.package_id,
            "ComputilityCode": node.code,
            "Url": source.url,
            "MD5": source.md5,
        }
        return self._post(node, _PACKAGES, message, table=tables.EMPTY_RESPONSE)

    def upload(self, node: Node, source: PackageSource) -> DeviceAnswer:
        """Send a package to a device as multipart/form-data (F.1 in the manner of A.1)."""
        boundary = f"----simulator{secrets.token_hex(12)}"
        fields = {
            "AlgoFilePackageID": source.package_id,
            "ComputilityCode": node.code,
            "MD5": source.md5,
        }
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        head += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="File"; '
            f'filename="{source.package_id}.tar"\r\nContent-Type: application/x-tar\r\n\r\n'
        )
        tail = f"\r\n--{boundary}--\r\n".encode()
        return self._judge(
            node,
            Call(
                method="POST",
                path=_PACKAGES,
                body=_pieces(head.encode(), source.path, source.size_bytes, tail),
                content_type=f"multipart/form-data; boundary={boundary}",
                length_bytes=len(head.encode()) + source.size_bytes + len(tail),
                timeout_seconds=_UPLOAD_SECONDS,
            ),
            table=tables.EMPTY_RESPONSE,
        )

    def delete_package(self, node: Node, package_id: str) -> DeviceAnswer:
        """Remove a package from a device (F.2)."""
        return self._judge(
            node,
            Call(method="DELETE", path=_place(_PACKAGES, node, package_id)),
            table=tables.EMPTY_RESPONSE,
        )

    def packages(self, node: Node, *, status: int | None = None) -> DeviceAnswer:
        """List the packages of a device (F.3)."""
        message: dict[str, Any] = {"ComputilityCode": node.code}
        if status is not None:
            message["Status"] = status
        return self._post(node, f"{_PACKAGES}/Search", message, table=annex.DEVICE_PACKAGE_LIST)

    def package(self, node: Node, package_id: str) -> DeviceAnswer:
        """Tell of one package of a device (F.4; table 10 prints POST)."""
        return self._judge(
            node,
            Call(method="POST", path=_place(_PACKAGES, node, package_id), body=b"{}"),
            table=annex.DEVICE_PACKAGE_DETAIL,
        )

    def load(self, node: Node, message: Mapping[str, Any]) -> DeviceAnswer:
        """Load a service on a device (F.5); `message` is an accepted table F.6."""
        return self._post(node, _SERVICES, message, table=annex.SERVICE_INSTALL_RESPONSE)

    def unload(self, node: Node, message: Mapping[str, Any]) -> DeviceAnswer:
        """Unload services of a device (F.6); `message` is an accepted table F.9."""
        return self._post(node, f"{_SERVICES}/UnInstall", message, table=tables.EMPTY_RESPONSE)

    def services(self, node: Node, message: Mapping[str, Any]) -> DeviceAnswer:
        """List services of a device (F.7); `message` is an accepted table F.10."""
        answer = self._post(node, f"{_SERVICES}/Search", message, table=annex.SERVICE_LIST)
        if not answer.is_success:
            return answer
        return _with(answer, page_oddities(answer.data, request=message))

    def service(self, node: Node, service_id: str) -> DeviceAnswer:
        """Tell of one service of a device (F.8)."""
        return self._judge(
            node,
            Call(method="GET", path=_place(_SERVICES, node, service_id)),
            table=annex.SERVICE_DETAIL,
        )

    def _post(
        self, node: Node, path: str, message: Mapping[str, Any], *, table: Table
    ) -> DeviceAnswer:
        body = json.dumps(dict(message), ensure_ascii=False).encode("utf-8", "replace")
        return self._judge(node, Call(method="POST", path=path, body=body), table=table)

    def _judge(self, node: Node, call: Call, *, table: Table) -> DeviceAnswer:
        device = Device(
            address=node.address, port=node.port, username=node.username, password=node.password
        )
        status, body = self._client.call(device, call)
        if not isinstance(body, dict):
            raise DeviceFailure(f"answered HTTP {status} with JSON that is no object")
        is_refusal = status >= 300 or body.get("Code", 0) != 0
        checked = check(
            body,
            tables.EMPTY_RESPONSE if is_refusal else table,
            strict_extra=self._strict_extra and not is_refusal,
        )
        findings = list(checked.findings)
        if not is_refusal and checked.accepted:
            findings += _odd_packages(table, checked.value.get("Data"))
        if is_refusal and status >= 300 and body.get("Code") == 0:
            findings.append(
                Finding(
                    table="A.2", row=1, field="Code", problem=f"is 0, but the HTTP status {status}"
                )
            )
        broken = any(finding.fatal for finding in findings)
        return DeviceAnswer(
            status=status,
            body=body if is_refusal or broken else checked.value,
            findings=tuple(findings),
            is_success=not is_refusal and not broken,
            breaks_tables=broken,
        )


def _odd_packages(table: Table, data: Any) -> tuple[Finding, ...]:
    if table is annex.DEVICE_PACKAGE_LIST:
        records = data
    elif table is annex.DEVICE_PACKAGE_DETAIL:
        records = [data]
    else:
        return ()
    return tuple(finding for record in records for finding in package_oddities(record))


def _with(answer: DeviceAnswer, findings: tuple[Finding, ...]) -> DeviceAnswer:
    return DeviceAnswer(
        status=answer.status,
        body=answer.body,
        findings=(*answer.findings, *findings),
        is_success=answer.is_success,
        breaks_tables=answer.breaks_tables,
    )


def _place(collection: str, node: Node, identifier: str) -> str:
    return f"{collection}/{node.code}/{quote(identifier, safe='')}"


def _pieces(head: bytes, path: Path, size_bytes: int, tail: bytes) -> Iterator[bytes]:
    yield head
    left = size_bytes
    with path.open("rb") as file:
        while left and (chunk := file.read(min(_CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk
    yield tail
