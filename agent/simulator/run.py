"""The command `simulate`: its arguments, and the log that a person reads while it runs."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.errors import PermanentError
from agent.simulator.faults import BadFault, Fault, FaultKind, parse_flag
from agent.simulator.key_file import public_path
from agent.simulator.meters import flags as meter_flags
from agent.simulator.meters.simulator import MeterSimulator
from agent.simulator.monitoring import flags as monitoring_flags
from agent.simulator.simulator import Simulator, SimulatorSettings

__all__ = ["Simulator", "SimulatorSettings", "add_arguments", "run_from_arguments"]

EXAMPLE = """\
example:
  computility-agent simulate --listen 127.0.0.1:8088 --key platform.sm2.pem --state platform.db
  and in the agent's configuration:
    acsmp:
      - {name: simulator, url: "http://127.0.0.1:8088",
         sm2_public_key_file: /path/to/platform.sm2.pem.pub.pem}

  computility-agent simulate --fault refuse:Register,count=2 --fault delay:Keepalive,delay_seconds=8
  curl -X POST http://127.0.0.1:8089/_control/faults -d '{"kind": "black_hole", "seconds": 60}'

  computility-agent simulate --packages algorithms --auth-listen 0.0.0.0:8808
  curl http://127.0.0.1:8089/ACSMP/AlgoFilePackages/Devices -d '{
    "AlgoFilePackageID": "ID of the package", "ComputilityCode": "11010800005020000001"}'

  computility-agent simulate --user city:secret --ask-centre http://192.0.2.10:8124,centerId=7

  computility-agent simulate --meters --speed 60
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `simulate` to a parser, and the example to its help."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLE
    plain = parser.add_argument_group("the platform")
    plain.add_argument(
        "--listen",
        type=_listen,
        default=("127.0.0.1", 8088),
        metavar="ADDRESS:PORT",
        help="where the platform listens (127.0.0.1:8088; port 0 takes a free one)",
    )
    plain.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="SQLite file that keeps nodes and history over a restart; in memory without it",
    )
    plain.add_argument(
        "--key",
        type=Path,
        default=Path("platform.sm2.pem"),
        metavar="FILE",
        help="SM2 private key, made if it is missing; the public key is written to FILE.pub.pem "
        "(platform.sm2.pem)",
    )
    plain.add_argument("--tls-certificate", type=Path, metavar="FILE", help="PEM; turns TLS on")
    plain.add_argument(
        "--tls-private-key",
        type=Path,
        metavar="FILE",
        help="PEM; absent where the certificate's file holds it",
    )
    plain.add_argument(
        "--tls-client-ca", type=Path, metavar="FILE", help="PEM; only its clients may enter"
    )
    judge = parser.add_argument_group("how strict it is")
    judge.add_argument(
        "--lost-after",
        type=_seconds,
        default=90.0,
        metavar="SECONDS",
        help="silence after which a node is lost (90)",
    )
    judge.add_argument(
        "--require-token", action="store_true", help="refuse a keepalive without the token"
    )
    judge.add_argument(
        "--allow-plain-password",
        action="store_true",
        help="take a password that is not encrypted, with a finding",
    )
    judge.add_argument(
        "--strict-extra", action="store_true", help="refuse fields that no table has"
    )
    device = parser.add_argument_group("the devices that it reads back")
    device.add_argument(
        "--poll-seconds",
        type=_period,
        default=5.0,
        metavar="SECONDS",
        help="time between two readings of a device; 0 reads none (5)",
    )
    device.add_argument(
        "--device-prefix",
        default="/ACSMP",
        metavar="PATH",
        help="path before /Computility on the devices (/ACSMP)",
    )
    device.add_argument("--device-https", action="store_true", help="call devices over TLS")
    device.add_argument(
        "--device-ca",
        type=Path,
        metavar="FILE",
        help="PEM; their certificates are checked with it, and not at all without",
    )
    workloads = parser.add_argument_group("packages and services")
    workloads.add_argument(
        "--packages",
        type=Path,
        metavar="FOLDER",
        help="each *.tar in it is a package, and imports are kept there; without it for this run",
    )
    workloads.add_argument(
        "--public-url",
        type=_base_url,
        metavar="URL",
        help="where devices reach the platform to fetch files (the address of --listen, or this "
        "machine's towards the device)",
    )
    workloads.add_argument(
        "--auth-listen",
        type=_listen,
        metavar="ADDRESS:PORT",
        help="an authorisation server that says yes to every service; off without",
    )
    monitoring_flags.add_arguments(parser)
    meter_flags.add_arguments(parser)
    bad = parser.add_argument_group("misbehaviour")
    bad.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="KIND[:OPERATION][,KEY=VALUE…]",
        help=f"repeatable; kinds: {', '.join(kind.value for kind in FaultKind)}; keys: count, "
        "seconds, after_seconds, every, status, code, message, delay_seconds, size_mib, bytes, to, "
        "retry_after_seconds",
    )
    bad.add_argument(
        "--control",
        type=_listen,
        default=("127.0.0.1", 8089),
        metavar="ADDRESS:PORT",
        help="where the control endpoint listens (127.0.0.1:8089); it has no credentials",
    )
    bad.add_argument("--no-control", action="store_true", help="no control endpoint")
    parser.add_argument("--json", action="store_true", help="one JSON object a line on stdout")


def run_from_arguments(arguments: argparse.Namespace) -> int:
    """Run the simulator until SIGINT or SIGTERM; return 0, or 2 for input that cannot be used."""
    show = _show_json if arguments.json else _show_text
    try:
        meters = meter_flags.simulator(arguments)
        simulator = Simulator(_settings(arguments), on_event=show)
        simulator.start()
    except (PermanentError, BadFault) as error:
        print(f"simulate: {error}", file=sys.stderr)
        return 2
    try:
        if meters is not None:
            meters.start()
        _introduce(simulator, key=arguments.key, as_json=arguments.json, meters=meters)
        _wait_for_signal()
    except PermanentError as error:
        print(f"simulate: {error}", file=sys.stderr)
        return 2
    finally:
        simulator.stop()
        if meters is not None:
            meters.stop()
    return 0


def _settings(arguments: argparse.Namespace) -> SimulatorSettings:
    return SimulatorSettings(
        listen=arguments.listen,
        control_listen=None if arguments.no_control else arguments.control,
        state_file=arguments.state,
        key_file=arguments.key,
        packages_folder=arguments.packages,
        public_url=arguments.public_url,
        authorisation_listen=arguments.auth_listen,
        lost_after_seconds=arguments.lost_after,
        poll_seconds=arguments.poll_seconds or None,
        device_prefix="/" + arguments.device_prefix.strip("/") if arguments.device_prefix else "",
        device_https=arguments.device_https,
        device_ca_file=arguments.device_ca,
        require_token=arguments.require_token,
        allow_plain_password=arguments.allow_plain_password,
        strict_extra=arguments.strict_extra,
        certificate=arguments.tls_certificate,
        private_key=arguments.tls_private_key,
        client_ca=arguments.tls_client_ca,
        faults=tuple(arguments.fault),
        monitoring=monitoring_flags.settings_of(arguments),
    )


def _introduce(
    simulator: Simulator, *, key: Path, as_json: bool, meters: MeterSimulator | None
) -> None:
    facts = {
        "platform": simulator.url,
        "control": simulator.control_url,
        "public_key_file": str(public_path(key)),
        "fingerprint": simulator.public_key.fingerprint,
        "authorisation": simulator.authorisation_address,
        "monitoring": simulator.monitoring.users,
        **meter_flags.facts(meters),
    }
    if as_json:
        _print(json.dumps({"kind": "start", **facts}))
        return
    _print(f"platform     {facts['platform']}")
    _print(f"control      {facts['control'] or 'off'}")
    if facts["authorisation"] is not None:
        _print(f"licences     {facts['authorisation']} says yes to every service")
    for user in simulator.monitoring.users:
        _print(f"monitoring   user {user['username']}, password {user['password']}")
    _print(f"public key   {facts['public_key_file']}, SHA-256 {facts['fingerprint']}")
    _print(simulator.public_key.to_pem().rstrip())
    for line in meter_flags.introduction(meters):
        _print(line)
    _print("Ctrl-C ends it.")


def _show_text(event: dict[str, Any]) -> None:
    at = datetime.fromisoformat(event["at"]).astimezone()
    _print(f"{at:%H:%M:%S}  {event['text']}")
    # What refuses a request stands in the text already.
    if event["accepted"] is not False:
        for finding in event["findings"]:
            row = f" row {finding['row']}" if finding["row"] is not None else ""
            _print(
                f"          finding: table {finding['table']}{row}, {finding['field']}: "
                f"{finding['problem']}"
            )


def _show_json(event: dict[str, Any]) -> None:
    _print(json.dumps(event))


def _print(line: str) -> None:
    # A terminal without UTF-8 must not end the simulator.
    encoding = sys.stdout.encoding or "utf-8"
    try:
        # In one write: events of other threads must not come between a line and its end.
        print(line.encode(encoding, "replace").decode(encoding) + "\n", end="", flush=True)
    except BrokenPipeError:
        # Nobody reads any more (`| head`); the platform goes on all the same.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _wait_for_signal() -> None:
    ended = threading.Event()
    kept: dict[signal.Signals, Any] = {}
    on_signal: Callable[..., None] = lambda *_: ended.set()  # noqa: E731 - a typed lambda
    for received in (signal.SIGINT, signal.SIGTERM):
        kept[received] = signal.signal(received, on_signal)
    try:
        ended.wait()
    finally:
        for received, handler in kept.items():
            signal.signal(received, handler)


def _listen(text: str) -> tuple[str, int]:
    address, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDRESS:PORT, such as 127.0.0.1:8088")
    return address.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - ":8088" means everywhere


def _base_url(text: str) -> str:
    if not text.startswith(("http://", "https://")) or len(text) < 10:
        raise argparse.ArgumentTypeError(f"{text!r} is not http://ADDRESS:PORT")
    return text.rstrip("/")


def _seconds(text: str) -> float:
    value = _number(text)
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 86400")
    return value


def _period(text: str) -> float:
    return 0.0 if _number(text) == 0 else _seconds(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def _fault(text: str) -> Fault:
    try:
        return parse_flag(text)
    except BadFault as error:
        raise argparse.ArgumentTypeError(str(error)) from error
