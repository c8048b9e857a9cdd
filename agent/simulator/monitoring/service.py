"""Carries out the operations of annex A: token, signature, table, then what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.simulator.events import Event, EventKind, EventLog
from agent.simulator.faults import FaultKind
from agent.simulator.monitoring import messages, tables
from agent.simulator.monitoring.accounts import Accounts
from agent.simulator.monitoring.centres import Centres
from agent.simulator.monitoring.codes import Code, Refused, refused_for
from agent.simulator.monitoring.months import Months
from agent.simulator.monitoring.outcome import Operation, Outcome
from agent.simulator.monitoring.projects import Projects
from agent.simulator.monitoring.signing import HeaderLookup, Signing
from agent.simulator.rows import Table
from agent.simulator.validation import Finding, check

_LOGIN = "token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Is one request as it came; `token` None where none was sent."""

    operation: str
    method: str
    peer: str
    query: str
    body: bytes
    content_type: str | None
    header: HeaderLookup
    token: str | None
    fault: FaultKind | None


@dataclass(slots=True, kw_only=True)
class _Log:
    """Collects what one request gives for the log."""

    text: str = ""
    user: str | None = None
    findings: tuple[Finding, ...] = ()


class MonitoringService:
    """Serves annex A and logs each request; safe in every thread.

    `signing` None demands no signature. `strict_extra` refuses fields that no table has;
    `has_open_groups` takes them for members of the groups without identifiers.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        signing: Signing | None,
        projects: Projects,
        centres: Centres,
        months: Months,
        events: EventLog,
        strict_extra: bool,
        has_open_groups: bool,
        uses_http_statuses: bool,
    ) -> None:
        self._accounts = accounts
        self._signing = signing
        self._events = events
        self._strict_extra = strict_extra
        self._uses_http_statuses = uses_http_statuses
        operations: dict[str, tuple[Table, Operation]] = {
            "createProject": (tables.PROJECT_CREATION, projects.create),
            "changeProject": (tables.PROJECT_CHANGE, projects.change),
            "queryProject": (tables.PROJECT_QUERY, projects.query),
            "createCenter": (tables.CENTRE_CREATION, centres.create),
            "changeCenter": (tables.CENTRE_CHANGE, centres.change),
            "queryCenter": (tables.CENTRE_QUERY, centres.query),
            "monthReport": (tables.MONTH_REPORT, months.report),
            "queryMonthReport": (tables.MONTH_QUERY, months.query),
        }
        with_groups = ("createProject", "changeProject", "monthReport")
        self._operations = {
            name: (
                tables.with_open_groups(table)
                if has_open_groups and name in with_groups
                else table,
                operation,
            )
            for name, (table, operation) in operations.items()
        }

    def serve(self, exchange: Exchange) -> tuple[int, dict[str, Any]]:
        """Return HTTP status and body of the answer to one request."""
        log = _Log()
        try:
            if exchange.operation == _LOGIN:
                body = self._log_in(exchange, log)
            else:
                body = self._operate(exchange, log)
        except Refused as refused:
            return self._refuse(exchange, log, refused)
        self._note(exchange, log, code=Code.SUCCESS, status=200)
        return 200, {"code": int(Code.SUCCESS), **body}

    def _log_in(self, exchange: Exchange, log: _Log) -> dict[str, Any]:
        if self._signing is not None and self._signing.signs_login:
            self._check_sign(exchange, self._signing)
        value = self._read(exchange, log, tables.TOKEN_REQUEST)
        token = self._accounts.log_in(value["username"], value["password"])
        log.user = value["username"]
        log.text = "gave a token"
        return {"token": token, "expiresIn": self._accounts.token_seconds}

    def _operate(self, exchange: Exchange, log: _Log) -> dict[str, Any]:
        if exchange.fault is FaultKind.EXPIRE_TOKEN:
            self._accounts.end(exchange.token)
        log.user = self._accounts.user_of(exchange.token)
        if self._signing is not None:
            self._check_sign(exchange, self._signing)
        table, operate = self._operations[exchange.operation]
        value = self._read(exchange, log, table)
        outcome: Outcome = operate(value, log.user)
        log.findings += outcome.notes
        log.text = outcome.text
        return {} if outcome.data is None else {"data": outcome.data}

    def _read(self, exchange: Exchange, log: _Log, table: Table) -> Mapping[str, Any]:
        if exchange.method == "GET":
            message: Any = messages.of_query(exchange.query, table)
        else:
            message = messages.of_body(exchange.body, content_type=exchange.content_type)
        checked = check(message, table, strict_extra=self._strict_extra)
        log.findings = checked.findings
        if not checked.accepted:
            raise refused_for(checked.findings)
        return checked.value

    def _check_sign(self, exchange: Exchange, signing: Signing) -> None:
        signing.check(query=exchange.query, body=exchange.body, header=exchange.header)

    def _refuse(
        self, exchange: Exchange, log: _Log, refused: Refused
    ) -> tuple[int, dict[str, Any]]:
        known = set(log.findings)
        log.findings += tuple(each for each in refused.findings if each not in known)
        log.text = f"refused with {int(refused.code)}: {refused.message}"
        status = refused.code.http_status if self._uses_http_statuses else 200
        self._note(exchange, log, code=refused.code, status=status)
        return status, {"code": int(refused.code), "msg": refused.message}

    def _note(self, exchange: Exchange, log: _Log, *, code: Code, status: int) -> None:
        who = exchange.peer if log.user is None else f"{log.user!r} at {exchange.peer}"
        self._events.add(
            Event(
                kind=EventKind.REQUEST,
                operation=exchange.operation,
                accepted=code is Code.SUCCESS,
                status=status,
                result_code=int(code),
                text=f"{exchange.operation} of {who}: {log.text}",
                findings=log.findings,
                details={"peer": exchange.peer, "user": log.user},
            )
        )
