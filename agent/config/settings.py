"""The settings, as the rest of the agent sees them: one frozen dataclass for each section.

Every field's `Meta` carries the bounds that the loader checks and the words from which
`docs/configuration.md` is made. A field without a default is required; a section that is None is
off. Units stand in the names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from agent.config.centre_settings import CentreSettings
from agent.config.kinds import (
    ComputilityCode,
    Enabled,
    FilePath,
    FolderPath,
    Ipv4,
    Listen,
    MountPath,
    RawSection,
    TimeZone,
    TokenHeader,
    Url,
)
from agent.config.meter_settings import LedgerSettings, MeterSettings
from agent.config.monitoring_settings import MonitoringSettings, OutboxSettings
from agent.config.tls_settings import ClientCertificate, ClientPrivateKey, ServerTlsSettings
from agent.model.secret import Secret

NodeType = Literal[
    "EDGE_COMPUTE_DEVICE",
    "FRONT_END_DEVICE",
    "AI_CAMERA",
    "AI_BOX",
    "AI_CLOUD",
    "CAP",
    "CAD",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """Who this node is."""

    code: Annotated[ComputilityCode, Meta(description="Computility code (算力编码), 20 digits.")]
    type: Annotated[
        NodeType, Meta(description="What kind of compute this is (T/BAX 0006.5, table B.1).")
    ]
    address: Annotated[
        Literal["auto"] | Ipv4,
        Meta(
            description="IPv4 address told to the platforms. `auto` is the address that routes "
            "to the platform; a given address is sent as written."
        ),
    ] = "auto"
    state_dir: Annotated[
        FolderPath, Meta(description="Folder for what the agent keeps, and its local socket.")
    ] = "/var/lib/computility-agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceApiSettings:
    """The device API, on which platforms read this node."""

    listen: Annotated[Listen, Meta(description="Address and port to listen on.")] = "0.0.0.0:8123"
    advertise_port: Annotated[
        int | None,
        Meta(
            ge=1,
            le=65535,
            examples=["443"],
            description="Port told to the platforms where a proxy or NAT stands between; the "
            "port of `listen` otherwise.",
        ),
    ] = None
    username: Annotated[
        str,
        Meta(
            pattern="^[^:]{1,32}$",
            description="User name that is told to the platforms.",
            extra={"words": "a text of 1 to 32 characters without a colon"},
        ),
    ] = "admin"
    password: Annotated[
        Secret,
        Meta(
            min_length=1,
            max_length=32,
            description="Password that is told to the platforms, 1 to 32 bytes of UTF-8: "
            "`password_file` names a file, or `password: ${NAME}` a variable.",
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
    time_zone: Annotated[
        TimeZone,
        Meta(description="Zone of the times that are told, which the standard leaves open."),
    ] = "Asia/Shanghai"
    tls: Annotated[ServerTlsSettings | None, Meta(description="TLS; absent means plain HTTP.")] = (
        None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sm2Settings:
    """How a platform wants an SM2 ciphertext laid out."""

    order: Annotated[
        Literal["c1c3c2", "c1c2c3"],
        Meta(description="Order of the parts: c1c3c2 (GM/T 0003.4) or the older c1c2c3."),
    ] = "c1c3c2"
    point_prefix: Annotated[
        bool, Meta(description="Whether C1 begins with the byte 04 (uncompressed point).")
    ] = True
    encoding: Annotated[
        Literal["hex", "HEX", "base64"], Meta(description="How the bytes become text.")
    ] = "hex"
    der: Annotated[
        bool,
        Meta(description="ASN.1 DER (GM/T 0009); `order` and `point_prefix` then do not apply."),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AcsmpSettings:
    """One platform that this node registers with (T/BAX 0006.5, clause 7)."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
            description="Name of the platform in commands, logs and metrics; unique.",
            examples=["city"],
            extra={"words": "1 to 64 letters, digits, dots, hyphens or underscores"},
        ),
    ]
    url: Annotated[
        Url, Meta(description="Base URL of the platform; http:// is allowed, with a warning.")
    ]
    code: Annotated[
        ComputilityCode | None,
        Meta(description="Computility code for this platform, if not that of the node."),
    ] = None
    type: Annotated[
        NodeType | None, Meta(description="Type for this platform, if not that of the node.")
    ] = None
    address: Annotated[
        Literal["auto"] | Ipv4 | None,
        Meta(description="Address for this platform, if not that of the node."),
    ] = None
    username: Annotated[
        str | None,
        Meta(
            pattern="^[^:]{1,32}$",
            examples=["city"],
            description="User of the device API for this platform, if not the common one.",
            extra={"words": "a text of 1 to 32 characters without a colon"},
        ),
    ] = None
    password: Annotated[
        Secret | None,
        Meta(
            min_length=1,
            max_length=32,
            description="Password of that user: `password_file`, or `password: ${NAME}`.",
        ),
    ] = None
    sm2_public_key_file: Annotated[
        FilePath | None,
        Meta(
            description="The platform's SM2 public key: PEM or base64 SPKI, or hex with or "
            "without 04. Required unless `password_format` is plain."
        ),
    ] = None
    sm2: Annotated[Sm2Settings, Meta(description="Layout of the ciphertext.")] = field(
        default_factory=Sm2Settings
    )
    password_format: Annotated[
        Literal["sm2", "plain"], Meta(description="How the password travels.")
    ] = "sm2"  # noqa: S105 - a format
    allow_plain_password: Annotated[
        bool, Meta(description="Permission for `password_format: plain`.")
    ] = False
    keepalive_seconds: Annotated[
        float,
        Meta(ge=1, le=60, description="Time between keepalives; the platform's limit is 90 s."),
    ] = 30.0
    token_header: Annotated[
        TokenHeader,
        Meta(description="Header that carries the token, with `{token}` in it."),
    ] = "Authorization: Bearer {token}"  # noqa: S105 - a template
    ca_file: Annotated[
        FilePath | None,
        Meta(description="PEM file of the CA that signed the platform's certificate."),
    ] = None
    client_certificate: ClientCertificate = None
    client_private_key: ClientPrivateKey = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectSettings:
    """What is read of this node, and how often."""

    interval_seconds: Annotated[
        float, Meta(ge=1, le=3600, description="Time between two samples.")
    ] = 15.0
    disks: Annotated[
        Literal["auto"] | tuple[MountPath, ...],
        Meta(description="`auto` is every real file system once; or a list of mount paths."),
    ] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorSettings:
    """One accelerator plugin's section; its own settings are checked by the plugin's child."""

    enabled: Annotated[
        Enabled, Meta(description="`auto` looks for cards, true insists, false never loads it.")
    ] = "auto"
    options: RawSection = field(default_factory=RawSection)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """What runs the containers of algorithm services."""

    kind: Annotated[
        str,
        Meta(
            pattern=r"^[a-z][a-z0-9_-]{0,31}$",
            description="`docker` (podman's socket works too), `none` for a node that runs no "
            "algorithm services, or the name of an installed runtime plugin.",
            extra={"words": "docker, none, or the name of a runtime plugin"},
        ),
    ] = "docker"
    socket: Annotated[
        str,
        Meta(
            pattern=r"^unix:///[^\s]+$",
            description="Where the engine listens.",
            extra={"words": "a path such as unix:///var/run/docker.sock"},
        ),
    ] = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadSettings:
    """How algorithm packages are fetched."""

    parallel: Annotated[
        int, Meta(ge=1, le=16, description="Packages that are fetched at the same time.")
    ] = 2
    rate_limit_mib_per_second: Annotated[
        float | None,
        Meta(gt=0, le=100000, description="Limit for all downloads together; none if absent."),
    ] = None
    minimum_free_gib: Annotated[
        float,
        Meta(ge=0, le=100000, description="Space that is left free on the disk of `state_dir`."),
    ] = 2.0
    give_up_hours: Annotated[
        float,
        Meta(
            gt=0,
            le=8760,
            description="A download that got no byte for so long has failed; what is there of it "
            "is kept a week for the next push.",
        ),
    ] = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """What one replica of a service may use; a package may ask for less."""

    cpus: Annotated[
        float | None, Meta(gt=0, le=4096, description="CPUs; none if absent.", examples=["2.5"])
    ] = None
    memory_gib: Annotated[
        float | None, Meta(gt=0, le=65536, description="Memory; none if absent.", examples=["4"])
    ] = None
    processes: Annotated[
        int | None, Meta(ge=1, le=4194304, description="Processes and threads; none if absent.")
    ] = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSettings:
    """Algorithm packages and algorithm services."""

    download: Annotated[DownloadSettings, Meta(description="Fetching packages.")] = field(
        default_factory=DownloadSettings
    )
    package_maximum_gib: Annotated[
        float, Meta(gt=0, le=65536, description="The largest package that is taken.")
    ] = 64.0
    limits: Annotated[LimitSettings, Meta(description="Limits of each replica.")] = field(
        default_factory=LimitSettings
    )
    accelerators: Annotated[
        Literal["auto"] | int,
        Meta(
            ge=0,
            le=1024,
            description="Chips for each replica of a package that does not say how many it wants; "
            "`auto` is one where this node has any, else none.",
        ),
    ] = "auto"
    capabilities: Annotated[
        tuple[str, ...],
        Meta(
            description="Linux capabilities that containers keep, such as CHOWN; all others are "
            "dropped."
        ),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """Prometheus metrics."""

    listen: Annotated[Listen, Meta(description="Address and port of /metrics.")] = "127.0.0.1:9810"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """The log, on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least level shown.")
    ] = "info"
    format: Annotated[Literal["text", "json"], Meta(description="text, or one JSON a line.")] = (
        "text"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that one configuration file says."""

    node: Annotated[NodeSettings, Meta(description="Who this node is.", extra={"gloss": "本节点"})]
    device_api: Annotated[
        DeviceApiSettings | None,
        Meta(
            description="The API on which platforms read this node. Required by `acsmp`.",
            extra={"gloss": "设备接口"},
        ),
    ] = None
    acsmp: Annotated[
        tuple[AcsmpSettings, ...],
        Meta(description="The platforms to register with.", extra={"gloss": "算力服务管理平台"}),
    ] = ()
    collect: Annotated[
        CollectSettings, Meta(description="What is sampled.", extra={"gloss": "采集"})
    ] = field(default_factory=CollectSettings)
    accelerators: Annotated[
        Mapping[str, AcceleratorSettings],
        Meta(
            description="A section for each plugin, by its name; all optional.",
            extra={"gloss": "加速卡"},
        ),
    ] = field(default_factory=dict)
    runtime: Annotated[
        RuntimeSettings,
        Meta(description="What runs algorithm services.", extra={"gloss": "容器引擎"}),
    ] = field(default_factory=RuntimeSettings)
    workloads: Annotated[
        WorkloadSettings,
        Meta(
            description="Algorithm packages and services; taken from platforms on the device API.",
            extra={"gloss": "算法封装文件与算法服务"},
        ),
    ] = field(default_factory=WorkloadSettings)
    meters: Annotated[
        tuple[MeterSettings, ...],
        Meta(
            description="The meters of a computing centre; absent means that none are read.",
            extra={"gloss": "计量表计"},
        ),
    ] = ()
    ledger: Annotated[
        LedgerSettings,
        Meta(description="How readings become hours.", extra={"gloss": "计量台账"}),
    ] = field(default_factory=LedgerSettings)
    centre: Annotated[
        CentreSettings | None,
        Meta(
            description="The centre that monitoring platforms ask about (TC609 annex B); absent "
            "means that none may ask.",
            extra={"gloss": "算力中心，供监测平台查询"},
        ),
    ] = None
    monitoring: Annotated[
        tuple[MonitoringSettings, ...],
        Meta(
            description="The monitoring platforms that are told of the centre (TC609 annex A).",
            extra={"gloss": "监测平台，月度上报"},
        ),
    ] = ()
    outbox: Annotated[
        OutboxSettings,
        Meta(description="What waits for monitoring platforms.", extra={"gloss": "发件箱"}),
    ] = field(default_factory=OutboxSettings)
    metrics: Annotated[
        MetricsSettings | None,
        Meta(description="Prometheus metrics; absent means off.", extra={"gloss": "监控指标"}),
    ] = None
    log: Annotated[LogSettings, Meta(description="The log.", extra={"gloss": "日志"})] = field(
        default_factory=LogSettings
    )
