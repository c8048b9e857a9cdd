"""The kind `accelerator_energy`: the register of one accelerator of this node.

It reads what the agent's own plugins read already, so it is built by the agent, with its view, and
not found through an entry point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agent.contracts import Meter
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.metering import MeterReading, RegisterTraits
from agent.model.view import AcceleratorView, AgentView

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MOST_SHOWN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorEnergyConfig:
    """Names the accelerator by its `uuid`, as `computility-agent collect` shows it.

    On a node with one it may be left out.
    """

    uuid: str = ""


class AcceleratorMeter:
    """Reads one card's energy from the newest view; it counts since the driver was loaded.

    One card is one meter: a sum over cards would fall when one disappears, which looks like a
    register that began anew. A role adds them up.
    """

    name: ClassVar[str] = "accelerator_energy"
    config_type: ClassVar[type[AcceleratorEnergyConfig]] = AcceleratorEnergyConfig

    def __init__(
        self,
        config: AcceleratorEnergyConfig,
        *,
        view: Callable[[], AgentView | None],
        boot_id: Path = BOOT_ID,
    ) -> None:
        """Take in `view` what returns the view of now, None where there is none yet.

        The view has to be one that ages: values that are too old are None in it.
        """
        self._config = config
        self._view = view
        self._boot_id = boot_id

    def probe(self) -> None:
        """Return if the accelerator is in the view.

        Raises:
            NotPresent: it is not, or several are and none is named.
        """
        try:
            self._find(self._newest())
        except ReadingUnavailable as error:
            raise NotPresent(error.reason, hint=error.hint) from error

    def read(self) -> MeterReading:
        """Return register and power; raises ReadingUnavailable if neither is known now."""
        view = self._newest()
        found = self._find(view)
        reading = found.reading
        if reading.energy_joules is None and reading.power_watts is None:
            reasons = (reading.unknown.get(each) for each in ("energy_joules", "power_watts"))
            told = "; ".join(dict.fromkeys(each for each in reasons if each))
            raise ReadingUnavailable(f"{reading.uuid}: {told or 'neither energy nor power'}")
        unknown = {
            name: reading.unknown.get(name, "not told")
            for name in ("energy_joules", "power_watts")
            if getattr(reading, name) is None
        }
        return MeterReading(
            taken_at=view.taken_at,
            energy_joules=reading.energy_joules,
            power_watts=reading.power_watts,
            reset_marker=self._marker(reading.uuid),
            unknown={**unknown, "water_millilitres": "an accelerator tells no water"},
        )

    def traits(self) -> RegisterTraits:
        """Return the smallest step; 64 bits of millijoules wrap after the card is gone."""
        return RegisterTraits(resolution=1)

    def close(self) -> None:
        """Release nothing: the view belongs to the sampler."""

    def _newest(self) -> AgentView:
        view = self._view()
        if view is None:
            raise ReadingUnavailable("the accelerators were not read yet")
        return view

    def _find(self, view: AgentView) -> AcceleratorView:
        wanted = self._config.uuid
        cards = [each for each in view.accelerators if each.accelerator.parent_uuid is None]
        for each in view.accelerators:
            if wanted and each.accelerator.uuid == wanted:
                return each
        if not wanted and len(cards) == 1:
            return cards[0]
        names = ", ".join(each.accelerator.uuid for each in cards[:_MOST_SHOWN])
        if not cards:
            raise ReadingUnavailable(
                "no accelerator is found on this node", hint="`computility-agent plugins` says why"
            )
        what = f"no accelerator {wanted}" if wanted else f"{len(cards)} accelerators are here"
        raise ReadingUnavailable(what, hint=f"set uuid to one of {names}")

    def _marker(self, uuid: str) -> str:
        """Return card and boot: the driver is loaded anew with each boot."""
        try:
            boot = self._boot_id.read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            boot = "?"
        return f"{uuid}/{boot}"


_conforms: type[Meter] = AcceleratorMeter
