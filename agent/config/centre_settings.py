"""The settings of the centre that monitoring platforms ask about (TC609 annex B)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from agent.config.kinds import FilePath, Listen, Url
from agent.config.sign_settings import SignSettings
from agent.config.tls_settings import ClientCertificate, ClientPrivateKey, ServerTlsSettings
from agent.model.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreUserSettings:
    """One platform that may ask."""

    username: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=256,
            description="User name that the platform logs in with; unique.",
            examples=["city"],
        ),
    ]
    password: Annotated[
        Secret,
        Meta(
            min_length=1,
            max_length=1024,
            description="Its password, or the text that `hash-password` prints of it: "
            "`password_file`, or `password: ${NAME}`.",
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSourceSettings:
    """One other agent, whose device API tells what its node does."""

    url: Annotated[
        Url,
        Meta(
            description="Base URL of its device API, without the prefix.",
            examples=["https://192.0.2.21:8123"],
        ),
    ]
    username: Annotated[
        str,
        Meta(
            pattern="^[^:]{1,32}$",
            description="User of its device API.",
            extra={"words": "a text of 1 to 32 characters without a colon"},
        ),
    ] = "admin"
    password: Annotated[
        Secret,
        Meta(
            min_length=1,
            max_length=32,
            description="Password of that user: `password_file`, or `password: ${NAME}`.",
        ),
    ]
    prefix: Annotated[
        str,
        Meta(
            pattern=r"^(/[A-Za-z0-9._~-]+)*$",
            description="Path before every resource.",
            extra={"words": "a path such as /ACSMP, without a slash at its end"},
        ),
    ] = "/ACSMP"
    ca_file: Annotated[
        FilePath | None, Meta(description="PEM file of the CA that signed its certificate.")
    ] = None
    client_certificate: ClientCertificate = None
    client_private_key: ClientPrivateKey = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusSourceSettings:
    """A Prometheus-compatible server that knows the nodes of the centre."""

    url: Annotated[
        Url, Meta(description="Base URL of its API.", examples=["http://192.0.2.30:9090"])
    ]
    queries: Annotated[
        Mapping[str, str],
        Meta(
            description="PromQL by figure, each with one value as its result; "
            "docs/reporting.md lists the figures.",
            examples=["{cpu_utilization_ratio: 'avg(computility_cpu_utilization_ratio)'}"],
        ),
    ]
    username: Annotated[
        str | None,
        Meta(
            pattern="^[^:]{1,64}$",
            description="User, where the server asks for one.",
            examples=["reader"],
            extra={"words": "a text of 1 to 64 characters without a colon"},
        ),
    ] = None
    password: Annotated[
        Secret | None,
        Meta(
            min_length=1,
            max_length=1024,
            description="Password of that user: `password_file`, or `password: ${NAME}`.",
        ),
    ] = None
    ca_file: Annotated[
        FilePath | None, Meta(description="PEM file of the CA that signed its certificate.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """Where load and scale of the centre come from."""

    nodes: Annotated[
        Literal["self", "prometheus"] | tuple[AgentSourceSettings, ...],
        Meta(
            # Each has a thread of its own here; what collects for more nodes is Prometheus.
            max_length=256,
            description="`self` is this node alone; or a list of other agents, which are read "
            "beside this node; or `prometheus`, whose section stands beside.",
        ),
    ] = "self"
    prometheus: Annotated[
        PrometheusSourceSettings | None,
        Meta(description="The server of `nodes: prometheus`."),
    ] = None
    computing_power_tflops: Annotated[
        float | None,
        Meta(
            gt=0,
            le=1e12,
            description="Computing power of the whole centre as a person declares it, TFLOPS at "
            "16 bits; nothing measures it. Unknown if absent.",
            examples=["1200"],
        ),
    ] = None
    schedulable_computing_power_tflops: Annotated[
        float | None,
        Meta(
            gt=0,
            le=1e12,
            description="The part of it that can be scheduled. Unknown if absent.",
            examples=["1000"],
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreSettings:
    """The centre, as monitoring platforms ask about it."""

    id: Annotated[
        int | None,
        Meta(
            ge=0,
            le=9223372036854775807,
            description="Id of the centre at the platforms that ask. Id or name is needed.",
            examples=["7"],
        ),
    ] = None
    name: Annotated[
        str | None,
        Meta(
            min_length=1,
            max_length=40,
            description="Name of the centre at the platforms that ask.",
            examples=["示例算力中心"],
        ),
    ] = None
    listen: Annotated[Listen, Meta(description="Address and port to listen on.")] = "0.0.0.0:8124"
    tls: Annotated[ServerTlsSettings | None, Meta(description="TLS; absent means plain HTTP.")] = (
        None
    )
    users: Annotated[
        tuple[CentreUserSettings, ...],
        Meta(min_length=1, description="Who may ask; at least one.", examples=["[]"]),
    ]
    token_seconds: Annotated[int, Meta(ge=60, le=86400, description="How long a token lasts.")] = (
        3600
    )
    sign: Annotated[SignSettings, Meta(description="Signature that questions must carry.")] = field(
        default_factory=SignSettings
    )
    sign_login: Annotated[
        bool, Meta(description="Whether the request for a token must be signed, too.")
    ] = False
    http_statuses: Annotated[
        bool,
        Meta(description="Whether a failure is told by the HTTP status as well as by its code."),
    ] = False
    hour: Annotated[
        Literal["last_full", "rolling"],
        Meta(
            description="Which hour is told: the last full clock hour, or the 60 minutes up to "
            "the last readings."
        ),
    ] = "last_full"
    sources: Annotated[
        SourceSettings, Meta(description="Where load and scale of the centre come from.")
    ] = field(default_factory=SourceSettings)
    members: Annotated[
        Mapping[str, str] | None,
        Meta(
            description="Place of each operational figure in the answer, as `group.member`; "
            "absent means the map of docs/reporting.md. A figure that is not in it is not told.",
            examples=["{cpu_utilization_ratio: computePowerLoad.cpuUsageRate}"],
        ),
    ] = None
