"""The settings of the header `sign`, which TC609 names and does not define."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from agent.config.kinds import FilePath, PrivateFilePath
from agent.model.secret import Secret

HeaderName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$",
        extra={"words": "the name of a header, such as X-Sign"},
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignSettings:
    """How requests are signed."""

    mode: Annotated[
        Literal[
            "none",
            "hmac-sm3",
            "sm3-suffix",
            "sm2",
            "hmac-sha256",
            "sha256-tif",
            "md5-suffix",
        ]
        | None,
        Meta(
            description="Scheme of the signature; absent means hmac-sm3 where a secret is given, "
            "and none otherwise.",
            examples=["hmac-sm3"],
        ),
    ] = None
    secret: Annotated[
        Secret | None,
        Meta(
            min_length=1,
            max_length=1024,
            description="Secret of both sides: `secret_file`, or `secret: ${NAME}`.",
        ),
    ] = None
    form: Annotated[
        Literal["sorted-params", "raw-body"],
        Meta(description="What is signed: the parameters in their order, or the body as it is."),
    ] = "sorted-params"
    encoding: Annotated[
        Literal["hex", "upper-hex", "base64"], Meta(description="How the signature is written.")
    ] = "hex"
    timestamp: Annotated[
        bool,
        Meta(
            description="Whether time and nonce are signed, too; without them nothing keeps a "
            "request from being played again."
        ),
    ] = True
    sign_header: Annotated[HeaderName, Meta(description="Header of the signature.")] = "sign"
    timestamp_header: Annotated[HeaderName, Meta(description="Header of the time.")] = "timestamp"
    nonce_header: Annotated[HeaderName, Meta(description="Header of the nonce.")] = "nonce"
    private_key_file: Annotated[
        PrivateFilePath | None,
        Meta(description="Our SM2 key for the mode sm2, in PEM, to sign with."),
    ] = None
    public_key_file: Annotated[
        FilePath | None,
        Meta(description="The platform's SM2 public key for the mode sm2, to check with."),
    ] = None
    sm2_form: Annotated[
        Literal["der", "raw"], Meta(description="How r and s of an SM2 signature are written.")
    ] = "der"

    @property
    def scheme(self) -> str:
        """The mode that holds, also where none is written."""
        if self.mode is not None:
            return self.mode
        return "none" if self.secret is None else "hmac-sm3"
