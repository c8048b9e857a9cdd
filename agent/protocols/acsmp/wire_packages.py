"""The messages of T/BAX 0006.5 annex F about algorithm packages (F.1 to F.4), seen from the device.

A push carries address and digest beside the fields of table F.1: those of table A.1, which is how a
package gets into the platform itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec import field as named

from agent.model.workloads import Digests, Package, PackageState
from agent.protocols.acsmp import tolerant
from agent.protocols.acsmp.tolerant import WireError

# Paths below the prefix: clause 6.1, tables 7 to 10; the second of the first two is table 1's.
PUSH_PATH = "/AlgoFilePackages/Devices"
PUSH_PATH_OF_THE_PLATFORM = "/AlgoFilePackages"
SEARCH_PATH = "/AlgoFilePackages/Devices/Search"
PACKAGE_PATH = "/AlgoFilePackages/Devices/{code}/{package_id}"

FILE_FIELD = "File"
CODE_MAXIMUM = 20
ERROR_MAXIMUM = 256
# Table A.1 allows 256; signed addresses of object stores are longer.
URL_MAXIMUM = 4096
_ID = re.compile(r"[0-9A-Za-z_-][0-9A-Za-z_.-]{0,63}")
_STATES = {1: PackageState.DOWNLOADING, 2: PackageState.FAILED, 3: PackageState.READY}
_NUMBERS = {state: number for number, state in _STATES.items()}
_URL_NAMES = (
    "Url",
    "URL",
    "FileUrl",
    "DownloadUrl",
    "AlgoFilePackageUrl",
    "AlgoFilePackageURL",
)
_PROGRESS_STEPS = 10000


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest:
    """Is AlgoFilePackageRequest (table F.1) with the fields of table A.1; None where not given.

    The address may hold a password.
    """

    package_id: str
    computility_code: str | None = None
    url: str | None = field(default=None, repr=False)
    digests: Digests = field(default_factory=Digests)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageQuery:
    """Is AlgoPackageListRequest (table F.2); None filters nothing."""

    computility_code: str | None = None
    state: PackageState | None = None


def decode_push(fields: Mapping[str, Any]) -> PushRequest:
    """Return the push in a decoded body, or in the fields of a form.

    Raises:
        WireError: a field is missing, has the wrong kind or lies out of bounds; names it.
    """
    url = tolerant.as_text(
        tolerant.pick(fields, *_URL_NAMES), field="Url", table="table A.1", maximum=URL_MAXIMUM
    )
    return PushRequest(
        package_id=package_id(fields, table="table F.1"),
        computility_code=computility_code(fields, table="table F.1"),
        url=url,
        digests=Digests(
            md5=_digest(fields, "MD5", digits=32),
            sha256=_digest(fields, "SHA256", "SHA-256", digits=64),
            sm3=_digest(fields, "SM3", digits=64),
        ),
    )


def decode_package_query(fields: Mapping[str, Any]) -> PackageQuery:
    """Return the query in a decoded body; {} asks for every package.

    Raises:
        WireError: a field has the wrong kind or lies out of bounds; names it and its table.
    """
    number = tolerant.as_int(
        tolerant.pick(fields, "Status"), field="Status", table="table F.2", minimum=1
    )
    if number is not None and number not in _STATES:
        raise WireError(f"Status is {number}, table F.2 has 1, 2 and 3", field="Status")
    return PackageQuery(
        computility_code=computility_code(fields, table="table F.2"),
        state=None if number is None else _STATES[number],
    )


def computility_code(fields: Mapping[str, Any], *, table: str) -> str | None:
    """Return the code of the node that is meant, None where it is not named."""
    return tolerant.as_text(
        tolerant.pick(fields, "ComputilityCode", "Code", "DeviceID"),
        field="ComputilityCode",
        table=table,
        maximum=CODE_MAXIMUM,
    )


def package_id(fields: Mapping[str, Any], *, table: str) -> str:
    """Return the required id of a package; raises WireError."""
    found = optional_package_id(fields, table=table)
    if found is None:
        raise WireError(f"AlgoFilePackageID is missing ({table})", field="AlgoFilePackageID")
    return found


def optional_package_id(fields: Mapping[str, Any], *, table: str) -> str | None:
    """Return the id of a package, None where it is not named; raises WireError."""
    found = tolerant.as_text(
        tolerant.pick(fields, "AlgoFilePackageID", "AlgoFilePackageCode"),
        field="AlgoFilePackageID",
        table=table,
        maximum=256,
    )
    return None if found is None else checked_id(found, field="AlgoFilePackageID")


def checked_id(text: str, *, field: str) -> str:
    """Return an id that may be one; raises WireError that names the field."""
    if _ID.fullmatch(text) is None:
        raise WireError(
            f"{field} is not 1 to 64 letters, digits, underscores, hyphens or dots, "
            "the first of them no dot",
            field=field,
        )
    return text


def _digest(fields: Mapping[str, Any], *names: str, digits: int) -> str | None:
    text = tolerant.as_text(
        tolerant.pick(fields, *names), field=names[0], table="table A.1", maximum=256
    )
    if text is None:
        return None
    if re.fullmatch(rf"[0-9A-Fa-f]{{{digits}}}", text.strip()) is None:
        raise WireError(f"{names[0]} is not {digits} hexadecimal digits", field=names[0])
    return text.strip().lower()


class DeviceAlgoPackage(msgspec.Struct, frozen=True, kw_only=True):
    """Is table F.4; the examples of F.3 and F.4 call the id AlgoFilePackageCode: both are sent."""

    name: str | UnsetType = named(name="AlgoPackageName", default=UNSET)
    type: str | UnsetType = named(name="AlgoPackageType", default=UNSET)
    version: str | UnsetType = named(name="AlgoPackageVersion", default=UNSET)
    package_id: str = named(name="AlgoFilePackageID")
    package_code: str = named(name="AlgoFilePackageCode")
    status: int = named(name="Status")
    created: str = named(name="CreatedDate")
    progress: float | UnsetType = named(name="DownloadProgress", default=UNSET)
    progress_updated: str = named(name="ProgressUpdateTime")
    error: str | UnsetType = named(name="DownloadErrorMessage", default=UNSET)


def device_package(package: Package, *, zone: tzinfo) -> DeviceAlgoPackage:
    """Return a package as table F.4 has it; what is not known yet has no key.

    Name, type and version come from algo.yaml, so they are not known before it was read. The error
    is sent while a download struggles (1) and when it has failed (2), never with 3.
    """
    manifest = package.manifest
    is_ready = package.state is PackageState.READY
    return DeviceAlgoPackage(
        name=UNSET if manifest is None else manifest.name,
        type=UNSET if manifest is None else manifest.type.value,
        version=UNSET if manifest is None else manifest.version,
        package_id=package.package_id,
        package_code=package.package_id,
        status=_NUMBERS[package.state],
        created=local_time(package.created_at, zone=zone),
        progress=1.0 if is_ready else _progress(package.progress_ratio),
        progress_updated=local_time(package.progress_at, zone=zone),
        error=UNSET if is_ready or not package.error else package.error[:ERROR_MAXIMUM],
    )


def local_time(moment: datetime, *, zone: tzinfo) -> str:
    """Return a moment as `yyyy-MM-dd HH:mm:ss` in a zone (tables F.4 and F.13)."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def _progress(ratio: float | None) -> float | UnsetType:
    # Rounded down: 1.0 is for what is whole.
    return UNSET if ratio is None else math.floor(ratio * _PROGRESS_STEPS) / _PROGRESS_STEPS
