"""`computility-agent hash-password`: what to write down of a password instead of itself."""

from __future__ import annotations

import argparse
import getpass
import sys

from agent.errors import BadInput
from agent.model.secret import Secret
from agent.security.password_hashes import MAXIMUM_PASSWORD_BYTES, PasswordHash

EPILOG = """\
example:
  computility-agent hash-password > /etc/computility-agent/centre-city.password
  printf %s "$PASSWORD" | computility-agent hash-password

Asks twice, without showing what is typed; without a terminal it reads one line. Put the result
into the password_file of a user of the section centre (给 centre.users 使用的口令散列).
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words: there are none."""
    parser.epilog = EPILOG


def execute(_arguments: argparse.Namespace) -> int:
    """Print the hash of a password."""
    password = _ask() if sys.stdin is not None and sys.stdin.isatty() else _read()
    print(PasswordHash.of(Secret(password)).to_text())
    return 0


def _ask() -> str:
    try:
        password = getpass.getpass("password: ", stream=sys.stderr)
        again = getpass.getpass("the same again: ", stream=sys.stderr)
    except EOFError as error:
        raise BadInput("nothing was typed") from error
    if password != again:
        raise BadInput("the two are not the same")
    return _checked(password)


def _read() -> str:
    if sys.stdin is None:
        raise BadInput("standard input is closed; there is no password to read")
    # One more than may be: what is cut here would be another password.
    data = sys.stdin.buffer.read(MAXIMUM_PASSWORD_BYTES + 3)
    text = data.removesuffix(b"\n").removesuffix(b"\r")
    if b"\n" in text or b"\r" in text:
        raise BadInput("expected one line with the password, found several")
    try:
        return _checked(text.decode())
    except UnicodeDecodeError:
        raise BadInput("the password is not UTF-8") from None


def _checked(password: str) -> str:
    if not password:
        raise BadInput("the password is empty")
    try:
        length = len(password.encode())
    except UnicodeEncodeError:
        raise BadInput("the password is not UTF-8") from None
    if length > MAXIMUM_PASSWORD_BYTES:
        raise BadInput(f"the password has more than {MAXIMUM_PASSWORD_BYTES} bytes")
    return password
