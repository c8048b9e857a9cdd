"""Finds the kinds of meters that are installed, and builds meters of them.

A kind's module is imported when a meter of it is configured, and not before.
"""

from __future__ import annotations

import difflib
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent import contracts
from agent.config.meter_settings import MeterSettings
from agent.config.plugin_config import build_plugin_config
from agent.contracts import Meter
from agent.errors import ConfigError, ConfigProblem, NotPresent
from agent.model.view import AgentView
from agent.sampling import entry_points

BuildMeter = Callable[[type[Any], Any], Meter]
View = Callable[[], AgentView | None]

# It reads what the agent has read already, and so is no plugin.
ACCELERATOR_ENERGY = "accelerator_energy"


def installed() -> Mapping[str, str]:
    """Return what offers each kind of meter, as "module:class", by the name of the kind."""
    found = {ACCELERATOR_ENERGY: "agent.centre.accelerator_meter:AcceleratorMeter"}
    for each in importlib.metadata.entry_points(group=contracts.METERS):
        found.setdefault(each.name, each.value)
    return found


class MeterKinds:
    """Builds meters by their settings; `view` is what the accelerators of this node are read in."""

    def __init__(self, kinds: Mapping[str, str], *, view: View = lambda: None) -> None:
        self._kinds = kinds
        self._builders: Mapping[str, BuildMeter] = {
            ACCELERATOR_ENERGY: lambda meter_type, config: meter_type(config, view=view)
        }

    def open(self, settings: MeterSettings) -> Meter:
        """Return a meter, of which nothing has been asked yet.

        Raises:
            ConfigError: its kind is not installed, or its own settings are wrong.
            Exception: whatever importing the kind raises.
        """
        meter_type, config = self._configured(settings)
        builder = self._builders.get(settings.kind)
        meter: Meter = meter_type(config) if builder is None else builder(meter_type, config)
        return meter

    def problems(self, meters: Sequence[MeterSettings]) -> tuple[ConfigProblem, ...]:
        """Return everything that is wrong with the own settings of meters; asks no meter."""
        problems: list[ConfigProblem] = []
        for settings in meters:
            try:
                self._configured(settings)
            except ConfigError as error:
                problems += error.problems
            except Exception as error:  # noqa: BLE001 - the border to code of somebody else
                problems.append(
                    _problem(settings, f"it cannot be loaded: {type(error).__name__}: {error}")
                )
        return tuple(problems)

    def cautions(self, meters: Sequence[MeterSettings]) -> tuple[ConfigProblem, ...]:
        """Return why meters could not be read on this machine as they are set; asks no meter.

        It is no mistake for certain: a file or a driver may be missing here and be there later.
        """
        return tuple(
            _problem(settings, trouble)
            for settings in meters
            if (trouble := self._trouble(settings)) is not None
        )

    def _trouble(self, settings: MeterSettings) -> str | None:
        from agent.centre.bills import BY_HAND  # most nodes have no meters

        # Cards are known to a running agent alone; readings without a file are imported.
        if settings.kind == ACCELERATOR_ENERGY:
            return None
        if settings.kind == BY_HAND and "path" not in settings.options.values:
            return None
        try:
            meter = self.open(settings)
            try:
                meter.probe()
            finally:
                meter.close()
        except NotPresent as error:
            return f"{error.reason}; {error.hint}" if error.hint else error.reason
        except Exception as error:  # noqa: BLE001 - the border to code of somebody else
            return f"{type(error).__name__}: {error}"
        return None

    def _configured(self, settings: MeterSettings) -> tuple[type[Any], Any]:
        target = self._kinds.get(settings.kind)
        if target is None:
            near = difflib.get_close_matches(settings.kind, self._kinds, n=1)
            advice = (
                f"did you mean {near[0]}?"
                if near
                else f"installed are: {', '.join(sorted(self._kinds)) or 'none'}"
            )
            message = f"no kind of meter is called {settings.kind}; {advice}"
            raise ConfigError([_problem(settings, message)])
        meter_type = entry_points.load(target)
        return meter_type, build_plugin_config(meter_type.config_type, settings.options)


def _problem(settings: MeterSettings, message: str) -> ConfigProblem:
    options = settings.options
    # The meter's own place is not known here: that of its first setting is the nearest.
    line, column = min(options.places.values(), default=(None, None))
    drop_in = next(iter(options.files.values()), "")  # a list is never merged: all or none
    return ConfigProblem(
        file=drop_in or options.file or "configuration",
        key=options.key or f"meter {settings.name}",
        message=f"meter {settings.name}: {message}",
        line=line,
        column=column,
    )
