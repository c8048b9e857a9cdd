"""The control endpoint: what the simulator knows, and how to make it misbehave.

It has a listener of its own, on loopback by default, so that it answers while the platform does
not. It has no credentials: whoever reaches it may do everything, and sees every password.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from typing import Any

import falcon

from agent.simulator.events import Event, EventKind, EventLog
from agent.simulator.fault_board import FaultBoard
from agent.simulator.faults import BadFault, Fault, FaultKind, parse_fault
from agent.simulator.registry import Registry
from agent.simulator.store import Node
from agent.simulator.validation import NotJson, decode

WAIT_SECONDS_MAXIMUM = 25.0
EVENTS_MAXIMUM = 500
_BODY_BYTES_MAXIMUM = 64 * 1024


class _Faults:
    def __init__(
        self, *, board: FaultBoard, events: EventLog, apply: Callable[[Fault], int]
    ) -> None:
        self._board = board
        self._events = events
        self._apply = apply

    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        _write(response, {"faults": self._board.as_json()})

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        try:
            description = decode(request.bounded_stream.read(_BODY_BYTES_MAXIMUM))
            if not isinstance(description, dict):
                raise BadFault('the body must be an object, such as {"kind": "error"}')
            fault = parse_fault(description)
            identifier = self._apply(fault)
        except (BadFault, NotJson) as error:
            raise falcon.HTTPBadRequest(description=str(error)) from error
        response.status = 201
        _write(response, {"id": identifier, "fault": str(fault)})

    def on_delete(self, request: falcon.Request, response: falcon.Response) -> None:
        lifted = self._board.clear(request.get_param_as_int("id"))
        self._events.add(Event(kind=EventKind.CONTROL, text=f"{lifted} faults lifted"))
        _write(response, {"lifted": lifted})


class _State:
    def __init__(
        self,
        *,
        registry: Registry,
        board: FaultBoard,
        describe: Callable[[], dict[str, Any]],
        workloads_of: Callable[[str], dict[str, Any] | None],
    ) -> None:
        self._workloads_of = workloads_of
        self._registry = registry
        self._board = board
        self._describe = describe

    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        nodes = []
        for node in self._registry.nodes():
            try:
                silence_seconds = self._registry.silence_seconds(node.code)
            except KeyError:
                continue  # it unregistered just now
            nodes.append(
                {
                    **_node_as_json(node, silence_seconds=silence_seconds),
                    "workloads": self._workloads_of(node.code),
                }
            )
        _write(response, {**self._describe(), "nodes": nodes, "faults": self._board.as_json()})


class _Events:
    def __init__(self, *, events: EventLog, waiters_maximum: int) -> None:
        self._events = events
        # Who waits holds a worker: some have to be left for the calls that act.
        self._waiters = threading.BoundedSemaphore(waiters_maximum)

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        after = request.get_param_as_int("after", min_value=0, max_value=2**53, default=0)
        limit = request.get_param_as_int(
            "limit", min_value=1, max_value=EVENTS_MAXIMUM, default=EVENTS_MAXIMUM
        )
        wait_seconds = request.get_param_as_float("wait", min_value=0, default=0.0)
        if math.isnan(wait_seconds):
            raise falcon.HTTPInvalidParam("it is no number of seconds", "wait")
        may_wait = self._waiters.acquire(blocking=False)
        try:
            events = self._events.after(
                after,
                limit=limit,
                wait_seconds=min(wait_seconds, WAIT_SECONDS_MAXIMUM) if may_wait else 0.0,
            )
        finally:
            if may_wait:
                self._waiters.release()
        _write(response, {"events": events, "last": events[-1]["id"] if events else after})


def build_control_application(
    *,
    registry: Registry,
    board: FaultBoard,
    events: EventLog,
    apply: Callable[[Fault], int],
    describe: Callable[[], dict[str, Any]],
    waiters_maximum: int,
    workloads_of: Callable[[str], dict[str, Any] | None],
) -> falcon.App[Any, Any]:
    """Return the WSGI application of the control endpoint.

    `apply` puts a fault in force and returns its number; `describe` tells of the simulator itself,
    `workloads_of` of a device's packages and services, None where nothing is known of them.
    """
    application = falcon.App()
    application.add_route("/_control/faults", _Faults(board=board, events=events, apply=apply))
    application.add_route(
        "/_control/state",
        _State(registry=registry, board=board, describe=describe, workloads_of=workloads_of),
    )
    application.add_route(
        "/_control/events", _Events(events=events, waiters_maximum=waiters_maximum)
    )
    return application


def apply_fault(
    fault: Fault,
    *,
    board: FaultBoard,
    events: EventLog,
    restart: Callable[..., None],
) -> int:
    """Put a fault in force and return its number; 0 for a restart, which is done and over.

    Raises:
        BadFault: too many are in force, or a restart is under way.
    """
    if fault.kind is FaultKind.RESTART:
        assert fault.seconds is not None  # noqa: S101 - parse_fault demands it
        restart(seconds=fault.seconds, after_seconds=fault.after_seconds)
        identifier = 0
    else:
        identifier = board.add(fault)
    events.add(Event(kind=EventKind.CONTROL, text=f"fault asked for: {fault}"))
    return identifier


def _node_as_json(node: Node, *, silence_seconds: float) -> dict[str, Any]:
    return {
        "code": node.code,
        "type": node.type,
        "address": node.address,
        "port": node.port,
        "username": node.username,
        "password": node.password,
        "password_layout": node.password_layout,
        "support_algo_service": node.support_algo_service,
        "token": node.token,
        "lost": node.is_lost,
        "registered_at": node.registered_at,
        "last_contact_at": node.last_contact_at,
        "silence_seconds": round(silence_seconds, 3),
        "worst_gap_seconds": round(node.worst_gap_seconds, 3),
        "registrations": node.registrations,
        "keepalives": node.keepalives,
        "read_back": {
            "taken_at": node.read_back.taken_at,
            "attempts": node.read_back.attempts,
            "successes": node.read_back.successes,
            "failure": node.read_back.failure,
            "findings": list(node.read_back.findings),
            "content": node.read_back.content,
        },
    }


def _write(response: falcon.Response, body: dict[str, Any]) -> None:
    response.content_type = "application/json"
    response.data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
