"""The settings of TLS, of a listener and of a client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from agent.config.kinds import FilePath, PrivateFilePath

ClientCertificate = Annotated[
    FilePath | None, Meta(description="PEM file of our own certificate, for mutual TLS.")
]
ClientPrivateKey = Annotated[
    PrivateFilePath | None,
    Meta(description="PEM file of its key; absent where the certificate's file holds it."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTlsSettings:
    """TLS of a listener."""

    certificate: Annotated[
        FilePath, Meta(description="PEM file with the certificate, its chain after it.")
    ]
    private_key: Annotated[
        PrivateFilePath, Meta(description="PEM file with the key, not encrypted.")
    ]
    client_ca: Annotated[
        FilePath | None,
        Meta(description="PEM file; given, only clients with a certificate of this CA may enter."),
    ] = None
