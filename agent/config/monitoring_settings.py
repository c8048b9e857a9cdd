"""The settings of the monitoring platforms that are told of the centre (TC609 annex A)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Literal

from msgspec import Meta

from agent.config.kinds import FilePath, LaterFilePath, TextKind, TokenHeader, Url
from agent.config.sign_settings import SignSettings
from agent.config.tls_settings import ClientCertificate, ClientPrivateKey
from agent.model.secret import Secret


def _accept_day(text: str) -> str:
    try:
        return date.fromisoformat(text.replace("/", "-")).isoformat()
    except ValueError:
        raise ValueError from None


Day = Annotated[str, TextKind(words="a day", example="2026-01-31", accept=_accept_day)]
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=40,
        extra={"words": "a text of 1 to 40 characters"},
    ),
]
Region = Annotated[
    str,
    Meta(
        pattern=r"^[1-9][0-9]{5}$",
        extra={"words": "six digits of GB/T 2260, such as 110000"},
    ),
]
Identifier = Annotated[int, Meta(ge=0, le=9223372036854775807)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSettings:
    """One project as the platform should have it (table A.2-1)."""

    name: Annotated[Name, Meta(description="Name of the project; unique.", examples=["示例项目"])]
    id: Annotated[
        Identifier | None,
        Meta(
            description="Its id at the platform, where that is known already; found otherwise.",
            examples=["12"],
        ),
    ] = None
    province: Annotated[Region, Meta(description="Province (省).")]
    cluster: Annotated[
        str | None,
        Meta(
            description="Code of the cluster (集群, annex D); absent where it belongs to none.",
            examples=["1"],
        ),
    ] = None
    hub: Annotated[
        str | None,
        Meta(
            description="Code of the hub (枢纽, annex E); absent where it belongs to none.",
            examples=["11"],
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedCentreSettings:
    """The centre as the platform should have it (table A.5-1)."""

    name: Annotated[
        Name, Meta(description="Name of the centre at this platform.", examples=["示例算力中心"])
    ]
    id: Annotated[
        Identifier | None,
        Meta(
            description="Its id at the platform, where that is known already; found otherwise.",
            examples=["7"],
        ),
    ] = None
    projects: Annotated[
        tuple[str, ...], Meta(description="Names of the projects that it belongs to.")
    ] = ()
    description: Annotated[
        str | None,
        Meta(min_length=1, max_length=800, description="What it is.", examples=["智算中心一期"]),
    ] = None
    type: Annotated[
        Literal[
            "general",
            "ai",
            "supercomputing",
            "general_ai",
            "general_supercomputing",
            "ai_supercomputing",
            "general_ai_supercomputing",
        ],
        Meta(description="What it computes (table A.5-1)."),
    ] = "ai"
    province: Annotated[Region, Meta(description="Province (省).")]
    city: Annotated[Region, Meta(description="City (市).")]
    longitude: Annotated[float, Meta(ge=-180, le=180, description="Degrees east.")]
    latitude: Annotated[float, Meta(ge=-90, le=90, description="Degrees north.")]
    cluster: Annotated[
        str | None,
        Meta(
            description="Code of the cluster (集群, annex D); absent where it belongs to none.",
            examples=["1"],
        ),
    ] = None
    hub: Annotated[
        str | None,
        Meta(
            description="Code of the hub (枢纽, annex E); absent where it belongs to none.",
            examples=["11"],
        ),
    ] = None
    production_date: Annotated[
        Day | None, Meta(description="In production since; absent before that.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSettings:
    """One member of a group in a report."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            description="Its name on the wire.",
            examples=["totalRacks"],
        ),
    ]
    figure: Annotated[
        str,
        Meta(
            pattern=r"^[a-z][a-z0-9_]{0,63}$",
            description="The figure that stands there: a key of the file of figures, or one that "
            "meters give.",
            examples=["racks"],
            extra={"words": "the name of a figure, such as racks"},
        ),
    ]
    kind: Annotated[
        Literal["number", "count", "ratio", "text"],
        Meta(description="What it may be: at least 0, a whole number, 0 to 1, or a text."),
    ] = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSettings:
    """One group of members whose names the standard leaves open."""

    name: Annotated[
        str | None,
        Meta(
            min_length=1,
            max_length=64,
            description="Name of the group on the wire; absent puts its members beside the other "
            "fields.",
            examples=["computePowerSupply"],
        ),
    ] = None
    members: Annotated[tuple[MemberSettings, ...], Meta(description="What stands in it.")] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMapSettings:
    """Names of groups and members that this platform wants instead of the default ones."""

    investment: Annotated[GroupSettings | None, Meta(description="算力投入, of a project.")] = None
    supply: Annotated[GroupSettings | None, Meta(description="算力供给, of a month.")] = None
    application: Annotated[GroupSettings | None, Meta(description="算力应用, of a month.")] = None
    electricity: Annotated[GroupSettings | None, Meta(description="算电协同, of a month.")] = None
    security: Annotated[GroupSettings | None, Meta(description="算网安全, of a month.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """When months are reported."""

    enabled: Annotated[
        bool,
        Meta(description="Whether months are sent by themselves; `monitoring report` sends too."),
    ] = True
    delay_hours: Annotated[
        float,
        Meta(
            ge=0,
            le=672,
            description="How long after its end a month waits for late readings and for the "
            "figures that a person fills in.",
        ),
    ] = 24.0
    months: Annotated[
        int,
        Meta(
            ge=1,
            le=120,
            description="How many of the last months are looked at each day: one that changed, or "
            "was not sent yet, is sent.",
        ),
    ] = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringSettings:
    """One monitoring platform that is told of the centre."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
            description="Name of the platform in commands, logs and metrics; unique.",
            examples=["region"],
            extra={"words": "1 to 64 letters, digits, dots, hyphens or underscores"},
        ),
    ]
    url: Annotated[
        Url,
        Meta(
            description="Base URL of the platform; http:// is allowed, with a warning.",
            examples=["https://monitoring.example"],
        ),
    ]
    username: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=256,
            description="User that the platform gave us.",
            examples=["centre-7"],
        ),
    ]
    password: Annotated[
        Secret,
        Meta(
            min_length=1,
            max_length=1024,
            description="Password of that user: `password_file`, or `password: ${NAME}`.",
        ),
    ]
    token_header: Annotated[
        TokenHeader | tuple[TokenHeader, ...],
        Meta(description="Header that carries the token, with `{token}` in it; or several."),
    ] = "Authorization: Bearer {token}"  # noqa: S105 - a template
    sign: Annotated[SignSettings, Meta(description="How our requests are signed.")] = field(
        default_factory=SignSettings
    )
    sign_login: Annotated[
        bool, Meta(description="Whether the request for a token is signed, too.")
    ] = False
    ca_file: Annotated[
        FilePath | None,
        Meta(description="PEM file of the CA that signed the platform's certificate."),
    ] = None
    client_certificate: ClientCertificate = None
    client_private_key: ClientPrivateKey = None
    projects: Annotated[
        tuple[ProjectSettings, ...], Meta(description="The projects of the centre.")
    ] = ()
    centre: Annotated[
        ReportedCentreSettings, Meta(description="The centre as this platform should have it.")
    ]
    figures_file: Annotated[
        LaterFilePath | None,
        Meta(
            description="YAML file of the figures that no meter gives; docs/reporting.md.",
            examples=["/etc/computility-agent/figures.yaml"],
        ),
    ] = None
    report: Annotated[ReportSettings, Meta(description="When months are reported.")] = field(
        default_factory=ReportSettings
    )
    map: Annotated[
        ReportMapSettings,
        Meta(description="Names on the wire, where this platform wants others than the default."),
    ] = field(default_factory=ReportMapSettings)

    @property
    def token_headers(self) -> tuple[str, ...]:
        """The headers of the token as a list."""
        return (self.token_header,) if isinstance(self.token_header, str) else self.token_header


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSettings:
    """What waits for monitoring platforms."""

    maximum_mib: Annotated[
        int, Meta(ge=1, le=65536, description="How much may wait for all platforms together.")
    ] = 64
    keep_days: Annotated[
        int,
        Meta(
            ge=1,
            le=3660,
            description="A report that could not be delivered for so long is given up, counted "
            "and logged.",
        ),
    ] = 400
