"""The tables of T/BAX 0006.5 for packages, services and licences: annexes A, E and F, as data.

Where a table and its example disagree, a comment says what is taken for right.
"""

from __future__ import annotations

from agent.simulator.rows import Form, Kind, Row, Table
from agent.simulator.tables import INT_MAXIMUM

PACKAGE_TYPES = ("artifact", "image")
SERVICE_STATES = ("UNSPECIFIED", "INIT", "RUNNING", "OVERLOAD", "ERROR")
DOWNLOADING, DOWNLOAD_FAILED, DOWNLOADED = 1, 2, 3


def _text(
    number: int,
    field: str,
    *,
    required: bool = False,
    length: int | None = None,
    form: Form | None = None,
    values: tuple[str, ...] = (),
    spellings: tuple[str, ...] = (),
    may_be_empty: bool = False,
) -> Row:
    return Row(
        number=number,
        field=field,
        kind=Kind.STRING,
        required=required,
        length=length,
        form=form,
        values=values,
        spellings=spellings,
        may_be_empty=may_be_empty,
    )


def _code(number: int, field: str = "ComputilityCode") -> Row:
    return _text(number, field, required=True, length=20, form=Form.CODE)


def _package_id(number: int, *, required: bool = True, spellings: tuple[str, ...] = ()) -> Row:
    return _text(
        number,
        "AlgoFilePackageID",
        required=required,
        length=40,
        form=Form.PACKAGE_ID,
        spellings=spellings,
    )


def _time(number: int, field: str, *, length: int) -> Row:
    return _text(number, field, length=length, form=Form.DATE_TIME)


def _int(
    number: int, field: str, *, minimum: int = 0, maximum: int = INT_MAXIMUM, required: bool = False
) -> Row:
    return Row(
        number=number,
        field=field,
        kind=Kind.INT,
        required=required,
        minimum=minimum,
        maximum=maximum,
    )


def _holder(number: int, field: str, kind: Kind, element: Table, *, required: bool = True) -> Row:
    return Row(number=number, field=field, kind=kind, required=required, element=element)


_RESULT = (
    _int(1, "Code", minimum=-INT_MAXIMUM - 1, required=True),
    _text(2, "Message", required=True, length=1024, may_be_empty=True),
)


def _response(number: str, title: str, data: Row, *, request_id_length: int = 256) -> Table:
    rows = (*_RESULT, data, _text(4, "RequestID", length=request_id_length))
    return Table(number=number, title=title, rows=rows)


# MD5 is mandatory by the table and "if there is one" by its remark, and the example has none.
PACKAGE_IMPORT = Table(
    number="A.1",
    title="AlgoFilePackage",
    rows=(
        _text(2, "Url", required=True, length=256),
        _text(3, "MD5", length=32, form=Form.MD5),
        # No row of the table: the platform makes the id unless a tester wants a certain one.
        _package_id(4, required=False),
    ),
)

PACKAGE_SEARCH = Table(
    number="A.3",
    title="AlgoFilePackageListRequest",
    rows=(
        _text(1, "AlgoFilePackageName", length=256),
        _text(2, "AlgoFilePackageType", length=8, values=PACKAGE_TYPES),
        Row(number=3, field="AlgoFilePackageIDs", kind=Kind.LIST, required=False),
        _text(4, "AlgoFilePackageVersion", length=128),
        _text(5, "Provider", length=64),
        _time(6, "CreateTimeFrom", length=23),
        _time(7, "CreateTimeTo", length=23),
    ),
)

PACKAGE_PUSH = Table(number="F.1", title="AlgoFilePackageRequest", rows=(_package_id(1), _code(2)))

DEVICE_PACKAGE_SEARCH = Table(
    number="F.2",
    title="AlgoPackageListRequest",
    rows=(_code(1), _int(2, "Status", minimum=DOWNLOADING, maximum=DOWNLOADED)),
)

# The examples print AlgoFilePackageCode for the id; the type is 6 long in the table, but
# "artifact" has 8 letters. Name, type and version are mandatory by the table, and come from the
# algo.yaml of a package that a device may still be fetching: `workload_judgement` asks for them.
DEVICE_PACKAGE = Table(
    number="F.4",
    title="DeviceAlgoPackage",
    rows=(
        _text(1, "AlgoPackageName", length=256, may_be_empty=True),
        _text(2, "AlgoPackageType", length=8, values=PACKAGE_TYPES),
        _text(3, "AlgoPackageVersion", length=256, may_be_empty=True),
        _package_id(4, spellings=("AlgoFilePackageCode",)),
        _int(5, "Status", minimum=DOWNLOADING, maximum=DOWNLOADED),
        _time(6, "CreatedDate", length=19),
        Row(
            number=7,
            field="DownloadProgress",
            kind=Kind.NUMBER,
            required=False,
            minimum=0,
            maximum=1,
        ),
        _time(8, "ProgressUpdateTime", length=19),
        _text(9, "DownloadErrorMessage", length=256),
    ),
)

DEVICE_PACKAGE_LIST = _response(
    "F.3", "AlgoPackageListResponse", _holder(3, "Data", Kind.LIST, DEVICE_PACKAGE)
)
DEVICE_PACKAGE_DETAIL = _response(
    "F.5", "AlgoPackageDetailResponse", _holder(3, "Data", Kind.OBJECT, DEVICE_PACKAGE)
)

ENV_ITEM = Table(
    number="F.7",
    title="EnvItem",
    rows=(
        _text(1, "Name", required=True, length=128),
        _text(2, "Value", required=True, length=128, may_be_empty=True),
    ),
)

SERVICE_INSTALL = Table(
    number="F.6",
    title="AlgoServiceInstallRequest",
    rows=(
        _package_id(1),
        _code(2),
        _holder(3, "Env", Kind.LIST, ENV_ITEM, required=False),
        _text(4, "LicenseFile", length=256),
        _int(5, "Replicas", minimum=1),
    ),
)

SERVICE_INSTALL_RESPONSE = _response(
    "F.8",
    "AlgoServiceInstallResponse",
    _text(3, "Data", required=True, length=128),
    request_id_length=128,
)

SERVICE_UNINSTALL = Table(
    number="F.9",
    title="AlgoServiceUnInstallRequest",
    rows=(_package_id(1), _code(2), _text(3, "AlgoServiceID", length=256)),
)

SERVICE_SEARCH = Table(
    number="F.10",
    title="AlgoServiceListRequest",
    rows=(
        _code(1),
        _text(2, "Status", values=SERVICE_STATES),
        _package_id(3, required=False),
        _int(4, "PageNumber", minimum=1),
        _int(5, "PageSize", minimum=1),
    ),
)

SERVICE = Table(
    number="F.13",
    title="AlgoService",
    rows=(
        _text(1, "AlgoServiceID", required=True, length=128),
        _package_id(2),
        _text(3, "Status", required=True, length=20, values=SERVICE_STATES),
        _holder(4, "Env", Kind.LIST, ENV_ITEM, required=False),
        _int(5, "Replicas", minimum=1),
        _time(6, "CreatedDate", length=32),
        # Only the examples have it.
        _text(7, "XpuType"),
    ),
)

SERVICE_PAGE = Table(
    number="F.12",
    title="AlgoServiceSearchData",
    rows=(
        _holder(1, "Records", Kind.LIST, SERVICE),
        _int(2, "PageNumber", minimum=1),
        _int(3, "PageSize", minimum=1),
        _int(4, "TotalSize"),
    ),
)

# The table types Data as a list of AlgoServiceSearchData, the example has the one object.
SERVICE_LIST = _response(
    "F.11", "AlgoServiceListResponse", _holder(3, "Data", Kind.OBJECT, SERVICE_PAGE)
)
SERVICE_DETAIL = _response(
    "F.14", "AlgoServiceDetailResponse", _holder(3, "Data", Kind.OBJECT, SERVICE)
)
