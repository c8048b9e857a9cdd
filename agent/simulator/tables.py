"""The tables of T/BAX 0006.5 that the simulator judges by, as data.

Where a table and its own example disagree, the row says what is taken for right and a comment says
why.
"""

from __future__ import annotations

from agent.simulator.rows import Form, Kind, Row, Table

INT_MAXIMUM = 2**31 - 1
CIPHERTEXT_LENGTH_MAXIMUM = 1024


NODE_TYPES = (
    "EDGE_COMPUTE_DEVICE",
    "FRONT_END_DEVICE",
    "AI_CAMERA",
    "AI_BOX",
    "AI_CLOUD",
    "CAP",
    "CAD",
)
# Table G.1 adds CCP and prints FRONT_END_DEVIE; the right spelling cannot be wrong there.
QUERY_TYPES = (*NODE_TYPES, "CCP", "FRONT_END_DEVIE")


def _code(number: int, field: str, *, required: bool) -> Row:
    return Row(
        number=number, field=field, kind=Kind.STRING, required=required, length=20, form=Form.CODE
    )


def _text(number: int, field: str, *, required: bool, length: int | None = None) -> Row:
    return Row(number=number, field=field, kind=Kind.STRING, required=required, length=length)


def _int(number: int, field: str, *, minimum: int = 0) -> Row:
    return Row(
        number=number,
        field=field,
        kind=Kind.INT,
        required=True,
        minimum=minimum,
        maximum=INT_MAXIMUM,
    )


_RESULT_CODE = Row(
    number=1,
    field="Code",
    kind=Kind.INT,
    required=True,
    minimum=-INT_MAXIMUM - 1,
    maximum=INT_MAXIMUM,
)
_RESULT_MESSAGE = Row(
    number=2, field="Message", kind=Kind.STRING, required=True, length=1024, may_be_empty=True
)

# The table gives 32, and a ciphertext of one byte already needs 140 characters: 32 is read as the
# limit of what is encrypted, in bytes, and checked after decryption (passwords.py).
_PASSWORD_LENGTH = CIPHERTEXT_LENGTH_MAXIMUM

REGISTER_REQUEST = Table(
    number="B.1",
    title="RegisterRequest",
    rows=(
        _code(1, "Code", required=True),
        Row(number=2, field="Type", kind=Kind.STRING, required=True, length=32, values=NODE_TYPES),
        Row(number=3, field="IP", kind=Kind.STRING, required=True, length=15, form=Form.IPV4),
        # "Length 5" of an int: five digits, and no port is above 65535.
        Row(number=4, field="Port", kind=Kind.INT, required=True, minimum=1, maximum=65535),
        _text(5, "Username", required=True, length=32),
        _text(6, "Password", required=True, length=_PASSWORD_LENGTH),
        Row(number=7, field="SupportAlgoService", kind=Kind.BOOLEAN, required=False),
    ),
)

TOKEN_DATA = Table(
    number="B.3", title="TokenData", rows=(_text(1, "Token", required=True, length=256),)
)

REGISTER_RESPONSE = Table(
    number="B.2",
    title="RegisterResponse",
    rows=(
        _RESULT_CODE,
        _RESULT_MESSAGE,
        Row(number=3, field="Data", kind=Kind.OBJECT, required=True, element=TOKEN_DATA),
        _text(4, "RequestID", required=False, length=256),
    ),
)

# Its remark makes Data optional in the answer to a keepalive: only a new token brings it.
KEEPALIVE_RESPONSE = Table(
    number="B.2",
    title="RegisterResponse of a keepalive",
    rows=(
        _RESULT_CODE,
        _RESULT_MESSAGE,
        Row(number=3, field="Data", kind=Kind.OBJECT, required=False, element=TOKEN_DATA),
        _text(4, "RequestID", required=False, length=256),
    ),
)

UNREGISTER_REQUEST = Table(
    number="B.4",
    title="UnRegisterRequest",
    rows=(
        _code(1, "Code", required=True),
        _text(2, "Username", required=True, length=32),
        _text(3, "Password", required=True, length=_PASSWORD_LENGTH),
    ),
)

KEEPALIVE_REQUEST = Table(
    number="B.5", title="KeepaliveRequest", rows=(_code(1, "Code", required=True),)
)

EMPTY_RESPONSE = Table(
    number="A.2",
    title="EmptyResponse",
    rows=(_RESULT_CODE, _RESULT_MESSAGE, _text(3, "RequestID", required=False, length=256)),
)

API_ORDER = Table(
    number="A.9",
    title="ApiOrder",
    rows=(
        _text(1, "Property", required=False, length=64),
        _text(2, "Direction", required=False, length=4),
    ),
)

API_PAGE_REQUEST = Table(
    number="A.8",
    title="ApiPageRequest",
    rows=(
        _int(1, "PageNumber", minimum=1),
        _int(2, "PageSize", minimum=1),
        Row(number=3, field="OrderList", kind=Kind.LIST, required=False, element=API_ORDER),
    ),
)

COMPUTILITY_LIST_REQUEST = Table(
    number="G.1",
    title="ComputilityListRequest",
    rows=(
        _code(1, "ComputilityCode", required=False),
        Row(
            number=2, field="Type", kind=Kind.STRING, required=False, length=20, values=QUERY_TYPES
        ),
        # Mandatory, although the remark gives a default: a caller that sends it is always right.
        Row(
            number=3,
            field="PageRequest",
            kind=Kind.OBJECT,
            required=True,
            element=API_PAGE_REQUEST,
        ),
    ),
)

_EXAMPLE = "example of annex G"


def _seen(number: int, field: str, kind: Kind, *, element: Table | None = None) -> Row:
    """Return a row for a field that only the example of annex G shows; no table makes it needed."""
    amount = kind in (Kind.NUMBER, Kind.INT)
    return Row(
        number=number,
        field=field,
        kind=kind,
        required=False,
        minimum=0 if amount else None,
        maximum=1 if field.endswith("Utilization") else None,
        element=element,
        source=_EXAMPLE,
    )


DISK_DETAIL = Table(
    number="G example DiskDetails",
    title="DiskDetails",
    rows=(
        _seen(1, "Path", Kind.STRING),
        _seen(2, "Disk", Kind.NUMBER),
        _seen(3, "DiskUsed", Kind.NUMBER),
    ),
)

XPU_MONITOR = Table(
    number="G example XpuMonitors",
    title="XpuMonitors",
    rows=(
        _seen(1, "XpuMemory", Kind.NUMBER),
        _seen(2, "XpuMemoryUsed", Kind.NUMBER),
        _seen(3, "XpuUtilization", Kind.NUMBER),
        _seen(4, "XpuType", Kind.STRING),
    ),
)

ALGO_SERVICE_MONITOR = Table(
    number="G example AlgoServiceMonitors",
    title="AlgoServiceMonitors",
    rows=(
        _seen(1, "AlgoServiceID", Kind.STRING),
        _seen(2, "AlgoFilePackageID", Kind.STRING),
        _seen(3, "XpuMemory", Kind.NUMBER),
        _seen(4, "XpuMemoryUsed", Kind.NUMBER),
        _seen(5, "XpuUtilization", Kind.NUMBER),
        _seen(6, "XpuType", Kind.STRING),
    ),
)

# The table of DeviceInfo stands in T/BAX 0006.4, which is not public; here are the names and types
# of the example. All amounts are numbers: the example has 128 beside 45.3.
DEVICE_INFO = Table(
    number="G example DeviceInfos",
    title="DeviceInfo",
    rows=(
        _seen(1, "DeviceID", Kind.STRING),
        _seen(2, "IP", Kind.STRING),
        _seen(3, "HostName", Kind.STRING),
        _seen(4, "IsOnline", Kind.BOOLEAN),
        _seen(5, "OS", Kind.STRING),
        _seen(6, "Cpu", Kind.NUMBER),
        _seen(7, "CpuType", Kind.STRING),
        _seen(8, "CpuUtilization", Kind.NUMBER),
        _seen(9, "Memory", Kind.NUMBER),
        _seen(10, "MemoryUsed", Kind.NUMBER),
        _seen(11, "Disk", Kind.NUMBER),
        _seen(12, "DiskUsed", Kind.NUMBER),
        _seen(13, "DiskDetails", Kind.LIST, element=DISK_DETAIL),
        _seen(14, "XpuMonitors", Kind.LIST, element=XPU_MONITOR),
        _seen(15, "AlgoServiceMonitors", Kind.LIST, element=ALGO_SERVICE_MONITOR),
    ),
)

COMPUTILITY_INFO = Table(
    number="G.4",
    title="ComputilityInfo",
    rows=(
        _code(1, "ComputilityCode", required=False),
        Row(number=2, field="DeviceInfos", kind=Kind.LIST, required=True, element=DEVICE_INFO),
    ),
)

COMPUTILITY_PAGE_RESPONSE = Table(
    number="G.3",
    title="ComputilityPageResponse",
    rows=(
        Row(number=1, field="PageContent", kind=Kind.LIST, required=True, element=COMPUTILITY_INFO),
        # The table prints PageReqest; the example and every other table have PageRequest.
        Row(
            number=2,
            field="PageRequest",
            kind=Kind.OBJECT,
            required=True,
            element=API_PAGE_REQUEST,
            spellings=("PageReqest",),
        ),
        _int(3, "Total"),
        _int(4, "TotalPages"),
    ),
)

COMPUTILITY_LIST_RESPONSE = Table(
    number="G.2",
    title="ComputilityListResponse",
    rows=(
        _RESULT_CODE,
        _RESULT_MESSAGE,
        Row(
            number=3,
            field="Data",
            kind=Kind.OBJECT,
            required=True,
            element=COMPUTILITY_PAGE_RESPONSE,
        ),
        _text(4, "RequestID", required=False, length=256),
    ),
)

REQUESTS = {
    "Register": REGISTER_REQUEST,
    "Keepalive": KEEPALIVE_REQUEST,
    "UnRegister": UNREGISTER_REQUEST,
    "Computility": COMPUTILITY_LIST_REQUEST,
}
