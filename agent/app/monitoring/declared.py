"""What a platform's settings declare: projects, centre and the names in its reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from agent.app.monitoring import figures_source
from agent.config.load import Loaded
from agent.config.monitoring_settings import (
    GroupSettings,
    MonitoringSettings,
    ProjectSettings,
    ReportedCentreSettings,
)
from agent.config.settings import Settings
from agent.errors import ConfigError, ConfigProblem
from agent.protocols.tc609 import month_report
from agent.protocols.tc609.declared import (
    CLUSTERS,
    HUBS,
    CentreType,
    DeclaredCentre,
    DeclaredProject,
)
from agent.protocols.tc609.figures_file import Figures
from agent.protocols.tc609.month_report import MissingMember
from agent.protocols.tc609.report_map import (
    DEFAULT_MAP,
    Group,
    GroupMap,
    Kind,
    Member,
    ReportMap,
)
from agent.protocols.tc609.sync import Declaration

_TITLES = {member.figure: member.title for member in DEFAULT_MAP.figures(*Group)}


def report_map(settings: MonitoringSettings) -> ReportMap:
    """Return the names that a platform wants, the default ones where it says nothing.

    Raises:
        ValueError: two fields have one name, or a figure is of two kinds.
    """
    wanted = settings.map
    return ReportMap(
        investment=_group(wanted.investment, Group.INVESTMENT),
        supply=_group(wanted.supply, Group.SUPPLY),
        application=_group(wanted.application, Group.APPLICATION),
        electricity=_group(wanted.electricity, Group.ELECTRICITY),
        security=_group(wanted.security, Group.SECURITY),
    )


def declaration(settings: MonitoringSettings, *, figures: Figures, names: ReportMap) -> Declaration:
    """Return what a platform should have; `figures` are those of its file.

    Raises:
        ValueError: a field is not as the standard wants it; names the field.
    """
    projects = []
    for project in settings.projects:
        investment, _ = month_report.render_investment(
            figures, project=project.name, report_map=names
        )
        projects.append(
            DeclaredProject(
                name=project.name,
                province=project.province,
                cluster=project.cluster,
                hub=project.hub,
                investment=investment,
            )
        )
    return Declaration(projects=tuple(projects), centres=(_centre(settings.centre),))


def missing_of_projects(
    settings: MonitoringSettings, *, figures: Figures, names: ReportMap
) -> Mapping[str, Sequence[MissingMember]]:
    """Return by the names of projects what nobody filled in of them."""
    return {
        project.name: month_report.render_investment(
            figures, project=project.name, report_map=names
        )[1]
        for project in settings.projects
    }


def problems(loaded: Loaded) -> Iterator[ConfigProblem]:
    """Yield what the standard does not allow in the settings of platforms, with its place."""
    for index, platform in enumerate(loaded.settings.monitoring):
        key = f"monitoring[{index}]"
        try:
            names = report_map(platform)
        except ValueError as error:
            yield loaded.problem(f"{key}.map", str(error))
            continue
        of_codes = [
            problem
            for number, project in enumerate(platform.projects)
            for problem in _codes(loaded, f"{key}.projects[{number}]", project)
        ]
        of_codes += _codes(loaded, f"{key}.centre", platform.centre)
        yield from of_codes
        if not of_codes:
            try:
                declaration(platform, figures=Figures(), names=names)
            except ValueError as error:
                yield loaded.problem(key, str(error))


def problems_of_figures(settings: Settings) -> Iterator[ConfigProblem]:
    """Yield everything that is wrong in the platforms' files of figures."""
    declared: dict[str, set[str]] = {}
    told: dict[str, set[str]] = {}
    for platform in settings.monitoring:
        file = platform.figures_file
        if file is None:
            continue
        try:
            figures = figures_source.load(file, report_map=report_map(platform))
        except ConfigError as error:
            yield from error.problems
            continue
        declared.setdefault(file, set()).update(project.name for project in platform.projects)
        told.setdefault(file, set()).update(figures.projects)
    for file, names in told.items():
        # Platforms may share a file, and need not have the same projects.
        for name in sorted(names - declared[file]):
            message = "no platform that has this file has a project of this name"
            yield ConfigProblem(file=file, key=f"projects.{name}", message=message)


def _group(wanted: GroupSettings | None, group: Group) -> GroupMap:
    if wanted is None:
        return DEFAULT_MAP.group(group)
    return GroupMap(
        wire_name=wanted.name,
        members=tuple(
            Member(
                wire_name=member.name,
                figure=member.figure,
                title=_TITLES.get(member.figure, member.figure),
                kind=Kind(member.kind),
            )
            for member in wanted.members
        ),
    )


def _centre(settings: ReportedCentreSettings) -> DeclaredCentre:
    in_production = settings.production_date
    return DeclaredCentre(
        name=settings.name,
        province=settings.province,
        city=settings.city,
        longitude=settings.longitude,
        latitude=settings.latitude,
        type=CentreType[settings.type.upper()],
        projects=settings.projects,
        description=settings.description,
        cluster=settings.cluster,
        hub=settings.hub,
        production_date=None if in_production is None else date.fromisoformat(in_production),
    )


def _codes(
    loaded: Loaded, key: str, settings: ProjectSettings | ReportedCentreSettings
) -> Iterator[ConfigProblem]:
    for name, code, known, annex in (
        ("cluster", settings.cluster, CLUSTERS, "D"),
        ("hub", settings.hub, HUBS, "E"),
    ):
        if code is not None and code not in known:
            codes = ", ".join(f"{each} {title}" for each, title in known.items())
            yield loaded.problem(
                f"{key}.{name}", f"{code} is not in annex {annex}; expected one of {codes}"
            )
