"""The flags of `simulate` that are about the monitoring platform."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.errors import PermanentError
from agent.security import sm2
from agent.security.keys import read_public_key
from agent.simulator.monitoring.centre_client import BadCentre
from agent.simulator.monitoring.control import parse_centre
from agent.simulator.monitoring.settings import (
    DEFAULT_USERS,
    AskedCentre,
    MonitoringSettings,
    SignEncoding,
    SignScheme,
    SignSettings,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags to a parser, as a group."""
    group = parser.add_argument_group("the monitoring platform (TC609)")
    group.add_argument(
        "--user",
        type=_user,
        action="append",
        metavar="NAME:PASSWORD",
        help="repeatable; who may ask for a token at /api/token (simulator:simulator)",
    )
    group.add_argument(
        "--token-seconds",
        type=_token_seconds,
        default=3600,
        metavar="SECONDS",
        help="how long a token is valid (3600)",
    )
    group.add_argument(
        "--sign",
        type=SignScheme,
        choices=tuple(SignScheme),
        metavar="SCHEME",
        help="demand the header sign, and sign questions: "
        f"{', '.join(scheme.value for scheme in SignScheme)} (hmac-sm3 once there is a secret)",
    )
    group.add_argument("--sign-secret", metavar="TEXT", help="the secret of both sides")
    group.add_argument(
        "--sign-public-key",
        type=Path,
        metavar="FILE",
        help="SM2 public key of who signs by sm2; questions are signed with --key",
    )
    group.add_argument(
        "--sign-encoding",
        type=SignEncoding,
        choices=tuple(SignEncoding),
        default=SignEncoding.HEX,
        metavar="ENCODING",
        help=f"{', '.join(encoding.value for encoding in SignEncoding)} (hex)",
    )
    group.add_argument(
        "--sign-raw-body", action="store_true", help="the body as sent is signed, not its fields"
    )
    group.add_argument("--sign-login", action="store_true", help="/api/token is signed, too")
    group.add_argument(
        "--http-statuses",
        action="store_true",
        help="failures have an HTTP status, too (400, 401, 403); 200 without",
    )
    group.add_argument(
        "--open-groups",
        action="store_true",
        help="groups that the standard gives no name need not be there; what they hold may stand "
        "beside the other fields",
    )
    group.add_argument(
        "--ask-centre",
        type=_centre,
        action="append",
        default=[],
        metavar="URL,KEY=VALUE…",
        help="repeatable; ask a centre for annex B; keys: centerId, centerName (one is needed), "
        "username, password (simulator), seconds (60)",
    )


def settings_of(arguments: argparse.Namespace) -> MonitoringSettings:
    """Return what the flags say.

    Raises:
        PermanentError: they do not fit together, or the key cannot be read.
    """
    return MonitoringSettings(
        users=dict(arguments.user) if arguments.user else dict(DEFAULT_USERS),
        token_seconds=arguments.token_seconds,
        sign=_sign(arguments),
        uses_http_statuses=arguments.http_statuses,
        has_open_groups=arguments.open_groups,
        asked=tuple(arguments.ask_centre),
    )


def _sign(arguments: argparse.Namespace) -> SignSettings | None:
    secret: str = arguments.sign_secret or ""
    scheme: SignScheme | None = arguments.sign
    if scheme is None and not secret:
        if arguments.sign_public_key is not None or arguments.sign_login:
            raise PermanentError("--sign-public-key and --sign-login need --sign")
        return None
    scheme = scheme or SignScheme.HMAC_SM3
    public_key: sm2.PublicKey | None = None
    if scheme is SignScheme.SM2:
        if arguments.sign_public_key is None:
            raise PermanentError("--sign sm2 needs --sign-public-key")
        public_key = read_public_key(arguments.sign_public_key)
    elif not secret:
        raise PermanentError(f"--sign {scheme.value} needs --sign-secret")
    return SignSettings(
        scheme=scheme,
        secret=secret,
        encoding=arguments.sign_encoding,
        covers_raw_body=arguments.sign_raw_body,
        signs_login=arguments.sign_login,
        public_key=public_key,
    )


def _user(text: str) -> tuple[str, str]:
    username, colon, password = text.partition(":")
    if not colon or not username or not password:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:PASSWORD")
    return username, password


def _token_seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= 31_536_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to 31536000")
    return int(text)


def _centre(text: str) -> AskedCentre:
    url, *pairs = text.split(",")
    description = {"url": url.strip()}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise argparse.ArgumentTypeError(f"{pair!r} is not KEY=VALUE")
        description[name.strip()] = value.strip()
    try:
        return parse_centre(description)
    except BadCentre as error:
        raise argparse.ArgumentTypeError(str(error)) from error
