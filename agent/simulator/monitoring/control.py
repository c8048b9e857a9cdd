"""What the control endpoint shows and takes of the monitoring platform."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import falcon

from agent.simulator.monitoring import centres, projects
from agent.simulator.monitoring.asking import Asking
from agent.simulator.monitoring.centre_client import BadCentre
from agent.simulator.monitoring.settings import AskedCentre
from agent.simulator.monitoring.store import EntityKind, MonitoringStore
from agent.simulator.validation import NotJson, decode

PATH = "/_control/monitoring"
ANSWERS_MAXIMUM = 500
PERIOD_SECONDS_MAXIMUM = 86_400
_BODY_BYTES_MAXIMUM = 64 * 1024
_KEYS = ("url", "centerId", "centerName", "username", "password", "seconds")


def add_routes(
    application: falcon.App[Any, Any],
    *,
    store: MonitoringStore,
    asking: Asking,
    users: Callable[[], list[dict[str, str]]],
) -> None:
    """Add the paths below `PATH` to the control endpoint."""
    application.add_route(PATH, _State(store=store, asking=asking, users=users))
    application.add_route(f"{PATH}/months", _Months(store))
    application.add_route(f"{PATH}/answers", _Answers(store))
    application.add_route(f"{PATH}/centres", _Centres(asking))
    application.add_route(f"{PATH}/ask", _Ask(asking))


class _State:
    def __init__(
        self,
        *,
        store: MonitoringStore,
        asking: Asking,
        users: Callable[[], list[dict[str, str]]],
    ) -> None:
        self._store = store
        self._asking = asking
        self._users = users

    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        found = {
            "projects": [
                {**projects.as_table(each), **_owner(each)}
                for each in self._store.find(EntityKind.PROJECT)
            ],
            "centres": [
                {**centres.as_table(each), **_owner(each)}
                for each in self._store.find(EntityKind.CENTRE)
            ],
        }
        months = [
            {
                "centerId": each.centre_id,
                "reportMonth": each.month,
                "received_at": each.received_at,
                "times": each.times,
            }
            for each in self._store.months()
        ]
        body = {"users": self._users(), **found, "months": months, "asked": self._asking.as_json()}
        _write(response, body)


class _Months:
    def __init__(self, store: MonitoringStore) -> None:
        self._store = store

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        found = self._store.months(
            centre_id=request.get_param_as_int("centerId"), month=request.get_param("reportMonth")
        )
        _write(response, {"months": [each.body for each in found]})


class _Answers:
    def __init__(self, store: MonitoringStore) -> None:
        self._store = store

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        after = request.get_param_as_int("after", min_value=0, max_value=2**53, default=0)
        limit = request.get_param_as_int(
            "limit", min_value=1, max_value=ANSWERS_MAXIMUM, default=ANSWERS_MAXIMUM
        )
        answers = self._store.answers(after=after, limit=limit)
        _write(response, {"answers": answers, "last": answers[-1]["id"] if answers else after})


class _Centres:
    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        try:
            description = decode(request.bounded_stream.read(_BODY_BYTES_MAXIMUM))
            number = self._asking.add(parse_centre(description))
        except (BadCentre, NotJson) as error:
            raise falcon.HTTPBadRequest(description=str(error)) from error
        response.status = 201
        _write(response, {"number": number})

    def on_delete(self, request: falcon.Request, response: falcon.Response) -> None:
        number = request.get_param_as_int("number", required=True)
        if not self._asking.remove(number):
            raise falcon.HTTPNotFound(description=f"no centre has the number {number}")
        _write(response, {"removed": number})


class _Ask:
    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        number = request.get_param_as_int("number", required=True)
        try:
            answers = self._asking.ask(number)
        except KeyError as error:
            raise falcon.HTTPNotFound(description=f"no centre has the number {number}") from error
        _write(response, {"answers": answers})


def parse_centre(description: Any) -> AskedCentre:
    """Return the centre of a JSON object, or of a flag's parts; numbers may be text.

    Raises:
        BadCentre: with what is wrong.
    """
    if not isinstance(description, dict):
        raise BadCentre('a centre is an object, such as {"url": "http://…:8124", "centerId": 7}')
    unknown = [name for name in description if name not in _KEYS]
    if unknown:
        raise BadCentre(f"unknown key {str(unknown[0])[:40]!r}: use {', '.join(_KEYS)}")
    texts = {}
    for name in ("url", "centerName", "username", "password"):
        value = description.get(name)
        if value is not None and not isinstance(value, str):
            raise BadCentre(f"{name} must be a text")
        texts[name] = value
    identifier = description.get("centerId")
    return AskedCentre(
        url=texts["url"] or "",
        centre_id=None if identifier is None else _whole(identifier),
        centre_name=texts["centerName"],
        username=texts["username"] or "simulator",
        password=texts["password"] or "simulator",
        period_seconds=_period(description.get("seconds", 60)),
    )


def _whole(value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadCentre(f"centerId must be a whole number, got {text[:40]!r}")
    return int(text)


def _period(value: Any) -> float | None:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if isinstance(value, bool) or not 0 <= seconds <= PERIOD_SECONDS_MAXIMUM:
        raise BadCentre(
            f"seconds must be a number from 0 to {PERIOD_SECONDS_MAXIMUM}; 0 asks on demand alone"
        )
    return seconds or None


def _owner(entity: Any) -> dict[str, str]:
    return {
        "user": entity.owner,
        "created_at": entity.created_at,
        "changed_at": entity.changed_at,
    }


def _write(response: falcon.Response, body: dict[str, Any]) -> None:
    response.content_type = "application/json"
    response.data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
