"""The parts of the platform that have to do with packages and services, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.simulator.device_calls import DeviceAnswer, DeviceCalls
from agent.simulator.device_client import DeviceClient
from agent.simulator.device_workloads import DeviceWorkloads
from agent.simulator.downloads import Downloads
from agent.simulator.events import EventLog
from agent.simulator.file_body import Stopping
from agent.simulator.licence_shelf import LicenceShelf
from agent.simulator.misbehaviour import LICENCES_PATH
from agent.simulator.package_shelf import PackageShelf
from agent.simulator.refusal import Refusal, ResultCode
from agent.simulator.registry import Clocks, Registry
from agent.simulator.workload_api import WorkloadApi
from agent.simulator.workload_watch import WorkloadWatch

_PAGE_SIZE = 100


class WorkloadSide:
    """Holds shelf, downloads, annex F and its read-back; safe in every thread.

    `watch` follows the devices, `downloads` belongs to the platform's listener and `api` to the
    control endpoint. The methods are for programs that run the simulator in themselves; they raise
    Refusal where the platform or the device says no.

    Raises:
        PermanentError: the folder of packages cannot be used.
    """

    def __init__(
        self,
        *,
        packages_folder: Path | None,
        registry: Registry,
        events: EventLog,
        client: DeviceClient,
        clocks: Clocks,
        public_url: Callable[[], str],
        strict_extra: bool,
        stopping: Stopping,
    ) -> None:
        calls = DeviceCalls(client, strict_extra=strict_extra)
        self._shelf = PackageShelf(packages_folder, now=clocks.now)
        self._licences = LicenceShelf()
        self._public_url = public_url
        self.watch = WorkloadWatch(calls, events)
        self._workloads = DeviceWorkloads(
            shelf=self._shelf,
            registry=registry,
            calls=calls,
            events=events,
            public_url=public_url,
            on_touched=self.watch.touch,
        )
        self.downloads = Downloads(
            packages=self._shelf,
            licences=self._licences,
            registry=registry,
            events=events,
            stopping=stopping,
        )
        self.api = WorkloadApi(
            shelf=self._shelf,
            licences=self._licences,
            workloads=self._workloads,
            events=events,
            public_url=public_url,
            is_in_use=self.watch.uses,
            strict_extra=strict_extra,
        )

    def close(self) -> None:
        """Remove what was imported for this run alone; may be called twice."""
        self._shelf.close()

    def add_package(self, path: Path, *, package_id: str | None = None) -> str:
        """Put a file on the platform's shelf where it lies; return its id."""
        return self._shelf.add(path, package_id=package_id).package_id

    def add_licence(self, content: bytes, *, provider: str) -> str:
        """Put a licence on the platform's shelf; return the address for `LicenseFile`."""
        licence = self._licences.add(content, provider=provider)
        return f"{self._public_url()}{LICENCES_PATH}{licence.licence_id}"

    def push(self, code: str, package_id: str, *, upload: bool = False) -> None:
        """Send a package to a device (F.1)."""
        message = {"ComputilityCode": code, "AlgoFilePackageID": package_id}
        _demand(self._workloads.push(message, upload=upload))

    def delete(self, code: str, package_id: str) -> None:
        """Remove a package from a device (F.2)."""
        _demand(self._workloads.delete_package(code, package_id))

    def packages(self, code: str) -> list[dict[str, Any]]:
        """Return the packages of a device, each a table F.4 (F.3)."""
        return list(_demand(self._workloads.packages({"ComputilityCode": code})))

    def load(
        self,
        code: str,
        package_id: str,
        *,
        env: Mapping[str, str] | None = None,
        licence_url: str | None = None,
        replicas: int | None = None,
    ) -> str:
        """Load a service on a device and return its id (F.5)."""
        message: dict[str, Any] = {"ComputilityCode": code, "AlgoFilePackageID": package_id}
        if env is not None:
            message["Env"] = [{"Name": name, "Value": value} for name, value in env.items()]
        if licence_url is not None:
            message["LicenseFile"] = licence_url
        if replicas is not None:
            message["Replicas"] = replicas
        return str(_demand(self._workloads.load(message)))

    def unload(self, code: str, package_id: str, *, service_id: str | None = None) -> None:
        """Unload a service, or every one of the package (F.6)."""
        message = {"ComputilityCode": code, "AlgoFilePackageID": package_id}
        if service_id is not None:
            message["AlgoServiceID"] = service_id
        _demand(self._workloads.unload(message))

    def services(self, code: str) -> list[dict[str, Any]]:
        """Return the services of a device, each a table F.13 (F.7)."""
        records: list[dict[str, Any]] = []
        while True:
            page = {
                "ComputilityCode": code,
                "PageNumber": len(records) // _PAGE_SIZE + 1,
                "PageSize": _PAGE_SIZE,
            }
            new = _demand(self._workloads.services(page))["Records"]
            records += new
            if len(new) != _PAGE_SIZE:
                return records


def _demand(answer: DeviceAnswer) -> Any:
    if not answer.is_success:
        raise Refusal(
            f"the device answered HTTP {answer.status}: {str(answer.body.get('Message'))[:500]}",
            code=ResultCode.DEVICE_FAILED,
        )
    return answer.data
