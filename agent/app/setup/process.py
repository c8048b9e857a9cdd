"""The whole of `setup`: gather, plan, check, try, write."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.app import loading, named_files
from agent.app.doctor import accounts, examination, report, runner, unit
from agent.app.doctor.check import State
from agent.app.setup import asking, installing, plan, staging, trying
from agent.app.setup.asking import Given
from agent.app.setup.dialog import Dialog
from agent.app.setup.plan import Plan
from agent.config.load import Loaded
from agent.config.settings import Settings
from agent.errors import BadInput, ConfigError, PermanentError
from agent.model.clock import Clock

UNIT_FOLDERS = ("/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Says how to go about it.

    `is_forced` changes what stands there already without a question; `tries` speaks to the
    platform first; `saves_anyway` writes although that failed.
    """

    is_forced: bool = False
    tries: bool = True
    saves_anyway: bool = False


def run(
    config: Path,
    given: Given,
    *,
    options: Options,
    dialog: Dialog | None,
    clock: Clock,
    say: Callable[[str], None],
) -> bool:
    """Return whether a configuration was written; without a dialog nobody is asked.

    Raises:
        BadInput: an answer is missing or wrong, or something would be overwritten.
        ConfigError: the configuration would not be good.
        PermanentError: what stands there cannot be edited.
    """
    installing.require_writable(config)
    text = plan.read_text(config)
    answers = asking.gather(given, present=_present(config, text), dialog=dialog)
    try:
        made = plan.make(answers, config=config, text=text)
    except PermanentError as error:
        if not options.is_forced:
            raise PermanentError(
                f"{error.reason}; edit {config} by hand, or let --force write a new one (the old "
                "one is kept as .bak)"
            ) from error
        text = None
        made = plan.make(answers, config=config, text=None)
    if not _may_replace(made, options=options, dialog=dialog):
        say("nothing was written 未写入任何内容")
        return False
    with staging.staged(made) as stage:
        before = stage.before(text)
        loaded = stage.after()
        staging.verify(loaded, answers, before=before)
        for warning in loaded.warnings:
            say(f"warning: {warning.key}: {warning.message}")
        if options.tries and not trying.try_out(
            loaded.settings,
            platform=answers.platform,
            clock=clock,
            on_result=lambda result: say(report.line(result)),
        ):
            saves = options.saves_anyway or (
                dialog is not None
                and dialog.agrees("It does not work yet. Save all the same? 尚未成功，仍要保存吗？")
            )
            if not saves:
                say("nothing was written 未写入任何内容 (--save-anyway, --no-try)")
                return False
    for line in installing.install(made):
        say(line)
    written = named_files.load_checked(config)
    for line in _closed_to_the_service(config, written, clock=clock):
        say(line)
    for line in next_steps(config, written.settings):
        say(line)
    return True


def next_steps(config: Path, settings: Settings) -> Sequence[str]:
    """Return what to do now, a line each."""
    if any((Path(folder) / unit.UNIT).exists() for folder in UNIT_FOLDERS):
        start = "systemctl enable computility-agent && systemctl restart computility-agent"
    else:
        start = f"computility-agent run --config {config}"
    return (
        "next steps 下一步",
        f"  {start}",
        f"  computility-agent status --config {config}",
        f"  computility-agent doctor --config {config}",
        f"  let the platform reach {settings.device_api.listen} on this machine (firewall 防火墙)"
        if settings.device_api
        else "",
    )


def _closed_to_the_service(config: Path, loaded: Loaded, *, clock: Clock) -> Sequence[str]:
    """Return what the service may not read, as doctor says it; who is not root cannot tell."""
    if os.geteuid() != 0:
        return ()
    properties = unit.properties()
    check = examination.files_check(
        loaded,
        config=config,
        properties=properties,
        account=accounts.service_account(properties),
    )
    results = runner.run([[check]], clock=clock)
    return [report.line(each) for each in results if each.state is not State.OK]


def _present(config: Path, text: str | None) -> Settings | None:
    if text is None:
        return None
    try:
        return loading.load_all(config).settings
    except ConfigError:
        return None


def _may_replace(made: Plan, *, options: Options, dialog: Dialog | None) -> bool:
    """Return whether what stands there may be changed.

    Raises:
        BadInput: it may not, and nobody can be asked.
    """
    if not made.replaced or options.is_forced:
        return True
    listed = "".join(f"\n  {each}" for each in made.replaced)
    if dialog is None:
        raise BadInput(
            f"these stand there already and would be changed; --force does so, and keeps the old "
            f"files as .bak:{listed}"
        )
    dialog.say(f"These stand there already 以下内容已存在:{listed}")
    return dialog.agrees(
        "Change them (the old files are kept as .bak)? 是否修改（旧文件保留为 .bak）"
    )
