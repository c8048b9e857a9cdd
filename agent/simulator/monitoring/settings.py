"""How the monitoring platform behaves: what `simulate` takes from its flags."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.security import sm2

DEFAULT_USERS: Mapping[str, str] = {"simulator": "simulator"}


class SignScheme(str, enum.Enum):
    """Says how a canonical text becomes a signature; the standard names the header alone."""

    HMAC_SM3 = "hmac-sm3"
    HMAC_SHA256 = "hmac-sha256"
    SM3_SUFFIX = "sm3-suffix"
    MD5_SUFFIX = "md5-suffix"
    SHA256_TIF = "sha256-tif"
    SM2 = "sm2"


class SignEncoding(str, enum.Enum):
    """Says how the bytes of a signature are written."""

    HEX = "hex"
    UPPER_HEX = "upper-hex"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignSettings:
    """Says how requests are signed, in both directions.

    `covers_raw_body` signs the body as it was sent (the query where there is none) instead of its
    sorted parameters. `signs_login` demands a signature of A.1, too. `public_key` checks what comes
    and `private_key` signs what goes out, both for `sm2` alone.
    """

    scheme: SignScheme = SignScheme.HMAC_SM3
    secret: str = field(default="", repr=False)
    encoding: SignEncoding = SignEncoding.HEX
    covers_raw_body: bool = False
    signs_login: bool = False
    public_key: sm2.PublicKey | None = None
    private_key: sm2.PrivateKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCentre:
    """Is a centre whose annex B is asked, at `url`, as a user that it knows.

    One of id and name is needed. `period_seconds` None asks only when somebody says so.
    """

    url: str
    centre_id: int | None = None
    centre_name: str | None = None
    username: str = "simulator"
    password: str = field(default="simulator", repr=False)
    period_seconds: float | None = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringSettings:
    """Says how the monitoring platform behaves.

    `users` has the password of each. `sign` None demands no signature, and signs no question.
    `uses_http_statuses` tells failures by the HTTP status as well as by the code. With
    `has_open_groups` the members of groups without identifiers may stand in the message itself.
    The maxima bound what the database holds.
    """

    users: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_USERS))
    token_seconds: int = 3600
    sign: SignSettings | None = None
    uses_http_statuses: bool = False
    has_open_groups: bool = False
    asked: tuple[AskedCentre, ...] = ()
    ask_timeout_seconds: float = 10.0
    projects_maximum: int = 1000
    centres_maximum: int = 1000
    months_maximum: int = 10_000
    answers_kept: int = 10_000
