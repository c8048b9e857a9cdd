"""Annex F as the platform does it: finds node and package, asks the device, logs what it said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.simulator.device_calls import DeviceAnswer, DeviceCalls, PackageSource
from agent.simulator.device_client import DeviceFailure
from agent.simulator.events import Event, EventKind, EventLog
from agent.simulator.misbehaviour import PACKAGES_PATH
from agent.simulator.package_shelf import PackageShelf
from agent.simulator.reachable_url import url_towards
from agent.simulator.refusal import Refusal, ResultCode
from agent.simulator.registry import Registry
from agent.simulator.store import Node


class DeviceWorkloads:
    """Carries packages and services to registered devices; safe in every thread.

    `public_url` is where devices reach the platform. `on_touched` gets the code of each device
    that was asked for something, and must not block.
    Every method raises Refusal where the platform itself cannot do it, or where the device gave no
    answer that could be judged; a device that says no is an answer.
    """

    def __init__(
        self,
        *,
        shelf: PackageShelf,
        registry: Registry,
        calls: DeviceCalls,
        events: EventLog,
        public_url: Callable[[], str],
        on_touched: Callable[[str], None],
    ) -> None:
        self._shelf = shelf
        self._registry = registry
        self._calls = calls
        self._events = events
        self._public_url = public_url
        self._on_touched = on_touched

    def push(self, message: Mapping[str, Any], *, upload: bool = False) -> DeviceAnswer:
        """Send a package to a device, by address or as an upload (F.1)."""
        node = self._registry.node(message["ComputilityCode"])
        package = self._shelf.get(message["AlgoFilePackageID"])
        base = url_towards(self._public_url(), device_address=node.address)
        source = PackageSource(
            package_id=package.package_id,
            url=f"{base}{PACKAGES_PATH}{package.package_id}",
            md5=package.md5,
            path=package.path,
            size_bytes=package.size_bytes,
        )
        call = self._calls.upload if upload else self._calls.push
        what = f"{'upload' if upload else 'push'} of package {package.package_id}"
        return self._ask(node, lambda: call(node, source), what=what, kind=EventKind.PACKAGE)

    def delete_package(self, code: str, package_id: str) -> DeviceAnswer:
        """Remove a package from a device (F.2)."""
        node = self._registry.node(code)
        return self._ask(
            node,
            lambda: self._calls.delete_package(node, package_id),
            what=f"deletion of package {package_id[:40]}",
            kind=EventKind.PACKAGE,
        )

    def packages(self, message: Mapping[str, Any]) -> DeviceAnswer:
        """List the packages of a device (F.3)."""
        node = self._registry.node(message["ComputilityCode"])
        return self._ask(
            node,
            lambda: self._calls.packages(node, status=message.get("Status")),
            what="list of packages",
            kind=EventKind.PACKAGE,
        )

    def package(self, code: str, package_id: str) -> DeviceAnswer:
        """Tell of one package of a device (F.4)."""
        node = self._registry.node(code)
        return self._ask(
            node,
            lambda: self._calls.package(node, package_id),
            what=f"package {package_id[:40]}",
            kind=EventKind.PACKAGE,
        )

    def load(self, message: Mapping[str, Any]) -> DeviceAnswer:
        """Load a service on a device (F.5)."""
        node = self._registry.node(message["ComputilityCode"])
        return self._ask(
            node,
            lambda: self._calls.load(node, message),
            what=f"load of package {message['AlgoFilePackageID']}",
            kind=EventKind.SERVICE,
        )

    def unload(self, message: Mapping[str, Any]) -> DeviceAnswer:
        """Unload one service of a package, or all of them (F.6)."""
        node = self._registry.node(message["ComputilityCode"])
        one = message.get("AlgoServiceID")
        what = f"all services of {message['AlgoFilePackageID']}" if one is None else f"{one[:128]}"
        return self._ask(
            node,
            lambda: self._calls.unload(node, message),
            what=f"unload of {what}",
            kind=EventKind.SERVICE,
        )

    def services(self, message: Mapping[str, Any]) -> DeviceAnswer:
        """List services of a device (F.7)."""
        node = self._registry.node(message["ComputilityCode"])
        return self._ask(
            node,
            lambda: self._calls.services(node, message),
            what="list of services",
            kind=EventKind.SERVICE,
        )

    def service(self, code: str, service_id: str) -> DeviceAnswer:
        """Tell of one service of a device (F.8)."""
        node = self._registry.node(code)
        return self._ask(
            node,
            lambda: self._calls.service(node, service_id),
            what=f"service {service_id[:128]}",
            kind=EventKind.SERVICE,
        )

    def _ask(
        self, node: Node, call: Callable[[], DeviceAnswer], *, what: str, kind: EventKind
    ) -> DeviceAnswer:
        # Before the call: a device that answers late, or never, may have begun all the same.
        self._on_touched(node.code)
        try:
            answer = call()
        except (DeviceFailure, OSError) as failure:
            self._tell(node, kind, f"{what} FAILED on {node.code}: {failure}", answer=None)
            raise Refusal(f"{node.code} {failure}", code=ResultCode.DEVICE_FAILED) from failure
        if answer.breaks_tables:
            fatal = "; ".join(str(finding) for finding in answer.findings if finding.fatal)
            text = f"{what}: {node.code} broke the tables: {fatal[:1000]}"
        elif not answer.is_success:
            text = f"{what} refused by {node.code}: {str(answer.body.get('Message'))[:300]!r}"
        else:
            text = f"{what}: {node.code} says yes"
        self._tell(node, kind, text, answer=answer)
        self._on_touched(node.code)
        if answer.breaks_tables:
            raise Refusal(text, code=ResultCode.DEVICE_FAILED, findings=answer.findings)
        return answer

    def _tell(self, node: Node, kind: EventKind, text: str, *, answer: DeviceAnswer | None) -> None:
        code = None if answer is None else answer.body.get("Code")
        self._events.add(
            Event(
                kind=kind,
                code=node.code,
                accepted=answer is not None and answer.is_success,
                status=None if answer is None else answer.status,
                result_code=code if isinstance(code, int) else None,
                text=text,
                findings=() if answer is None else answer.findings,
            )
        )
