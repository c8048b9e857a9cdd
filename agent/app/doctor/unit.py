"""The service's unit, as systemd knows it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from agent.app.doctor import programs
from agent.app.doctor.check import Check, Finding, failed, ok, skipped, warning
from agent.errors import NotPresent, TransientError

UNIT = "computility-agent.service"
NAME = "service unit"
_PROPERTIES = (
    *("LoadState", "ActiveState", "SubState", "UnitFileState", "NRestarts", "Result"),
    *("ExecMainStatus", "NeedDaemonReload", "User", "Group", "SupplementaryGroups"),
)
_CREDENTIALS = "LoadCredential"
# An agent that was started again so often crashes.
_MANY_RESTARTS = 3
_BAD_CONFIGURATION = "2"


def properties(*, root: Path = Path("/")) -> dict[str, str]:
    """Return the properties of the unit; empty where there is no systemd, or it does not answer."""
    if not (root / "run/systemd/system").is_dir():
        return {}
    try:
        found = parse(programs.answer(["systemctl", "show", UNIT, f"-p{','.join(_PROPERTIES)}"]))
        if found.get("LoadState") == "loaded":
            # `show` cannot print it before systemd 254.
            found[_CREDENTIALS] = parse_credentials(programs.answer(["systemctl", "cat", UNIT]))
        return found
    except (NotPresent, TransientError):
        return {}


def parse(text: str) -> dict[str, str]:
    """Return what `systemctl show` printed, NAME=VALUE a line. Pure."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, equals, value in pairs if equals and name in _PROPERTIES}


def parse_credentials(text: str) -> str:
    """Return the values of LoadCredential in the unit and its drop-ins, a line each. Pure."""
    values: list[str] = []
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name.strip() == _CREDENTIALS:
            # An empty one takes back those before it.
            values = [*values, value.strip()] if value.strip() else []
    return "\n".join(values)


def credentials(unit: Mapping[str, str]) -> frozenset[Path]:
    """Return the files that systemd itself hands to the service as credentials. Pure."""
    words = unit.get(_CREDENTIALS, "").splitlines()
    return frozenset(Path(each.partition(":")[2]) for each in words if ":" in each)


def check(unit: Mapping[str, str]) -> Check:
    """Return the check of the unit's state."""
    return Check(name=NAME, look=lambda: judge(unit))


def judge(unit: Mapping[str, str]) -> Finding:
    """Return what the properties of a unit mean. Pure."""
    if not unit:
        return skipped("systemd does not run this machine")
    if unit.get("LoadState") != "loaded":
        return skipped(f"{UNIT} is {unit.get('LoadState') or 'unknown'}: no package is installed")
    active, enabled = unit.get("ActiveState", ""), unit.get("UnitFileState", "")
    restarts = unit.get("NRestarts", "0")
    found = f"{active} ({unit.get('SubState', '')}), {enabled}, {restarts} restarts"
    if active == "failed":
        status = unit.get("ExecMainStatus")
        if status == _BAD_CONFIGURATION:
            advice = (
                "its configuration was refused: computility-agent check-config, then "
                "systemctl reset-failed computility-agent && systemctl start computility-agent"
            )
        else:
            advice = f"see why: journalctl -u {UNIT} -n 50"
        return failed(f"{found}, result {unit.get('Result')}, exit {status}", advice=advice)
    if active != "active":
        return failed(found, advice="start it: systemctl enable --now computility-agent")
    if restarts.isdigit() and int(restarts) >= _MANY_RESTARTS:
        return warning(found, advice=f"it ended by itself: journalctl -u {UNIT} -n 200")
    if not enabled.startswith("enabled"):
        advice = "it will not start at the next boot: systemctl enable computility-agent"
        return warning(found, advice=advice)
    if unit.get("NeedDaemonReload") == "yes":
        return warning(
            f"{found}; its file changed after it was read",
            advice="systemctl daemon-reload, then restart the service; with NVIDIA's runtime and "
            "systemd cgroups, containers may lose their cards at a daemon-reload",
        )
    return ok(found)
