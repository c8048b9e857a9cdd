"""Where the operations of annex A lie, and what they are called in flags, faults and the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

PREFIX = "/api/"
# Path → HTTP method → operation.
ROUTES = {
    "/api/token": {"POST": "token"},
    "/api/project": {"POST": "createProject", "PUT": "changeProject", "GET": "queryProject"},
    "/api/computePowerCenter": {
        "POST": "createCenter",
        "PUT": "changeCenter",
        "GET": "queryCenter",
    },
    "/api/monthReport": {"POST": "monthReport"},
    "/api/queryMonthReport": {"GET": "queryMonthReport"},
}
OPERATIONS = tuple(operation for methods in ROUTES.values() for operation in methods.values())


def operation_of(path: str, method: str) -> str | None:
    """Return the operation of a path and a method, None where there is none."""
    return ROUTES.get(path, {}).get(method)


def split(*, monitoring: Application, others: Application) -> Application:
    """Return the WSGI application that serves `/api/` by one and the rest by the other."""

    def serve(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        is_monitoring = environ.get("PATH_INFO", "").startswith(PREFIX)
        application = monitoring if is_monitoring else others
        return application(environ, start_response)

    return serve
