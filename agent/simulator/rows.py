"""What a table of a standard is made of, so that a message can be judged by it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(str, enum.Enum):
    """Is the type of a field, in the words of the tables."""

    STRING = "string"
    INT = "int"
    NUMBER = "number"
    BOOLEAN = "boolean"
    OBJECT = "object"
    LIST = "list"


class Form(str, enum.Enum):
    """Is a rule about the text of a string that the table gives by reference."""

    CODE = "20 digits (T/BAX 0006.1, 5.5.1)"
    IPV4 = "an IPv4 address such as 192.0.2.10"
    DATE_TIME = "a time such as 2019-06-01 23:15:22"
    MD5 = "an MD5 of 32 hexadecimal digits"
    PACKAGE_ID = "1 to 40 letters, digits, '_', '.' and '-'"
    REGION = "a code of six digits (GB/T 2260), such as 440200"
    PROJECT_IDS = "ids of projects such as 1;2, or empty"
    SLASHED_DATE = "a date such as 2024/10/29"
    MONTH = "a month such as 2024-10"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Is one row of a table.

    `length` counts characters of a string; None where the table has "-". `minimum` and `maximum`
    bound a number, both included. `values` are the listed ones; empty means any. `element` is the
    table of an object, or of each entry of a list; a list without one holds strings. `spellings`
    are other names under which the standard prints the same field. `may_be_empty` lets a mandatory
    string be "". `source` names a place other than the row itself.
    """

    number: int
    field: str
    kind: Kind
    required: bool
    length: int | None = None
    form: Form | None = None
    values: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    element: Table | None = None
    spellings: tuple[str, ...] = ()
    may_be_empty: bool = False
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Is one table: `number` as printed ("B.1"), `title` the message that it describes.

    An open one lets a message hold other fields, and keeps them.
    """

    number: str
    title: str
    rows: tuple[Row, ...]
    is_open: bool = False

    def row(self, field: str) -> Row:
        """Return the row of a field; KeyError where the table has none."""
        for row in self.rows:
            if row.field == field:
                return row
        raise KeyError(field)
