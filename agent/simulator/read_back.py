"""Reads the devices back: calls each registered device's own API and judges what it says."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from agent.simulator import tables
from agent.simulator.device_client import DeviceClient, DeviceFailure
from agent.simulator.events import Event, EventKind, EventLog
from agent.simulator.registry import Registry
from agent.simulator.store import Node, ReadBack
from agent.simulator.validation import Finding, check
from agent.simulator.workload_watch import WorkloadWatch

_logger = logging.getLogger(__name__)

_PARALLEL_MAXIMUM = 64
_PAGE_SIZE = 10


class DeviceReader:
    """Polls every node each `period_seconds`, each in a thread of its own.

    So a device that hangs costs no other its turn; of one device there is one call at a time.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        events: EventLog,
        client: DeviceClient,
        period_seconds: float,
        now: Callable[[], str],
        strict_extra: bool,
        workloads: WorkloadWatch,
    ) -> None:
        self._workloads = workloads
        self._registry = registry
        self._events = events
        self._client = client
        self._period_seconds = period_seconds
        self._now = now
        self._strict_extra = strict_extra
        self._lock = threading.Lock()
        self._in_flight: dict[str, threading.Thread] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulator-read-back", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def poll_soon(self) -> None:
        """Begin the next round at once; a node that has just registered wants it."""
        self._wake.set()

    def stop(self, *, timeout_seconds: float) -> None:
        """End, waiting at most this long for calls that are under way."""
        deadline = time.monotonic() + timeout_seconds
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        with self._lock:
            left = list(self._in_flight.values())
        for thread in left:
            thread.join(max(0.0, deadline - time.monotonic()))

    def read(self, node: Node) -> None:
        """Read one device now, and keep and log what came of it."""
        before = node.read_back
        attempt = replace(before, attempts=before.attempts + 1)
        try:
            content, findings = self._ask(node)
        except DeviceFailure as failure:
            after = replace(attempt, failure=str(failure), findings=())
            found: tuple[Finding, ...] = ()
        else:
            found = findings
            after = ReadBack(
                content=content,
                taken_at=self._now(),
                attempts=attempt.attempts,
                successes=attempt.successes + 1,
                findings=tuple(str(finding) for finding in findings),
            )
        if self._stopping.is_set():
            return
        self._registry.note_read_back(node, after)
        if (before.successes > 0) != (after.successes > 0) or (
            (before.failure, before.findings) != (after.failure, after.findings)
        ):
            self._tell(node, after, findings=found)

    def _run(self) -> None:
        while not self._stopping.is_set():
            for node in self._registry.nodes():
                self._begin(node)
            self._wake.wait(self._period_seconds)
            self._wake.clear()

    def _begin(self, node: Node) -> None:
        with self._lock:
            if node.code in self._in_flight or len(self._in_flight) >= _PARALLEL_MAXIMUM:
                return
            thread = threading.Thread(
                target=self._read_and_leave,
                args=(node,),
                name=f"simulator-read-{node.code[-6:]}",
                daemon=True,
            )
            self._in_flight[node.code] = thread
            thread.start()

    def _read_and_leave(self, node: Node) -> None:
        try:
            self.read(node)
            self._read_workloads(node)
        except Exception:
            _logger.exception("read-back failed code=%s", node.code)
        finally:
            with self._lock:
                self._in_flight.pop(node.code, None)

    def _read_workloads(self, node: Node) -> None:
        if self._stopping.is_set():
            return
        # What was kept just now; nothing of an old answer is held against new services.
        current = next((each for each in self._registry.nodes() if each.code == node.code), None)
        if current is None or current.read_back.failure is not None:
            self._workloads.read(node, None)
        else:
            self._workloads.read(node, current.read_back.content)

    def _ask(self, node: Node) -> tuple[list[Any], tuple[Finding, ...]]:
        answer = self._client.computility(
            address=node.address,
            port=node.port,
            username=node.username,
            password=node.password,
            message={
                "ComputilityCode": node.code,
                "PageRequest": {"PageNumber": 1, "PageSize": _PAGE_SIZE},
            },
        )
        result = answer.get("Code") if isinstance(answer, dict) else None
        if isinstance(result, int) and result != 0:
            message = str(answer.get("Message"))[:120]
            raise DeviceFailure(f"answered HTTP 200 with Code {result}: {message!r}")
        checked = check(answer, tables.COMPUTILITY_LIST_RESPONSE, strict_extra=self._strict_extra)
        if not checked.accepted:
            fatal = "; ".join(str(finding) for finding in checked.findings if finding.fatal)
            raise DeviceFailure(f"broke the tables: {fatal[:1000]}")
        page = checked.value["Data"]
        return page["PageContent"], (*checked.findings, *_oddities(node, page))

    def _tell(self, node: Node, read_back: ReadBack, *, findings: tuple[Finding, ...]) -> None:
        if read_back.failure is not None:
            text = f"read back {node.code} FAILED: {read_back.failure}"
        else:
            text = f"read back {node.code}: {describe(read_back)}"
        self._events.add(
            Event(
                kind=EventKind.READ_BACK,
                code=node.code,
                accepted=read_back.failure is None,
                text=text,
                findings=findings,
            )
        )


def describe(read_back: ReadBack) -> str:
    """Return the figures of a read-back in one line."""
    parts = [
        _describe_device(device)
        for info in read_back.content or ()
        for device in info["DeviceInfos"]
    ]
    return "; ".join(parts) or "no device"


def _describe_device(device: dict[str, Any]) -> str:
    name = repr(str(device.get("HostName", device.get("DeviceID", "?")))[:60])[1:-1]
    return (
        f"{name}: {_figure(device.get('Cpu'))} cores {_percent(device.get('CpuUtilization'))}, "
        f"memory {_figure(device.get('MemoryUsed'))} of {_figure(device.get('Memory'))} GiB, "
        f"disks {_figure(device.get('DiskUsed'))} of {_figure(device.get('Disk'))} GiB, "
        f"{len(device.get('XpuMonitors', ()))} accelerators"
    )


def _figure(value: float | None) -> str:
    return "?" if value is None else f"{value:.4g}"


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{value:.0%}"


def _oddities(node: Node, page: dict[str, Any]) -> list[Finding]:
    """Return what the tables let pass and a platform would stumble over."""
    content = page["PageContent"]
    findings = []
    if not any(info["DeviceInfos"] for info in content):
        findings.append(_note("G.4", 2, "DeviceInfos", "holds no device"))
    if page["Total"] != len(content) and page["Total"] <= _PAGE_SIZE:
        findings.append(
            _note("G.3", 3, "Total", f"is {page['Total']}, but {len(content)} entries came")
        )
    for info in content:
        other = info.get("ComputilityCode", node.code)
        if other != node.code:
            findings.append(
                _note("G.4", 1, "ComputilityCode", f"is {other}, {node.code} was asked for")
            )
        for device in info["DeviceInfos"]:
            findings.extend(_more_used_than_there(device))
    return findings


def _more_used_than_there(device: dict[str, Any]) -> list[Finding]:
    places = [("", device)]
    places += [("DiskDetails.", each) for each in device.get("DiskDetails", ())]
    places += [("XpuMonitors.", each) for each in device.get("XpuMonitors", ())]
    return [
        _note("G example", None, f"{place}{whole}Used", f"is more than {whole}")
        for place, holder in places
        for whole in ("Memory", "Disk", "XpuMemory")
        if whole in holder and holder.get(f"{whole}Used", 0) > holder[whole]
    ]


def _note(table: str, row: int | None, field: str, problem: str) -> Finding:
    return Finding(table=table, row=row, field=field, problem=problem, fatal=False)
