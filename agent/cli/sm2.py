"""`computility-agent sm2 probe`: is the platform's key usable, and what would be sent."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.app import platforms, sm2_probe
from agent.cli.main import add_config_argument, load_settings
from agent.errors import AgentError

EPILOG = """\
example:
  computility-agent sm2 probe city
  computility-agent sm2 probe city --private-key platform-test-key.pem

Send the printed ciphertext to the platform's operator: their program must make of it the text
that is printed beside it. The password itself is not used.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    probe = commands.add_parser(
        "probe",
        help="check keys and layouts and print what a platform would decrypt",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_config_argument(probe)
    probe.add_argument(
        "--private-key",
        type=Path,
        metavar="FILE",
        help="the platform's private key (a test platform's), to really decrypt",
    )
    probe.add_argument("platform", nargs="*", help="names of platforms (default: every platform)")


def execute(arguments: argparse.Namespace) -> int:
    """Probe each platform's key."""
    settings = load_settings(arguments)
    status = 0
    for platform in platforms.chosen(settings, arguments.platform):
        try:
            probe = sm2_probe.probe(platform, private_key=arguments.private_key)
        except AgentError as error:
            print(f"{platform.name}: {error}", file=sys.stderr)
            status = 1
            continue
        print(f"{platform.name}:")
        print(f"  key          {platform.sm2_public_key_file}")
        print(f"  fingerprint  {probe.fingerprint}")
        print(f"  public key   {probe.public_key_hex}")
        print(f"  layout       {probe.layout}")
        print(f"  ciphertext   {probe.ciphertext}")
        print(f"  opens as     {sm2_probe.SAMPLE}")
        print(
            "  checked      with a key pair made for this probe; --private-key checks the real one"
            if probe.decrypted is None
            else f"  checked      the private key made of it: {probe.decrypted}"
        )
    return status
