"""Chooses the checks for a machine: those of the configuration, or those possible without one."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.app import loading, named_files, once
from agent.app.centre import meter_kinds
from agent.app.doctor import (
    accounts,
    centre_api,
    clock,
    containers,
    device_api,
    keys,
    meters,
    named,
    permissions,
    platform_way,
    plugins,
    running,
    storage,
    unit,
)
from agent.app.doctor.check import Check, Finding, failed, ok, skipped, warning
from agent.app.doctor.platform_way import Target
from agent.config import drop_ins
from agent.config.load import Loaded
from agent.config.settings import Settings
from agent.errors import ConfigError
from agent.model.clock import Clock

CONFIGURATION = "configuration"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Is what the checks are about.

    `loaded` is None where the configuration cannot be used. `status` is what the running agent
    said, None where none answers, and `silence` why.
    """

    config: Path
    loaded: Loaded | None
    status: Any
    silence: str | None
    unit: dict[str, str]
    probed: plugins.Probed

    @property
    def settings(self) -> Settings:
        """Return the settings, or the defaults where there are none."""
        return self.loaded.settings if self.loaded else once.DEFAULTS


def meet(config: Path, *, state_dir: Path | None = None) -> Patient:
    """Return what is known before the first check; takes some seconds at most, and never raises.

    `state_dir` is where the agent's socket is looked for where the configuration does not tell.
    """
    try:
        loaded = loading.load_all(config)
    except ConfigError:
        loaded = None
    settings = loaded.settings if loaded else once.DEFAULTS
    folder = state_dir if state_dir and loaded is None else Path(settings.node.state_dir)
    status, silence = running.ask(folder)
    return Patient(
        config=config,
        loaded=loaded,
        status=status,
        silence=silence,
        unit=unit.properties(),
        probed=plugins.Probed(settings),
    )


def chains(patient: Patient, *, time: Clock) -> list[Sequence[Check]]:
    """Return the checks of a machine, those that need each other in one chain."""
    settings = patient.settings
    account = accounts.service_account(patient.unit)
    state_dir = Path(settings.node.state_dir)
    targets = platforms_of(settings)
    made: list[Sequence[Check]] = [
        [Check(name=CONFIGURATION, look=lambda: _configuration(patient))],
        _files(patient, account=account),
        [
            permissions.state_check(state_dir, account=account),
            storage.check(state_dir, minimum_free_gib=settings.workloads.download.minimum_free_gib),
        ],
        [clock.check()],
        [keys.self_test_check(), *(keys.key_check(each) for each in settings.acsmp)],
    ]
    made += [platform_way.chain(each, clock=time) for each in targets]
    if not targets:
        made.append([_nothing(platform_way.DNS, "the configuration names no platform", patient)])
    if patient.loaded is None:
        made.append([_nothing(device_api.NAME, "", patient)])
    else:
        made.append([device_api.check(settings, status=patient.status)])
    if settings.centre is not None:
        made.append([centre_api.check(settings.centre, status=patient.status)])
    made.append(containers.chain(settings.runtime, account=account))
    made.append(plugins.chain(settings, account=account, probed=patient.probed))
    made.append([unit.check(patient.unit)])
    made.append(running.chain(patient.status, why=patient.silence))
    each_meter = meters.checks(settings, status=patient.status, clock=time)
    if not each_meter:
        each_meter = [_nothing(meters.NAME, "the configuration names no meter", patient)]
    made += [[each] for each in each_meter]
    return made


def platforms_of(settings: Settings) -> list[Target]:
    """Return every platform that this node talks to."""
    platforms = [
        Target(
            subject=each.name,
            url=each.url,
            ca_file=each.ca_file,
            client_certificate=each.client_certificate,
            client_private_key=each.client_private_key,
            address=each.address or settings.node.address,
        )
        for each in settings.acsmp
    ]
    monitors = [
        Target(
            subject=f"monitoring {each.name}",
            url=each.url,
            ca_file=each.ca_file,
            client_certificate=each.client_certificate,
            client_private_key=each.client_private_key,
            speaks_acsmp=False,
        )
        for each in settings.monitoring
    ]
    return platforms + monitors + _sources(settings)


def _sources(settings: Settings) -> list[Target]:
    """Return what the centre's figures are asked of, beside this node."""
    if settings.centre is None:
        return []
    sources = settings.centre.sources
    nodes = sources.nodes if isinstance(sources.nodes, tuple) else ()
    targets = [
        Target(
            subject=f"node {each.url}",
            url=each.url,
            ca_file=each.ca_file,
            client_certificate=each.client_certificate,
            client_private_key=each.client_private_key,
            speaks_acsmp=False,
        )
        for each in nodes
    ]
    if sources.prometheus is not None:
        targets.append(
            Target(
                subject="prometheus",
                url=sources.prometheus.url,
                ca_file=sources.prometheus.ca_file,
                speaks_acsmp=False,
            )
        )
    return targets


def _configuration(patient: Patient) -> Finding:
    try:
        loaded = named_files.load_checked(patient.config)
        problems = meter_kinds.MeterKinds(meter_kinds.installed()).problems(loaded.settings.meters)
        if problems:
            raise ConfigError(problems)
    except ConfigError as error:
        return failed(str(error), advice=_advice(patient.config))
    if loaded.warnings:
        return warning(
            "\n".join(str(each) for each in loaded.warnings),
            advice="allowed, if it is wanted so",
        )
    return ok(f"{patient.config} is good")


def _advice(config: Path) -> str:
    try:
        config.stat()
        is_readable = os.access(config, os.R_OK)
    except FileNotFoundError:
        return "make one: computility-agent setup"
    except OSError:
        is_readable = False
    if not is_readable:
        return "run doctor as root (sudo), or as the service's own user"
    return "mend these lines; computility-agent check-config says whether it is good then"


def _files(patient: Patient, *, account: accounts.Account) -> Sequence[Check]:
    if patient.loaded is None:
        return [_nothing(permissions.FILES, "", patient)]
    return [
        files_check(patient.loaded, config=patient.config, properties=patient.unit, account=account)
    ]


def files_check(
    loaded: Loaded, *, config: Path, properties: Mapping[str, str], account: accounts.Account
) -> Check:
    """Return the check of who may read the configuration, conf.d and every file they name.

    `properties` are those of the service's unit, empty where there is none.
    """
    found = named.files(loaded)
    folder = config.parent / drop_ins.FOLDER_NAME
    parts = [folder] if accounts.is_there(folder) else []
    return permissions.files_check(
        config,
        secrets=found.secrets,
        others=[*parts, *map(Path, loaded.drop_ins), *found.others],
        account=account,
        credentials=unit.credentials(properties),
    )


def _nothing(name: str, reason: str, patient: Patient) -> Check:
    text = reason if patient.loaded is not None else "the configuration cannot be used"
    return Check(name=name, look=lambda: skipped(text))
