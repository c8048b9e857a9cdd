"""What each kind of meter needs to be built in a test: one entry a kind in `BENCHES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class MeterBench:
    """Says how a kind of meter is configured to ask a peer on this machine.

    `options` returns the meter's section, as the configuration file would hold it, for a peer's
    port and a folder to write in; with a short deadline where the kind has one. `transport` is what
    it speaks over; "none" for a kind that reads files or runs programs, whose options name things
    that are not there.
    """

    transport: Literal["tcp", "udp", "none"]
    options: Callable[[int, Path], Mapping[str, Any]]


def modbus(port: int, _: Path) -> Mapping[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": str(port),
        "profile": "acrel-adl3000e",
        "ct": "40",
        "timeout_seconds": "0.3",
    }


def dlt645(port: int, _: Path) -> Mapping[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": str(port),
        "address": "000000000161",
        "timeout_seconds": "0.3",
    }


def snmp(port: int, _: Path) -> Mapping[str, Any]:
    return {"host": "127.0.0.1", "port": str(port), "timeout_seconds": "0.2", "retries": "1"}


def redfish(port: int, _: Path) -> Mapping[str, Any]:
    return {"url": f"http://127.0.0.1:{port}", "timeout_seconds": "0.3"}


def prometheus(port: int, _: Path) -> Mapping[str, Any]:
    return {"url": f"http://127.0.0.1:{port}", "query": "up", "timeout_seconds": "0.3"}


def ipmi(_: int, folder: Path) -> Mapping[str, Any]:
    return {"tool": str(folder / "no-ipmitool")}


def rapl(_: int, __: Path) -> Mapping[str, Any]:
    return {"domain": "no-such-domain"}


def csv(_: int, folder: Path) -> Mapping[str, Any]:
    return {"path": str(folder / "no-readings.csv")}


BENCHES: dict[str, MeterBench] = {
    "csv": MeterBench(transport="none", options=csv),
    "dlt645": MeterBench(transport="tcp", options=dlt645),
    "ipmi": MeterBench(transport="none", options=ipmi),
    "modbus": MeterBench(transport="tcp", options=modbus),
    "prometheus": MeterBench(transport="tcp", options=prometheus),
    "rapl": MeterBench(transport="none", options=rapl),
    "redfish": MeterBench(transport="tcp", options=redfish),
    "snmp": MeterBench(transport="udp", options=snmp),
}
