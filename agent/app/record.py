"""Makes a recording of this machine for a bug report: raw answers of every vendor, redacted."""

from __future__ import annotations

import os
import platform
import pwd
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import agent
from agent.app import collect, plugin_choice
from agent.app.plugin_choice import Sections
from agent.app.recording_folder import RecordingFolder
from agent.app.redaction import Redactor
from agent.model.view import PluginState
from agent.sampling.hosts import HostOptions
from agent.sampling.plugins import FoundPlugin, PluginPlan
from agent.sampling.single_child import RECORD_SECONDS, PluginFailed, SingleChild

VERSION = 1
_FIRST_USER_ID = 1000
# PCI classes of displays, processors of other kinds and accelerators.
_CARD_CLASSES = ("0x03", "0x0b40", "0x12", "0x1180", "0xff")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Is what one plugin gave: its state, why it is in it, and its files with nothing redacted."""

    name: str
    state: PluginState
    detail: str | None = None
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Holds the names of this machine and of its users, to be found in texts and replaced."""

    host_names: tuple[str, ...] = ()
    user_names: tuple[str, ...] = ()


def record(
    sections: Sections,
    *,
    names: Sequence[str] = (),
    on_plugin: Callable[[str], None] = lambda _: None,
    found: Sequence[FoundPlugin] | None = None,
    options: HostOptions | None = None,
    timeout_seconds: float = RECORD_SECONDS,
) -> list[Recorded]:
    """Ask every plugin, or those of these names, for its raw answers, one after the other.

    One that is switched off is asked only by name. `on_plugin` is told who is asked next.

    Raises:
        BadInput: no plugin of a name is installed.
    """
    plans = plugin_choice.plans(sections, found=found)
    chosen = [plugin_choice.named(plans, name) for name in names] or list(plans.values())
    recorded = []
    for plan in chosen:
        on_plugin(plan.name)
        if plan.enabled is False and not names:
            state = PluginState.DISABLED
            recorded.append(Recorded(name=plan.name, state=state, files={}))
        else:
            recorded.append(
                _ask(plan, options=options or HostOptions(), timeout_seconds=timeout_seconds)
            )
    return recorded


def redacted(
    recorded: Iterable[Recorded], *, identity: Identity, machine: Mapping[str, Any]
) -> RecordingFolder:
    """Return what may leave this machine; `machine` gets the states and what was redacted. Pure."""
    recorded = list(recorded)
    redactor = Redactor(host_names=identity.host_names, user_names=identity.user_names)
    for each in recorded:
        for text in (*each.files.values(), each.detail or ""):
            redactor.learn(text)
    plugins = {
        each.name: {name: redactor.redact(text) for name, text in each.files.items()}
        for each in recorded
        if each.files
    }
    states = {
        each.name: {
            "state": each.state.value,
            "detail": None if each.detail is None else redactor.redact(each.detail),
            "files": sorted(each.files),
        }
        for each in recorded
    }
    told = {**machine, "plugins": states, "redacted": redactor.counts}
    return RecordingFolder(plugins=plugins, machine=told)


def machine(*, now: datetime, root: Path = Path("/")) -> dict[str, Any]:
    """Return what a bug report needs to know of this machine, and nothing that names it."""
    return {
        "recording_version": VERSION,
        "recorded_at": collect.timestamp(now),
        "agent_version": agent.__version__,
        "python_version": platform.python_version(),
        "os": platform.system(),
        "kernel": platform.release(),
        "distribution": _distribution(root / "etc/os-release"),
        "architecture": platform.machine(),
        "pci_devices": _pci_devices(root / "sys/bus/pci/devices"),
    }


def identity() -> Identity:
    """Return the names that this machine and its people go by."""
    full_name = socket.gethostname()
    users = [each.pw_name for each in pwd.getpwall() if each.pw_uid >= _FIRST_USER_ID]
    users += [os.environ[name] for name in ("SUDO_USER", "USER", "LOGNAME") if name in os.environ]
    return Identity(
        host_names=tuple(dict.fromkeys((full_name, full_name.partition(".")[0]))),
        user_names=tuple(dict.fromkeys(users)),
    )


def _ask(plan: PluginPlan, *, options: HostOptions, timeout_seconds: float) -> Recorded:
    """Ask one plugin; one that finds nothing is asked too: what its tool says is the report."""
    try:
        with SingleChild(plan, options=options, stays=True) as child:
            try:
                files = child.record(timeout_seconds=timeout_seconds)
            except PluginFailed as failed:
                raise (child.probed or failed) from failed
    except PluginFailed as failed:
        return Recorded(name=plan.name, state=failed.state, detail=failed.reason, files={})
    probed = child.probed
    return Recorded(
        name=plan.name,
        state=probed.state if probed else PluginState.ACTIVE,
        detail=probed.reason if probed else None,
        files=files,
    )


def _distribution(path: Path) -> str | None:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get("PRETTY_NAME", "").strip("\"'") or None


def _pci_devices(folder: Path) -> list[dict[str, str]]:
    """Return the PCI devices that may be accelerators, by address, as the kernel names them."""
    devices = []
    for device in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            found = {
                name: (device / name).read_text("ascii").strip()
                for name in ("class", "vendor", "device", "subsystem_vendor", "subsystem_device")
            }
        except (OSError, ValueError):
            continue
        if found["class"].startswith(_CARD_CLASSES):
            driver = device / "driver"
            found["driver"] = driver.resolve().name if driver.exists() else ""
            devices.append({"address": device.name, **found})
    return devices
