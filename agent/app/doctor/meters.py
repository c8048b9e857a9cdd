"""The meters: as the running agent reads them, or one reading each where none runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.app.centre import meter_kinds, meter_reading
from agent.app.doctor.check import Check, Finding, failed, ok, warning
from agent.config.meter_settings import MeterSettings
from agent.config.settings import Settings
from agent.model.clock import Clock

NAME = "meter"
_SECONDS = 25.0
_ADVICE = (
    "is it switched on and wired, are host, port, unit and profile right? "
    "computility-agent meters read"
)


def checks(settings: Settings, *, status: Mapping[str, Any] | None, clock: Clock) -> list[Check]:
    """Return a check for each meter; a meter that the agent reads is not asked beside it."""
    told = ((status or {}).get("meters") or {}).get("meters") or ()
    known = {each["name"]: each for each in told}
    return [
        Check(
            name=NAME,
            subject=each.name,
            look=_look(each, told=known.get(each.name), clock=clock),
            deadline_seconds=_SECONDS,
        )
        for each in settings.meters
    ]


def judge_told(meter: Mapping[str, Any]) -> Finding:
    """Return how a meter fares as the running agent tells it. Pure."""
    state, detail = meter["state"], meter.get("detail")
    found = f"{state}: {detail}" if detail else str(state)
    if state == "active":
        refused = meter.get("refused")
        if refused:
            return warning(
                f"its readings are refused: {refused}", advice="computility-agent meters list"
            )
        return ok(found)
    if state == "starting":
        return warning(found, advice="wait for its first reading")
    return failed(found, advice=_ADVICE)


def judge_read(read: Mapping[str, Any]) -> Finding:
    """Return what one reading of ours gave. Pure."""
    if read["error"]:
        return failed(str(read["error"]), advice=_ADVICE)
    return ok("answers")


def _look(settings: MeterSettings, *, told: Mapping[str, Any] | None, clock: Clock) -> Any:
    if told is not None:
        return lambda: judge_told(told)
    kinds = meter_kinds.MeterKinds(meter_kinds.installed())
    return lambda: judge_read(meter_reading.read([settings], kinds=kinds, clock=clock)[0])
