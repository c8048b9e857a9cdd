"""How one platform signs: what a configuration says of the header `sign`."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from agent.model.secret import Secret
from agent.security.sm2 import PrivateKey, PublicKey


class Scheme(str, enum.Enum):
    """Says how the canonical text and the secret become a signature."""

    NONE = "none"
    HMAC_SM3 = "hmac-sm3"
    SM3_SUFFIX = "sm3-suffix"
    SM2 = "sm2"
    HMAC_SHA256 = "hmac-sha256"
    SHA256_TIF = "sha256-tif"
    MD5_SUFFIX = "md5-suffix"


class CanonicalForm(str, enum.Enum):
    """Says which text of a request is signed."""

    SORTED_PARAMS = "sorted-params"
    RAW_BODY = "raw-body"


class Sm2Form(str, enum.Enum):
    """Says how r and s of a signature by SM2 follow each other; both are accepted."""

    DER = "der"
    RAW = "raw"


class Encoding(str, enum.Enum):
    """Says how the bytes of a signature are written."""

    HEX = "hex"
    UPPER_HEX = "upper-hex"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOptions:
    """Is how one platform signs.

    Without `has_timestamp` neither timestamp nor nonce is sent or demanded, and nothing keeps a
    request from being played again. `sha256-tif`, the way of government gateways, signs timestamp,
    secret and nonce and no parameter: it always has both, with the timestamp in seconds where the
    others have milliseconds. `sm2` signs with a private key of ours and checks with a public key of
    theirs, over SM3; one of the two is enough for one direction. A secret, if there is one, follows
    the canonical text then, as it does for `sm3-suffix`.
    """

    scheme: Scheme = Scheme.HMAC_SM3
    secret: Secret = field(default_factory=lambda: Secret(""))
    form: CanonicalForm = CanonicalForm.SORTED_PARAMS
    encoding: Encoding = Encoding.HEX
    has_timestamp: bool = True
    sign_header: str = "sign"
    timestamp_header: str = "timestamp"
    nonce_header: str = "nonce"
    private_key: PrivateKey | None = None
    public_key: PublicKey | None = None
    sm2_form: Sm2Form = Sm2Form.DER

    def __post_init__(self) -> None:
        if self.scheme is Scheme.SM2:
            if self.private_key is None and self.public_key is None:
                raise ValueError("the scheme sm2 needs a private or a public key")
        elif self.scheme is not Scheme.NONE and not self.secret.reveal():
            raise ValueError(f"the scheme {self.scheme.value} needs a secret")
        if self.scheme is Scheme.SHA256_TIF and not self.has_timestamp:
            raise ValueError("the scheme sha256-tif signs the timestamp, so it needs one")
