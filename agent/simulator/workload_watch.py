"""Follows packages and services of devices: asks F.3 and F.7 again and tells what changed."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agent.simulator.device_calls import DeviceAnswer, DeviceCalls
from agent.simulator.device_client import DeviceFailure
from agent.simulator.events import Event, EventKind, EventLog
from agent.simulator.store import Node
from agent.simulator.validation import Finding
from agent.simulator.workload_judgement import monitor_oddities, package_changes

_PAGE_SIZE = 10
_PAGES_MAXIMUM = 100
_STATES = {1: "downloading", 2: "FAILED", 3: "downloaded"}

Records = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Is what a device last said of its packages and services, each by its id.

    `failure` says why the newest attempt gave nothing, None where it did.
    """

    packages: Records = field(default_factory=dict)
    services: Records = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    failure: str | None = None


class WorkloadWatch:
    """Reads the devices that have packages or services; safe in every thread.

    A device is followed from the first thing that was asked of it until it says that it has
    nothing any more. Of one device there is one reading at a time (DeviceReader sees to that).
    """

    def __init__(self, calls: DeviceCalls, events: EventLog) -> None:
        self._calls = calls
        self._events = events
        self._lock = threading.Lock()
        self._seen: dict[str, Seen] = {}
        self._touched: set[str] = set()

    def touch(self, code: str) -> None:
        """Follow a device from now on."""
        with self._lock:
            self._touched.add(code)

    def seen(self, code: str) -> Seen | None:
        """Return what was last seen on a device; None where it is not followed."""
        with self._lock:
            return self._seen.get(code)

    def uses(self, package_id: str) -> bool:
        """Tell whether a service of this package was last seen on any device."""
        with self._lock:
            return any(
                service.get("AlgoFilePackageID") == package_id
                for seen in self._seen.values()
                for service in seen.services.values()
            )

    def read(self, node: Node, content: Sequence[Any] | None) -> None:
        """Read a device that is followed; `content` is what annex G has just said of it."""
        with self._lock:
            touched = node.code in self._touched
            self._touched.discard(node.code)
            before = self._seen.get(node.code)
        if not touched and before is None:
            return
        known = before or Seen()
        try:
            packages, package_findings = self._packages(node, known)
            services, service_findings = self._services(node)
        except DeviceFailure as failure:
            after = replace(known, failure=str(failure), findings=())
            found: list[Finding] = []
        else:
            found = [*package_findings, *service_findings]
            if content is not None and before is not None and before.failure is None:
                monitors = _monitors(content)
                found += monitor_oddities(monitors, before=known.services, after=services)
            after = Seen(
                packages=packages,
                services=services,
                findings=tuple(str(finding) for finding in found),
            )
        self._tell(node, known, after, findings=found)
        with self._lock:
            if after.packages or after.services or after.failure is not None:
                self._seen[node.code] = after
            else:
                self._seen.pop(node.code, None)

    def _packages(self, node: Node, known: Seen) -> tuple[Records, list[Finding]]:
        answer = _demand(self._calls.packages(node), "list of packages")
        packages = {record["AlgoFilePackageID"]: record for record in answer.data}
        findings = list(answer.findings)
        if len(packages) != len(answer.data):
            findings.append(_twice("F.4", 4, "AlgoFilePackageID"))
        for package_id, record in packages.items():
            findings += package_changes(known.packages.get(package_id), record)
        return packages, findings

    def _services(self, node: Node) -> tuple[Records, list[Finding]]:
        services: dict[str, Mapping[str, Any]] = {}
        findings: list[Finding] = []
        for number in range(1, _PAGES_MAXIMUM + 1):
            message = {
                "ComputilityCode": node.code,
                "PageNumber": number,
                "PageSize": _PAGE_SIZE,
            }
            answer = _demand(self._calls.services(node, message), "list of services")
            findings += answer.findings
            records = answer.data["Records"]
            if any(record["AlgoServiceID"] in services for record in records):
                findings.append(_twice("F.13", 1, "AlgoServiceID"))
            services.update({record["AlgoServiceID"]: record for record in records})
            if len(records) < _PAGE_SIZE:
                break
        return services, findings

    def _tell(self, node: Node, before: Seen, after: Seen, *, findings: list[Finding]) -> None:
        if after.failure is not None:
            if after.failure != before.failure:
                text = f"packages and services of {node.code} not read: {after.failure}"
                self._add(EventKind.PACKAGE, node, text, accepted=False)
            return
        for package_id, text, details in _package_changes(before.packages, after.packages):
            self._add(
                EventKind.PACKAGE,
                node,
                f"package {package_id} on {node.code}: {text}",
                details={"package_id": package_id, **details},
            )
        for service_id, text, details in _service_changes(before.services, after.services):
            self._add(
                EventKind.SERVICE,
                node,
                f"service {service_id} on {node.code}: {text}",
                details={"service_id": service_id, **details},
            )
        if findings and after.findings != before.findings:
            text = f"packages and services of {node.code}: {len(findings)} findings"
            self._add(EventKind.PACKAGE, node, text, findings=tuple(findings))

    def _add(
        self,
        kind: EventKind,
        node: Node,
        text: str,
        *,
        accepted: bool = True,
        findings: tuple[Finding, ...] = (),
        details: dict[str, Any] | None = None,
    ) -> None:
        self._events.add(
            Event(
                kind=kind,
                code=node.code,
                accepted=accepted,
                text=text,
                findings=findings,
                details={"read_back": True, **(details or {})},
            )
        )


def seen_as_json(seen: Seen | None) -> dict[str, Any] | None:
    """Return what was seen on a device, for the control endpoint."""
    if seen is None:
        return None
    return {
        "packages": list(seen.packages.values()),
        "services": list(seen.services.values()),
        "findings": list(seen.findings),
        "failure": seen.failure,
    }


Change = tuple[str, str, dict[str, Any]]


def _package_changes(before: Records, after: Records) -> list[Change]:
    changes: list[Change] = []
    for package_id, record in after.items():
        names = ("Status", "DownloadProgress", "DownloadErrorMessage")
        status, progress, error = (record.get(name) for name in names)
        old = before.get(package_id)
        if old is not None and [old.get(name) for name in names] == [status, progress, error]:
            continue
        text = _STATES.get(status or 0, "no status")
        if status == 1 and progress is not None:
            text += f" {progress:.0%}"
        if error:
            text += f", {str(error)[:256]!r}"
        changes.append((package_id, text, {"status": status, "progress": progress, "error": error}))
    changes += [
        (package_id, "gone", {"status": None}) for package_id in before if package_id not in after
    ]
    return changes


def _service_changes(before: Records, after: Records) -> list[Change]:
    changes: list[Change] = []
    for service_id, record in after.items():
        status = record["Status"]
        if before.get(service_id, {}).get("Status") == status:
            continue
        details = {"status": status, "package_id": record["AlgoFilePackageID"]}
        changes.append((service_id, str(status), details))
    changes += [
        (service_id, "gone", {"status": None}) for service_id in before if service_id not in after
    ]
    return changes


def _demand(answer: DeviceAnswer, what: str) -> DeviceAnswer:
    if answer.breaks_tables:
        fatal = "; ".join(str(finding) for finding in answer.findings if finding.fatal)
        raise DeviceFailure(f"{what} broke the tables: {fatal[:1000]}")
    if not answer.is_success:
        message = str(answer.body.get("Message"))[:120]
        raise DeviceFailure(f"{what} was refused with HTTP {answer.status}: {message!r}")
    return answer


def _monitors(content: Sequence[Any]) -> list[Mapping[str, Any]]:
    return [
        monitor
        for info in content
        for device in info.get("DeviceInfos", ())
        for monitor in device.get("AlgoServiceMonitors", ())
    ]


def _twice(table: str, row: int, name: str) -> Finding:
    return Finding(
        table=table, row=row, field=name, problem="stands twice in the list", fatal=False
    )
