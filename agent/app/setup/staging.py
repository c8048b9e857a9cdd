"""Loads a configuration that is not written yet, as it would be: beside the files of its folder."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.app import loading, named_files
from agent.app.centre import meter_kinds
from agent.app.setup.answers import Answers
from agent.app.setup.plan import Plan
from agent.config.load import Loaded
from agent.config.settings import AcsmpSettings, Settings
from agent.errors import ConfigError, PermanentError


class Stage:
    """Is a folder that mirrors that of the configuration, every other file as a link."""

    def __init__(self, folder: Path, *, plan: Plan) -> None:
        self._folder = folder
        self._plan = plan
        self._path = folder / plan.config.name

    def before(self, text: str | None) -> Loaded | None:
        """Return the settings of the text that is to be changed; None if they are not good."""
        if text is None:
            return None
        try:
            return self._load(text, load=loading.load_all)
        except ConfigError:
            return None

    def after(self) -> Loaded:
        """Return the settings of the plan, checked as `check-config` does.

        Raises:
            ConfigError: they are not good; with the paths that they will have.
        """
        loaded = self._load(self._plan.text, load=named_files.load_checked)
        problems = meter_kinds.MeterKinds(meter_kinds.installed()).problems(loaded.settings.meters)
        if problems:
            raise ConfigError(problems)
        return loaded

    def _load(self, text: str, *, load: Callable[[Path], Loaded]) -> Loaded:
        self._path.write_text(text, encoding="utf-8", newline="")
        there, here = str(self._folder), str(self._plan.config.absolute().parent)
        try:
            return load(self._path)
        except ConfigError as error:
            raise ConfigError(
                [
                    dataclasses.replace(
                        each,
                        file=each.file.replace(there, here),
                        message=each.message.replace(there, here),
                    )
                    for each in error.problems
                ]
            ) from error


@contextmanager
def staged(plan: Plan) -> Iterator[Stage]:
    """Give a stage for a plan; the new files on it are for this user alone, and gone at the end."""
    folder = plan.config.absolute().parent
    with tempfile.TemporaryDirectory(prefix="computility-agent-setup-") as name:
        stage = Path(name)
        for each in folder.iterdir() if folder.is_dir() else ():
            if each.name not in plan.files and each.name != plan.config.name:
                (stage / each.name).symlink_to(each)
        for key, file in plan.files.items():
            path = stage / key
            path.touch(mode=0o600)
            path.write_text(file.text, encoding="utf-8")
        yield Stage(stage, plan=plan)


def verify(loaded: Loaded, answers: Answers, *, before: Loaded | None) -> None:
    """Return if the answers are in force, and nothing else has changed.

    `before` are the settings of the same folder before the change, None where they were not good.

    Raises:
        PermanentError: something else decides, such as a file of conf.d.
    """
    settings = loaded.settings
    platform = next((each for each in settings.acsmp if each.name == answers.platform), None)
    device_api = settings.device_api
    wanted = {
        "node.code": (settings.node.code, answers.code),
        "node.type": (settings.node.type, answers.node_type),
        "acsmp.url": (platform and platform.url, answers.url),
        "device_api.username": (device_api and device_api.username, answers.username),
        "device_api.password": (device_api and device_api.password, answers.password),
        "device_api.listen": (device_api and device_api.listen, answers.listen),
        "node.state_dir": (settings.node.state_dir, answers.state_dir),
    }
    for key, (found, answer) in wanted.items():
        if answer is not None and found != answer:
            raise PermanentError(
                f"{key} is not what was answered: another file decides it, "
                f"{', '.join(loaded.drop_ins) or 'or the text cannot be edited'}; change it there"
            )
    if before is not None and not _is_same_otherwise(settings, before.settings, answers):
        raise PermanentError(
            "the configuration is written in a way that setup cannot edit safely: "
            "edit it by hand, then run check-config"
        )


def _is_same_otherwise(new: Settings, old: Settings, answers: Answers) -> bool:
    """Tell whether only what was asked differs."""
    node = dataclasses.replace(
        new.node, code=old.node.code, type=old.node.type, state_dir=old.node.state_dir
    )
    device_api = old.device_api
    if device_api is not None and new.device_api is not None:
        device_api = dataclasses.replace(
            new.device_api,
            username=device_api.username,
            password=device_api.password,
            listen=device_api.listen,
        )
    platforms = [
        _as_before(each, old) if each.name == answers.platform else each for each in new.acsmp
    ]
    if all(each.name != answers.platform for each in old.acsmp):
        platforms = [each for each in platforms if each.name != answers.platform]
    acsmp = tuple(platforms)
    return dataclasses.replace(new, node=node, device_api=device_api, acsmp=acsmp) == old


def _as_before(platform: AcsmpSettings, old: Settings) -> AcsmpSettings:
    was = next((each for each in old.acsmp if each.name == platform.name), None)
    if was is None:
        return platform
    return dataclasses.replace(
        platform,
        url=was.url,
        sm2_public_key_file=was.sm2_public_key_file,
        ca_file=was.ca_file,
    )
