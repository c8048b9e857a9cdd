"""Makes an hour of the centre from the readings in the ledger, with every step of the way.

Nothing is kept here: the same readings and settings give the same hour whenever they are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from agent.centre.bills import Bills, Consumed, spread_meters
from agent.centre.ledger import Ledger
from agent.centre.meter_figures import MeterFigures, MeterStretch
from agent.config.meter_settings import LedgerSettings, MeterSettings
from agent.metering import figures, roles
from agent.metering.explain import Step
from agent.metering.roles import Term
from agent.model.metering import CentreHour, Figure, MeterRole

# Bought for a time and not measured in it, where the meter is one of bills.
_BOUGHT = (MeterRole.GREEN_PURCHASED, MeterRole.GREEN_CERTIFICATE)

Found: TypeAlias = "tuple[Figure, tuple[Step, ...]]"


class Stretch:
    """Holds what several hours in a row are made of, so that each reading is looked at once."""

    def __init__(
        self, meters: MeterFigures, *, start_at: datetime, end_at: datetime, consumed: Consumed
    ) -> None:
        self._meters = meters
        self._start_at = start_at
        self._end_at = end_at
        self._stretches: dict[tuple[str, bool], MeterStretch] = {}
        self.consumed = consumed

    def meter(self, name: str, *, is_water: bool) -> MeterStretch:
        """Return the readings of a meter."""
        key = (name, is_water)
        if key not in self._stretches:
            self._stretches[key] = self._meters.stretch(
                name, is_water=is_water, start_at=self._start_at, end_at=self._end_at
            )
        return self._stretches[key]


class HourMaker:
    """Makes hours by the settings of the meters; safe in every thread."""

    def __init__(
        self, ledger: Ledger, *, meters: Sequence[MeterSettings], settings: LedgerSettings
    ) -> None:
        self._ledger = ledger
        self._meters = {meter.name: meter for meter in meters}
        self._spread = spread_meters(meters)
        self.bills = Bills(ledger, names=self._spread)
        self.meter_figures = MeterFigures(ledger, meters=meters, settings=settings)
        self._terms: Mapping[MeterRole, tuple[Term, ...]] = {
            role: tuple(
                Term(sign=-1 if text.startswith("-") else 1, meter=meter.name)
                for meter in meters
                for text in meter.roles
                if text.removeprefix("-") == role.value
            )
            for role in MeterRole
        }

    @property
    def measuring(self) -> tuple[str, ...]:
        """The meters that have a role and are read again and again."""
        return tuple(
            name for name, meter in self._meters.items() if meter.roles and name not in self._spread
        )

    def is_bought(self, name: str, role: MeterRole) -> bool:
        """Tell whether a meter's part in a role is spread from bills."""
        return role in _BOUGHT and name in self._spread

    def stretch(self, start_at: datetime, end_at: datetime, *, consumed: Consumed) -> Stretch:
        """Return what helps to make many hours; readings that come later have no say in them."""
        return Stretch(self.meter_figures, start_at=start_at, end_at=end_at, consumed=consumed)

    def make(
        self,
        start_at: datetime,
        *,
        version: int,
        closed_at: datetime,
        stretch: Stretch | None = None,
    ) -> tuple[CentreHour, tuple[Step, ...]]:
        """Return the 60 minutes from `start_at` on, and how every figure of it was found.

        With a `stretch` the hour is the same, and the steps are not told.
        """
        found: dict[MeterRole, Figure | None] = {}
        steps: list[Step] = []
        for role in MeterRole:

            def figure_of(name: str, role: MeterRole = role) -> Found:
                return self._hour_of(
                    name,
                    role,
                    start_at=start_at,
                    consumption=found.get(MeterRole.FACILITY_TOTAL),
                    stretch=stretch,
                )

            found[role], way = self.role(role, figure_of)
            steps.extend(way)
        hour, way = figures.centre_hour(
            start_at,
            version=version,
            closed_at=closed_at,
            facility=found[MeterRole.FACILITY_TOTAL],
            it=found[MeterRole.IT],
            green_direct=found[MeterRole.GREEN_DIRECT],
            green_purchased=found[MeterRole.GREEN_PURCHASED],
            green_certificate=found[MeterRole.GREEN_CERTIFICATE],
            water=found[MeterRole.WATER],
        )
        return hour, (*steps, *way)

    def role(
        self, role: MeterRole, figure_of: Callable[[str], Found]
    ) -> tuple[Figure | None, tuple[Step, ...]]:
        """Return what the meters of a role come to together; None where no meter has it."""
        terms = self._terms[role]
        if not terms:
            return None, ()
        parts: dict[str, Figure] = {}
        steps: list[Step] = []
        for term in terms:
            parts[term.meter], way = figure_of(term.meter)
            steps.append(Step(text=f"{role.value}: meter {term.meter}.", fields={}))
            steps.extend(way)
        if len(terms) == 1 and terms[0].sign == 1:
            return parts[terms[0].meter], tuple(steps)
        total, way = roles.combine(terms, parts)
        steps.append(Step(text=f"{role.value}: its meters together.", fields={}))
        return total, (*steps, *way)

    def _hour_of(
        self,
        name: str,
        role: MeterRole,
        *,
        start_at: datetime,
        consumption: Figure | None,
        stretch: Stretch | None,
    ) -> Found:
        if self.is_bought(name, role):
            return self.bills.share(
                name,
                start_at=start_at,
                consumption=consumption,
                consumed=None if stretch is None else stretch.consumed,
            )
        is_water = role is MeterRole.WATER
        part = None if stretch is None else stretch.meter(name, is_water=is_water)
        return self.meter_figures.hour(name, is_water=is_water, start_at=start_at, stretch=part)
