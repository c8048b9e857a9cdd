"""The authorisation server that services ask online (clause 4.3.1): it says yes and notes it.

The standard leaves the protocol between a service and its provider's server to the provider, so
any request is answered.
"""

from __future__ import annotations

import json
from typing import Any

import falcon

from agent.simulator.events import Event, EventKind, EventLog

BODY_BYTES_MAXIMUM = 64 * 1024
_SHOWN_CHARACTERS = 500
_ANSWER = json.dumps({"Code": 0, "Message": "success"}).encode()


def build_authorisation_application(events: EventLog) -> falcon.App[Any, Any]:
    """Return the WSGI application of the authorisation server."""

    def answer(req: falcon.Request, resp: falcon.Response, **_: Any) -> None:
        body = req.bounded_stream.read(BODY_BYTES_MAXIMUM).decode("utf-8", "replace")
        place = req.relative_uri[:_SHOWN_CHARACTERS]
        events.add(
            Event(
                kind=EventKind.AUTHORISATION,
                accepted=True,
                status=200,
                text=f"authorisation asked by {req.remote_addr}: {req.method} {place!r}",
                details={
                    "peer": req.remote_addr,
                    "method": req.method,
                    "path": place,
                    "body": body[:_SHOWN_CHARACTERS],
                },
            )
        )
        resp.content_type = "application/json"
        resp.data = _ANSWER

    application = falcon.App()
    application.add_sink(answer)
    return application
