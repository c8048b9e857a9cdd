"""A meter that is a Redfish service: a chassis with EnvironmentMetrics (DMTF DSP0266, DSP2046)."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from agent.simulator.meters.meter import Shown
from agent.simulator.meters.tcp_server import TcpServer

_ROOT = "/redfish/v1"
_CHASSIS = f"{_ROOT}/Chassis"
_WATT_HOURS_PER_KWH = 1000

# Resources by path; None while the service does not answer.
Resources = Mapping[str, Mapping[str, Any]]


def resources(shown: Shown, *, name: str, serial: str) -> Resources:
    """Return every resource of a service with one chassis; energy in kWh, three decimals."""
    chassis = f"{_CHASSIS}/{name}"
    metrics = f"{chassis}/EnvironmentMetrics"
    return {
        "/redfish": {"v1": f"{_ROOT}/"},
        _ROOT: {
            "@odata.id": _ROOT,
            "@odata.type": "#ServiceRoot.v1_15_0.ServiceRoot",
            "Id": "RootService",
            "Name": "Simulated service",
            "RedfishVersion": "1.15.0",
            "Chassis": {"@odata.id": _CHASSIS},
        },
        _CHASSIS: {
            "@odata.id": _CHASSIS,
            "@odata.type": "#ChassisCollection.ChassisCollection",
            "Name": "Chassis",
            "Members@odata.count": 1,
            "Members": [{"@odata.id": chassis}],
        },
        chassis: {
            "@odata.id": chassis,
            "@odata.type": "#Chassis.v1_22_0.Chassis",
            "Id": name,
            "Name": name,
            "ChassisType": "RackMount",
            "SerialNumber": serial,
            "EnvironmentMetrics": {"@odata.id": metrics},
        },
        metrics: {
            "@odata.id": metrics,
            "@odata.type": "#EnvironmentMetrics.v1_3_0.EnvironmentMetrics",
            "Id": "EnvironmentMetrics",
            "Name": "Environment metrics",
            "PowerWatts": {"Reading": round(float(shown.rate), 1)},
            "EnergykWh": {"LifetimeReading": shown.count / _WATT_HOURS_PER_KWH},
        },
    }


class RedfishServer:
    """Serves what `found` returns at each question; see `Resources`; it may raise `Gone`."""

    def __init__(
        self, found: Callable[[], Resources | None], *, listen: tuple[str, int], name: str
    ) -> None:
        self._found = found
        self._server = TcpServer(self._serve, listen=listen, name=name)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._server.port

    def start(self) -> None:
        """Listen; raises PermanentError where it cannot."""
        self._server.start()

    def stop(self) -> None:
        """Close everything."""
        self._server.stop()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _handler(self._found)(connection, None, None)


def _handler(found: Callable[[], Resources | None]) -> Callable[..., object]:
    """Return what answers the requests of one connection."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # One segment an answer: the client's acknowledgement need not be waited for.
        wbufsize = -1

        def do_GET(self) -> None:
            known = found()
            if known is None:
                # Whoever asks gives up first.
                while self.rfile.read1(4096):
                    pass
                self.close_connection = True
                return
            path = self.path.partition("?")[0].rstrip("/")
            resource = known.get(path)
            status = HTTPStatus.OK if resource is not None else HTTPStatus.NOT_FOUND
            body = json.dumps(
                resource
                if resource is not None
                else {"error": {"code": "Base.1.0.ResourceMissingAtURI", "message": "not there"}}
            ).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("OData-Version", "4.0")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def address_string(self) -> str:
            """Return nothing: nobody is logged."""
            return ""

    return Handler
