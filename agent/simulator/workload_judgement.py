"""What the tables of annex F let pass and a platform would stumble over; pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.simulator.tables_workloads import DOWNLOAD_FAILED, DOWNLOADED
from agent.simulator.validation import Finding

Record = Mapping[str, Any]

_OF_ALGO_YAML = ((1, "AlgoPackageName"), (2, "AlgoPackageType"), (3, "AlgoPackageVersion"))


def package_oddities(package: Record) -> list[Finding]:
    """Return what does not fit together in one table F.4.

    A package that is there without the words of its algo.yaml breaks the table.
    """
    status, progress = package.get("Status"), package.get("DownloadProgress")
    findings = []
    if status in (None, DOWNLOADED):
        findings += [
            Finding(table="F.4", row=row, field=field, problem="is mandatory and missing")
            for row, field in _OF_ALGO_YAML
            if field not in package
        ]
    if status == DOWNLOADED and progress is not None and progress != 1:
        findings.append(_package(7, "DownloadProgress", f"is {progress}, but Status is 3"))
    if status == DOWNLOAD_FAILED and not package.get("DownloadErrorMessage"):
        findings.append(_package(9, "DownloadErrorMessage", "says nothing, but Status is 2"))
    if status == DOWNLOADED and package.get("DownloadErrorMessage"):
        findings.append(_package(9, "DownloadErrorMessage", "says something, Status is 3"))
    return findings


def package_changes(before: Record | None, after: Record) -> list[Finding]:
    """Return what cannot have become of a package since it was last looked at."""
    if before is None or before.get("CreatedDate") != after.get("CreatedDate"):
        return []
    old, new = before.get("DownloadProgress"), after.get("DownloadProgress")
    same = before.get("Status") == after.get("Status")
    if same and old is not None and new is not None and new < old:
        return [_package(7, "DownloadProgress", f"fell from {old} to {new}")]
    return []


def page_oddities(page: Record, *, request: Record) -> tuple[Finding, ...]:
    """Return what does not add up in one table F.12 that answers a table F.10."""
    number, size = request.get("PageNumber", 1), request.get("PageSize", 10)
    findings = []
    for row, field, wanted in ((2, "PageNumber", number), (3, "PageSize", size)):
        given = page.get(field, wanted)
        if given != wanted:
            findings.append(_page(row, field, f"is {given}, asked for was {wanted}"))
    records, total = page["Records"], page.get("TotalSize")
    if len(records) > size:
        findings.append(_page(1, "Records", f"holds {len(records)}, a page holds {size}"))
    if total is not None and len(records) != min(size, max(0, total - (number - 1) * size)):
        findings.append(
            _page(4, "TotalSize", f"is {total}, but page {number} of {size} holds {len(records)}")
        )
    for row, field in ((2, "AlgoFilePackageID"), (3, "Status")):
        wanted = request.get(field)
        if wanted is not None and any(record.get(field) != wanted for record in records):
            findings.append(
                Finding(
                    table="F.13",
                    row=row,
                    field=field,
                    problem=f"is not the {wanted} that was asked for",
                    fatal=False,
                )
            )
    findings.extend(_twice(records))
    return tuple(findings)


def monitor_oddities(
    monitors: Iterable[Record], *, before: Mapping[str, Record], after: Mapping[str, Record]
) -> list[Finding]:
    """Return where AlgoServiceMonitors of annex G and the list of services disagree.

    The monitors were read between `before` and `after`, so only what stands in neither list, or
    runs in both, is certain.
    """
    findings = []
    seen = set()
    for monitor in monitors:
        service_id = monitor.get("AlgoServiceID")
        seen.add(service_id)
        service = after.get(str(service_id)) or before.get(str(service_id))
        if service is None:
            findings.append(
                _monitor("AlgoServiceID", f"is {str(service_id)[:60]}, no service has that id")
            )
        elif monitor.get("AlgoFilePackageID") not in (None, service.get("AlgoFilePackageID")):
            findings.append(_monitor("AlgoFilePackageID", "is not the one of the service"))
    findings.extend(
        _monitor("AlgoServiceID", f"is missing for {service_id}, which runs")
        for service_id, service in after.items()
        if service.get("Status") == "RUNNING"
        and before.get(service_id, {}).get("Status") == "RUNNING"
        and service_id not in seen
    )
    return findings


def _twice(records: Sequence[Record]) -> list[Finding]:
    ids = [record.get("AlgoServiceID") for record in records]
    if len(set(ids)) == len(ids):
        return []
    return [
        Finding(
            table="F.13",
            row=1,
            field="AlgoServiceID",
            problem="stands twice on a page",
            fatal=False,
        )
    ]


def _package(row: int, field: str, problem: str) -> Finding:
    return Finding(table="F.4", row=row, field=field, problem=problem, fatal=False)


def _page(row: int, field: str, problem: str) -> Finding:
    return Finding(table="F.12", row=row, field=field, problem=problem, fatal=False)


def _monitor(field: str, problem: str) -> Finding:
    return Finding(
        table="G example AlgoServiceMonitors", row=None, field=field, problem=problem, fatal=False
    )
