"""Algorithm services on the device API (T/BAX 0006.5, F.5 to F.8), and their output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Protocol

import falcon

from agent.errors import ConflictError, NotFoundError
from agent.model.view import AgentView
from agent.model.workloads import Service
from agent.protocols.acsmp import requests, wire_services, xpu_types
from agent.protocols.acsmp.wire_services import AlgoService
from agent.protocols.acsmp.xpu_types import IdentifyAccelerator
from agent.workloads.service_planner import ServiceLoad

LOGS_BYTES_MAXIMUM = 1024 * 1024


class Services(Protocol):
    """Is what knows and changes the services of this node."""

    def load(self, load: ServiceLoad) -> str:
        """Note that a service is to run; returns its id."""

    def unload(self, *, package_id: str, service_id: str | None) -> None:
        """Note that a service, or every service of the package, is to be removed."""

    def services(self) -> Sequence[Service]:
        """Return every service that is wanted, oldest first, as it was last seen."""

    def logs(self, service_id: str, *, replica: int, tail_lines: int) -> bytes:
        """Return the last lines that a replica printed."""


class ServiceApi:
    """Holds the handlers of the routes about services; safe in every thread."""

    def __init__(
        self,
        services: Services,
        *,
        view: Callable[[], AgentView],
        identify: IdentifyAccelerator,
        zone: tzinfo,
    ) -> None:
        self._services = services
        self._view = view
        self._identify = identify
        self._zone = zone

    def load(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer AlgoServiceInstallRequest (F.5) with the id of the service (F.8)."""
        order = wire_services.decode_load(requests.fields(request))
        requests.check_code(request, order.computility_code)
        service_id = self._services.load(
            ServiceLoad(
                package_id=order.package_id,
                env=order.env,
                licence_url=order.licence_url,
                replicas=order.replicas,
            )
        )
        requests.answer_data(response, service_id)

    def unload(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer AlgoServiceUnInstallRequest (F.6)."""
        order = wire_services.decode_unload(requests.fields(request))
        requests.check_code(request, order.computility_code)
        for service_id in order.service_ids or (None,):
            self._services.unload(package_id=order.package_id, service_id=service_id)
        requests.answer_success(response)

    def search(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer AlgoServiceListRequest (F.7)."""
        query = wire_services.decode_service_query(requests.fields(request))
        requests.check_code(request, query.computility_code)
        view = self._view()
        matching = [
            self._record(service, view=view)
            for service in self._services.services()
            if query.state in (None, service.state)
            and query.package_id in (None, service.desired.package_id)
        ]
        requests.answer_data(response, wire_services.search_data(matching, query=query))

    def show(
        self, request: falcon.Request, response: falcon.Response, *, code: str, service_id: str
    ) -> None:
        """Answer with one service (F.8); table 14 puts the package's id into the path."""
        requests.check_code(request, code)
        service = self._find(service_id)
        requests.answer_data(response, self._record(service, view=self._view()))

    def logs(
        self, request: falcon.Request, response: falcon.Response, *, code: str, service_id: str
    ) -> None:
        """Answer with the last lines that a replica printed, at most 1 MiB of them."""
        requests.check_code(request, code)
        query = wire_services.decode_logs_query(request.params)
        service = self._find(service_id)
        if query.replica >= service.desired.replicas:
            raise NotFoundError(
                f"the service has {service.desired.replicas} replicas, numbered from 0"
            )
        output = self._services.logs(
            service.desired.service_id, replica=query.replica, tail_lines=query.tail_lines
        )
        # Bytes as they were printed, in whatever encoding: no charset is claimed, none guessed.
        response.content_type = "text/plain"
        response.set_header("X-Content-Type-Options", "nosniff")
        response.data = output[-LOGS_BYTES_MAXIMUM:]

    def _find(self, wanted: str) -> Service:
        """Return the service of this id, or the only one of the package of this id."""
        services = self._services.services()
        for service in services:
            if service.desired.service_id == wanted:
                return service
        of_package = [each for each in services if each.desired.package_id == wanted]
        if len(of_package) > 1:
            raise ConflictError(
                f"the package has {len(of_package)} services: give the AlgoServiceID of one"
            )
        if not of_package:
            raise NotFoundError("there is no service, and no package with a service, of this id")
        return of_package[0]

    def _record(self, service: Service, *, view: AgentView) -> AlgoService:
        chips = [chip for replica in service.replicas for chip in replica.accelerators]
        return wire_services.algo_service(
            service,
            zone=self._zone,
            xpu_type=xpu_types.of_chips(chips, view=view, identify=self._identify),
        )
