"""The messages of T/BAX 0006.5 about algorithm services (F.5 to F.8), seen from the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec import field as named

from agent.model.workloads import EnvironmentVariable, Service, ServiceState
from agent.protocols.acsmp import tolerant, wire_packages
from agent.protocols.acsmp.tolerant import WireError

# Paths below the prefix: clause 6.1, tables 11 to 14. Logs are an addition of ours.
LOAD_PATH = "/AlgoServices/Devices"
UNLOAD_PATH = "/AlgoServices/Devices/UnInstall"
SEARCH_PATH = "/AlgoServices/Devices/Search"
SERVICE_PATH = "/AlgoServices/Devices/{code}/{service_id}"
LOGS_PATH = "/AlgoServices/Devices/{code}/{service_id}/Logs"

SERVICE_ID_MAXIMUM = 256
ENV_NAME_MAXIMUM = 128
# Table F.7 allows 128, and a list of addresses is longer.
ENV_VALUE_MAXIMUM = 4096
ENV_ITEMS_MAXIMUM = 256
DEFAULT_TAIL_LINES = 200
TAIL_LINES_MAXIMUM = 10000
_STATES = {state.value: state for state in ServiceState}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """Is AlgoServiceInstallRequest (table F.6); the address may hold a password."""

    package_id: str
    computility_code: str | None = None
    env: tuple[EnvironmentVariable, ...] = field(default=(), repr=False)
    licence_url: str | None = field(default=None, repr=False)
    replicas: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class UnloadRequest:
    """Is AlgoServiceUnInstallRequest (table F.9); no ids at all mean every service."""

    package_id: str
    computility_code: str | None = None
    service_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceQuery:
    """Is AlgoServiceListRequest (table F.10); None filters nothing."""

    computility_code: str | None = None
    state: ServiceState | None = None
    package_id: str | None = None
    page_number: int = 1
    page_size: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsQuery:
    """Says whose output is wanted, and how much of it."""

    replica: int = 0
    tail_lines: int = DEFAULT_TAIL_LINES


def decode_load(fields: Mapping[str, Any]) -> LoadRequest:
    """Return the order to load a service.

    Raises:
        WireError: a field is missing, has the wrong kind or lies out of bounds; names it.
    """
    replicas = tolerant.as_int(
        tolerant.pick(fields, "Replicas"), field="Replicas", table="table F.6", minimum=1
    )
    return LoadRequest(
        package_id=wire_packages.package_id(fields, table="table F.6"),
        computility_code=wire_packages.computility_code(fields, table="table F.6"),
        env=_env(tolerant.pick(fields, "Env")),
        licence_url=tolerant.as_text(
            tolerant.pick(fields, "LicenseFile"),
            field="LicenseFile",
            table="table F.6",
            maximum=wire_packages.URL_MAXIMUM,
        ),
        replicas=1 if replicas is None else replicas,
    )


def decode_unload(fields: Mapping[str, Any]) -> UnloadRequest:
    """Return the order to remove one service of a package, several, or all of them.

    What is not understood must never be read as "all": an id that is there and empty is refused.

    Raises:
        WireError: a field is missing, has the wrong kind or lies out of bounds; names it.
    """
    value = tolerant.pick(fields, "AlgoServiceID", "AlgoServiceIDs")
    ids: tuple[str, ...] = ()
    if value is not None:
        items = value if isinstance(value, list) else [value]
        ids = tuple(dict.fromkeys(_service_id(item) for item in items))
        if not ids:
            raise _no_service_id()
    return UnloadRequest(
        package_id=wire_packages.package_id(fields, table="table F.9"),
        computility_code=wire_packages.computility_code(fields, table="table F.9"),
        service_ids=ids,
    )


def decode_service_query(fields: Mapping[str, Any]) -> ServiceQuery:
    """Return the query in a decoded body; {} asks for the first page of all services.

    Raises:
        WireError: a field has the wrong kind or lies out of bounds; names it and its table.
    """
    nested = tolerant.pick(fields, "PageRequest", "PageReqest")
    page = (
        fields
        if nested is None
        else tolerant.as_object(nested, field="PageRequest", table="table F.10")
    )
    state = tolerant.as_text(
        tolerant.pick(fields, "Status"), field="Status", table="table F.10", maximum=32
    )
    if state is not None and state.upper() not in _STATES:
        raise WireError(
            f"Status is {state!r}, table F.10 has {', '.join(sorted(_STATES))}", field="Status"
        )
    return ServiceQuery(
        computility_code=wire_packages.computility_code(fields, table="table F.10"),
        state=None if state is None else _STATES[state.upper()],
        package_id=wire_packages.optional_package_id(fields, table="table F.10"),
        page_number=_positive(page, "PageNumber", default=1),
        page_size=_positive(page, "PageSize", default=10),
    )


def decode_logs_query(fields: Mapping[str, Any]) -> LogsQuery:
    """Return the query in a query string.

    Raises:
        WireError: a field is no number or lies out of bounds; names it.
    """
    replica = tolerant.as_int(
        tolerant.pick(fields, "Replica"), field="Replica", table="this API", minimum=0
    )
    lines = tolerant.as_int(
        tolerant.pick(fields, "TailLines"), field="TailLines", table="this API", minimum=1
    )
    return LogsQuery(
        replica=replica or 0,
        tail_lines=min(DEFAULT_TAIL_LINES if lines is None else lines, TAIL_LINES_MAXIMUM),
    )


def _positive(page: Mapping[str, Any], name: str, *, default: int) -> int:
    value = tolerant.as_int(tolerant.pick(page, name), field=name, table="table F.10", minimum=1)
    return default if value is None else value


def _service_id(value: Any) -> str:
    found = tolerant.as_text(
        value, field="AlgoServiceID", table="table F.9", maximum=SERVICE_ID_MAXIMUM
    )
    if found is None:
        raise _no_service_id()
    return found


def _no_service_id() -> WireError:
    return WireError(
        "AlgoServiceID is empty; leave it out to remove every service of the package (table F.9)",
        field="AlgoServiceID",
    )


def _env(value: Any) -> tuple[EnvironmentVariable, ...]:
    items = tolerant.as_objects(value, field="Env", table="table F.6")
    if len(items) > ENV_ITEMS_MAXIMUM:
        raise WireError(f"Env has {len(items)} items, at most {ENV_ITEMS_MAXIMUM}", field="Env")
    variables: dict[str, EnvironmentVariable] = {}
    for item in items:
        name = tolerant.as_text(
            tolerant.pick(item, "Name"), field="Name", table="table F.7", maximum=ENV_NAME_MAXIMUM
        )
        if name is None or "=" in name or not name.isprintable():
            raise WireError(
                "Name in Env is missing or can be no variable's (table F.7)", field="Name"
            )
        if name in variables:
            raise WireError(f"Env has {name} twice (table F.6)", field="Env")
        variables[name] = EnvironmentVariable(name=name, value=_env_value(item, name=name))
    return tuple(variables.values())


def _env_value(item: Mapping[str, Any], *, name: str) -> str:
    value = tolerant.pick(item, "Value")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text = tolerant.as_text(
        value, field=f"Value of {name}", table="table F.7", maximum=ENV_VALUE_MAXIMUM
    )
    if text is not None and "\0" in text:
        raise WireError(f"Value of {name} has a NUL in it (table F.7)", field="Value")
    return text or ""


class EnvItem(msgspec.Struct, frozen=True, kw_only=True):
    """Is table F.7."""

    name: str = named(name="Name")
    value: str = named(name="Value")


class AlgoService(msgspec.Struct, frozen=True, kw_only=True):
    """Is table F.13, with XpuType as in the examples of F.7 and F.8."""

    service_id: str = named(name="AlgoServiceID")
    package_id: str = named(name="AlgoFilePackageID")
    status: str = named(name="Status")
    env: Sequence[EnvItem] = named(name="Env")
    replicas: int = named(name="Replicas")
    xpu_type: str | UnsetType = named(name="XpuType", default=UNSET)
    created: str = named(name="CreatedDate")


class AlgoServiceSearchData(msgspec.Struct, frozen=True, kw_only=True):
    """Is table F.12."""

    records: Sequence[AlgoService] = named(name="Records")
    page_number: int = named(name="PageNumber")
    page_size: int = named(name="PageSize")
    total_size: int = named(name="TotalSize")


def algo_service(service: Service, *, zone: tzinfo, xpu_type: str | None) -> AlgoService:
    """Return a service as table F.13 has it; without accelerators there is no XpuType.

    The values of `Env` are those that the platform gave, and it is told no others.
    """
    desired = service.desired
    return AlgoService(
        service_id=desired.service_id,
        package_id=desired.package_id,
        status=service.state.value,
        env=[EnvItem(name=each.name, value=each.value) for each in desired.env],
        replicas=desired.replicas,
        xpu_type=UNSET if xpu_type is None else xpu_type,
        created=wire_packages.local_time(desired.created_at, zone=zone),
    )


def search_data(records: Sequence[AlgoService], *, query: ServiceQuery) -> AlgoServiceSearchData:
    """Return one page of the services that match; a page after the last one is empty."""
    first = (query.page_number - 1) * query.page_size
    return AlgoServiceSearchData(
        records=records[first : first + query.page_size],
        page_number=query.page_number,
        page_size=query.page_size,
        total_size=len(records),
    )
