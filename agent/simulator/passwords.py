"""Reads the password of a registration: with the platform's SM2 key, in whatever layout it came."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.security import sm2
from agent.simulator.refusal import Refusal, ResultCode
from agent.simulator.rows import Table
from agent.simulator.validation import Finding

PASSWORD_BYTES_MAXIMUM = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPassword:
    """Is a password and how it came: "C1C3C2, 04, hex", or "plain" with a finding."""

    password: str = field(repr=False)
    layout: str
    findings: tuple[Finding, ...] = ()


class PasswordReader:
    """Decrypts passwords; safe in every thread.

    `allow_plain` takes a text that is no ciphertext for the password itself. The standard only
    recommends SM2, so that may be what a site has; it is always shown as a finding.
    """

    def __init__(self, private_key: sm2.PrivateKey, *, allow_plain: bool) -> None:
        self._private_key = private_key
        self._allow_plain = allow_plain

    def read(self, text: str, *, table: Table) -> ReadPassword:
        """Return the password of the field `Password` of `table`.

        Raises:
            Refusal: it does not decrypt, or is not 1 to 32 bytes of UTF-8.
        """
        try:
            decrypted = sm2.decrypt(self._private_key, text)
        except sm2.Sm2CiphertextError as error:
            return self._plain(text, table=table, error=error)
        length = len(decrypted.plaintext)
        if not 1 <= length <= PASSWORD_BYTES_MAXIMUM:
            raise _refusal(table, f"the decrypted password has {length} bytes, 1 to 32 are allowed")
        try:
            password = decrypted.plaintext.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _refusal(table, "the decrypted password is not UTF-8") from error
        return ReadPassword(password=password, layout=_words(decrypted.layout))

    def _plain(self, text: str, *, table: Table, error: sm2.Sm2CiphertextError) -> ReadPassword:
        if not self._allow_plain:
            raise _refusal(table, error.reason) from error
        length = len(text.encode())
        if length > PASSWORD_BYTES_MAXIMUM:
            raise _refusal(
                table,
                f"no ciphertext of this key, and as a plain password too long: {length} bytes, "
                "32 are allowed",
            ) from error
        finding = _finding(table, "was sent plain; SM2 is recommended", fatal=False)
        return ReadPassword(password=text, layout="plain", findings=(finding,))


def _words(layout: sm2.Layout) -> str:
    if layout.der:
        return f"DER, {layout.encoding}"
    prefix = "04" if layout.point_prefix else "no 04"
    return f"{layout.order.upper()}, {prefix}, {layout.encoding}"


def _finding(table: Table, problem: str, *, fatal: bool) -> Finding:
    row = table.row("Password")
    return Finding(
        table=table.number, row=row.number, field=row.field, problem=problem, fatal=fatal
    )


def _refusal(table: Table, problem: str) -> Refusal:
    finding = _finding(table, problem, fatal=True)
    return Refusal(str(finding), code=ResultCode.PASSWORD_UNREADABLE, findings=[finding])
