"""`computility-agent monitoring`: the monitoring platforms that are told of the centre."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.app.monitoring import asking as monitoring_asking
from agent.app.monitoring import questions as monitoring_questions
from agent.app.monitoring import text as monitoring_text
from agent.app.monitoring.asking import Ask
from agent.cli.actions import add_config_action
from agent.cli.main import add_json_argument, load_settings
from agent.config.settings import Settings
from agent.errors import AgentError, BadInput, PermanentError
from agent.protocols.tc609.month_report import Month
from agent.security import self_test

EPILOG = """\
example:
  computility-agent monitoring sync --dry-run
  computility-agent monitoring report 2026-01 --dry-run
  computility-agent monitoring list
"""
LIST_EPILOG = """\
example:
  computility-agent monitoring list --json | jq '.platforms[] | {name, waiting, refused}'

What waits for each platform, what it refused and why, and what it took last.
"""
SYNC_EPILOG = """\
example:
  computility-agent monitoring sync --dry-run
  computility-agent monitoring sync region

Makes projects and centre on the platforms what the configuration declares; nothing is deleted, and
what is good already is left alone. With --dry-run it only shows what differs. Without a running
agent it does the same by itself. Exit status 1: a platform failed; the others were dealt with.
"""
REPORT_EPILOG = """\
example:
  computility-agent monitoring report 2026-01 --dry-run
  computility-agent monitoring report 2026-01 region

Shows the figures of a month and what is missing, writes the report down and waits for the verdict
of the platform: at most a minute; what is not delivered then stays and is tried again by the
running agent. Exit status 1: a platform did not take it, or not yet.
"""
RELEASE_EPILOG = """\
example:
  computility-agent monitoring release region 2026-01

Sends a report that the platform refused once more, as it is. One that changed is sent by itself.
"""
VERIFY_EPILOG = """\
example:
  computility-agent monitoring verify 2026-01

Asks the platforms what they have of a month. Exit status 1: one of them has it otherwise, or not.
"""
_WAIT_SECONDS = 60.0
_Document = Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_json_argument(
        add_config_action(
            actions, "list", "list the platforms and what waits for them", LIST_EPILOG, _list
        )
    )
    syncing = add_config_action(
        actions, "sync", "make platforms what was declared", SYNC_EPILOG, _sync
    )
    _add_names(syncing)
    _add_dry_run(syncing)
    add_json_argument(syncing)
    reporting = add_config_action(
        actions, "report", "show and send a month", REPORT_EPILOG, _report
    )
    _add_month(reporting)
    _add_names(reporting)
    _add_dry_run(reporting)
    reporting.add_argument("--no-wait", action="store_true", help="wait for no verdict")
    reporting.add_argument(
        "--again", action="store_true", help="send it even if the platform took or refused the same"
    )
    add_json_argument(reporting)
    releasing = add_config_action(
        actions, "release", "send a refused month again", RELEASE_EPILOG, _release
    )
    releasing.add_argument("name", metavar="NAME")
    _add_month(releasing)
    add_json_argument(releasing)
    verifying = add_config_action(
        actions, "verify", "ask platforms what they have", VERIFY_EPILOG, _verify
    )
    _add_month(verifying)
    _add_names(verifying)
    add_json_argument(verifying)


def execute(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    return int(arguments.act(arguments))


def _list(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments, may_be_empty=True)
    with monitoring_asking.opened(settings) as ask:
        document = ask(monitoring_questions.LIST)
    if arguments.json:
        _print(document)
    else:
        print(monitoring_text.platforms(document))
    return 0


def _sync(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)

    def one(ask: Ask, name: str) -> _Document:
        _progress(f"{name}: asking" if arguments.dry_run else f"{name}: comparing and changing")
        return ask(monitoring_questions.SYNC, platform=name, apply=not arguments.dry_run)

    return _each(settings, arguments, one, text=monitoring_text.entities)


def _report(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    month = _month(arguments.month)

    def one(ask: Ask, name: str) -> _Document:
        found = dict(
            ask(
                monitoring_questions.REPORT,
                platform=name,
                month=month,
                submit=not arguments.dry_run,
                again=arguments.again,
            )
        )
        if not arguments.dry_run and not arguments.no_wait:
            found["fate"] = _verdict(ask, name, month=month, fate=found["fate"])
        return found

    def text(found: _Document) -> str:
        words = monitoring_text.report(found)
        if found["is_new"] is None:
            return words
        note = "" if found["is_new"] else "nothing new: "
        return f"{words}\n  {note}{monitoring_text.fate(found['fate'])}"

    def is_good(found: _Document) -> bool:
        state = found["fate"]["state"]
        taken = ("delivered", "waiting") if arguments.no_wait else ("delivered",)
        return bool(arguments.dry_run or state in taken)

    return _each(
        settings, arguments, one, text=text, is_good=is_good, delivers=not arguments.dry_run
    )


def _release(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    month = _month(arguments.month)
    arguments.names = [arguments.name]

    def one(ask: Ask, name: str) -> _Document:
        found = dict(ask(monitoring_questions.RELEASE, platform=name, month=month))
        found["fate"] = _verdict(ask, name, month=month, fate=found["fate"])
        return found

    return _each(
        settings,
        arguments,
        one,
        text=lambda found: f"{found['platform']}  {month}  {monitoring_text.fate(found['fate'])}",
        is_good=lambda found: found["fate"]["state"] == "delivered",
        delivers=True,
    )


def _verify(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    month = _month(arguments.month)
    return _each(
        settings,
        arguments,
        lambda ask, name: ask(monitoring_questions.VERIFY, platform=name, month=month),
        text=monitoring_text.verification,
        is_good=lambda found: found["is_there"] and not found["differences"],
    )


def _each(
    settings: Settings,
    arguments: argparse.Namespace,
    one: Callable[[Ask, str], _Document],
    *,
    text: Callable[[_Document], str],
    is_good: Callable[[_Document], bool] = lambda _: True,
    delivers: bool = False,
) -> int:
    """Do one thing with each platform; one that fails does not keep the next from its turn."""
    names = _names(settings, arguments.names)
    found: list[_Document] = []
    are_good = True
    with monitoring_asking.opened(settings, delivers=delivers) as ask:
        for name in names:
            try:
                document = one(ask, name)
            except BadInput:
                raise
            except AgentError as error:
                _progress("")
                are_good = False
                found.append({"platform": name, "error": str(error)})
                print(f"computility-agent: {name}: {error}", file=sys.stderr)
                continue
            _progress("")
            found.append(document)
            are_good = are_good and is_good(document)
            if not arguments.json:
                print(text(document), flush=True)
    if arguments.json:
        _print({"platforms": found})
    return 0 if are_good else 1


def _verdict(ask: Ask, name: str, *, month: str, fate: _Document) -> _Document:
    """Return what became of a month, once it is settled, or no attempt is near."""
    end_seconds = time.monotonic() + _WAIT_SECONDS
    while fate["state"] == "waiting" and (left_seconds := end_seconds - time.monotonic()) > 0:
        _progress(f"{name}: {monitoring_text.fate(fate)}")
        found = ask(
            monitoring_questions.FATE,
            platform=name,
            month=month,
            mark=fate["mark"],
            seconds=left_seconds,
        )
        fate = found["fate"]
        if fate["reason"]:
            # It was tried, and is tried again later: nobody has to wait for that here.
            break
    return fate


def _settings(arguments: argparse.Namespace, *, may_be_empty: bool = False) -> Settings:
    settings = load_settings(arguments)
    if settings.monitoring:
        self_test.run()
    elif not may_be_empty:
        raise PermanentError("no platform is configured: see the section monitoring")
    return settings


def _names(settings: Settings, names: Sequence[str]) -> tuple[str, ...]:
    known = [each.name for each in settings.monitoring]
    for name in names:
        if name not in known:
            raise BadInput(
                f"there is no platform called {name}; the configuration has {', '.join(known)}"
            )
    return tuple(dict.fromkeys(names)) or tuple(known)


def _month(text: str) -> str:
    try:
        return str(Month.parse(text))
    except ValueError as error:
        raise BadInput(str(error)) from error


def _add_names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", help="a platform; default: all")


def _add_month(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("month", metavar="MONTH", help="such as 2026-01")


def _add_dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="change and send nothing")


def _print(document: _Document) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=2))


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
