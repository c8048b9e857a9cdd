"""How the simulator behaves: what `simulate` takes from its flags and programs give themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agent.simulator.faults import Fault
from agent.simulator.monitoring.settings import MonitoringSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """Says how the simulator behaves; port 0 takes any free one.

    `control_listen` None leaves the control endpoint out; `state_file` None keeps everything in
    memory; `key_file` None makes a key for this run alone; `poll_seconds` None reads no device.
    `certificate` and `private_key` turn TLS on for the platform, `client_ca` makes it mutual.
    `packages_folder` holds packages over a restart, None keeps imports for this run alone.
    `public_url` is where devices fetch them, None the address that is listened on.
    `authorisation_listen` None leaves the authorisation server out. `monitoring` is about the
    platform of TC609, which listens at the same place.
    """

    listen: tuple[str, int] = ("127.0.0.1", 8088)
    control_listen: tuple[str, int] | None = ("127.0.0.1", 8089)
    state_file: Path | None = None
    key_file: Path | None = None
    lost_after_seconds: float = 90.0
    packages_folder: Path | None = None
    public_url: str | None = None
    authorisation_listen: tuple[str, int] | None = None
    poll_seconds: float | None = 5.0
    poll_timeout_seconds: float = 5.0
    poll_bytes_maximum: int = 1024 * 1024
    device_prefix: str = "/ACSMP"
    device_https: bool = False
    device_ca_file: Path | None = None
    require_token: bool = False
    allow_plain_password: bool = False
    strict_extra: bool = False
    nodes_maximum: int = 1000
    history_limit: int = 10_000
    certificate: Path | None = None
    private_key: Path | None = None
    client_ca: Path | None = None
    faults: tuple[Fault, ...] = ()
    monitoring: MonitoringSettings = field(default_factory=MonitoringSettings)
