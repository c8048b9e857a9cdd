"""Writes the archive that an operator sends to support: what helps, and no secret."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.app import local_client, once, record
from agent.app.centre.questions import LIST_METERS
from agent.app.doctor import accounts, named, programs, unit
from agent.app.doctor.examination import Patient
from agent.app.doctor.scrub import LEAST_CHARACTERS, Scrubber
from agent.app.local_socket import SOCKET_NAME
from agent.app.workloads.questions import LIST_PACKAGES, LIST_SERVICES
from agent.config import show
from agent.errors import AgentError, BadInput, ConfigError
from agent.model.clock import Clock

SUFFIX = ".tar.gz"
README = "README.txt"
JOURNAL_LINES = 2000
_JOURNAL_SECONDS = 10.0
_KEPT = (
    "Not taken out: the computility code, names and addresses (host names) of platforms, PCI\n"
    "addresses, product names, versions, paths of files.\n"
)

# Name of the file, and what it holds.
CONTENTS: Mapping[str, str] = {
    "doctor.json": "what `doctor --json` found",
    "configuration.yaml": "the configuration in force (`print-config`), or what is wrong with it",
    "machine.json": "versions of the agent, Python, kernel and libraries, and PCI accelerators",
    "status.json": "what the running agent says: `status --json`",
    "packages.json": "its algorithm packages: `packages list --json`",
    "services.json": "its algorithm services, without the values of variables",
    "meters.json": "its meters and their last readings",
    "plugins.json": "every plugin's state: `plugins --json`",
    "collect.json": "one sample of everything: `collect --json`",
    "unit.txt": "systemd's properties of the service",
    "journal.txt": f"the last {JOURNAL_LINES} lines of the service's log",
}


def require_free(path: Path) -> None:
    """Return if the archive may be made there.

    Raises:
        BadInput: the name has another suffix, something has it already, or its folder is missing.
    """
    if not path.name.endswith((SUFFIX, ".tgz")):
        raise BadInput(f"--bundle {path}: the archive is a {SUFFIX}; give it that suffix")
    if accounts.is_there(path):
        raise BadInput(f"{path} exists already, and the bundle overwrites nothing")
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise BadInput(f"{path.parent} is no folder that this user may write to")


def write(
    path: Path, *, patient: Patient, document: Mapping[str, Any], clock: Clock
) -> Sequence[str]:
    """Gather, redact and write the archive; return lines that say what is in it.

    Takes up to 50 s where plugins do not answer. The archive is readable for its owner alone.

    Raises:
        BadInput: it cannot be written.
    """
    raw = gather(patient, document=document, clock=clock)
    identity = record.identity()
    secrets = (
        named.secrets(patient.loaded, environment=os.environ) if patient.loaded is not None else ()
    )
    scrubber = Scrubber(
        secrets=secrets, host_names=identity.host_names, user_names=identity.user_names
    )
    texts = redacted(raw, scrubber=scrubber)
    _pack(path, texts)
    lines = [f"bundle       {path}  (look into it before you send it)"]
    lines += [
        f"  {name:<20} {len(text.encode('utf-8', 'replace')):>9} bytes"
        for name, text in texts.items()
    ]
    counted = ", ".join(f"{count} {what}" for what, count in scrubber.counts.items() if count)
    return [*lines, f"redacted     {counted or 'nothing was found'}"]


def gather(patient: Patient, *, document: Mapping[str, Any], clock: Clock) -> dict[str, str]:
    """Return every file of the archive with nothing redacted; what fails says why in its place."""
    socket = Path(patient.settings.node.state_dir) / SOCKET_NAME
    makers: dict[str, Callable[[], str]] = {
        "doctor.json": lambda: _json(document),
        "configuration.yaml": lambda: _configuration(patient),
        "machine.json": lambda: _json(
            {**record.machine(now=clock.now()), "libraries": _libraries()}
        ),
        "status.json": lambda: _json(patient.status or {"unknown": patient.silence}),
        "packages.json": lambda: _json(local_client.ask(socket, LIST_PACKAGES)),
        "services.json": lambda: _json(local_client.ask(socket, LIST_SERVICES)),
        "meters.json": lambda: _json(local_client.ask(socket, LIST_METERS)),
        "plugins.json": lambda: _json(patient.probed.known()),
        "collect.json": lambda: _json(
            once.take(patient.loaded.settings if patient.loaded else None)
        ),
        "unit.txt": lambda: "".join(f"{name}={text}\n" for name, text in patient.unit.items()),
        "journal.txt": _journal,
    }
    return {name: _made(make) for name, make in makers.items()}


def redacted(raw: Mapping[str, str], *, scrubber: Scrubber) -> dict[str, str]:
    """Return the files as they may leave the machine, with a README that lists them. Pure."""
    for text in raw.values():
        scrubber.learn(text)
    texts = {name: scrubber.scrub(text) for name, text in raw.items()}
    return {README: _readme(texts, scrubber=scrubber), **texts}


def _readme(texts: Mapping[str, str], *, scrubber: Scrubber) -> str:
    lines = ["Made by `computility-agent doctor --bundle` for support.", "", "Files:"]
    lines += [f"  {name:<20} {CONTENTS[name]}" for name in texts]
    lines += ["", "Taken out, or replaced by a name of the same width:"]
    lines += [f"  {count} {what}" for what, count in scrubber.counts.items() if count]
    if scrubber.too_short:
        lines.append(
            f"{scrubber.too_short} secrets of less than {LEAST_CHARACTERS} characters are too "
            "short to be looked for: look for them yourself, and take longer ones."
        )
    return "\n".join([*lines, "", _KEPT])


def _configuration(patient: Patient) -> str:
    if patient.loaded is not None:
        return show.render(patient.loaded)
    # Not the file itself: a secret may stand where it should not, and that be what is wrong.
    from agent.app import loading

    try:
        loading.load_all(patient.config)
    except ConfigError as error:
        return "".join(f"# {line}\n" for line in str(error).splitlines())
    return "# it can be read by now; run doctor again\n"


def _journal() -> str:
    words = [
        "journalctl",
        "--unit",
        unit.UNIT,
        "--lines",
        str(JOURNAL_LINES),
        "--no-pager",
        "--no-hostname",
    ]
    return programs.answer([*words, "--output", "short-iso"], seconds=_JOURNAL_SECONDS)


def _libraries() -> dict[str, str]:
    from importlib import metadata

    return {each.name: each.version for each in metadata.distributions()}


def _made(make: Callable[[], str]) -> str:
    try:
        return make()
    except AgentError as error:
        return f"unknown: {error}\n"
    except Exception as error:  # noqa: BLE001 - what is missing must not keep the rest
        return f"unknown: {type(error).__name__}: {error}\n"


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _pack(path: Path, texts: Mapping[str, str]) -> None:
    folder = path.name.removesuffix(SUFFIX).removesuffix(".tgz")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with (
            os.fdopen(descriptor, "wb") as file,
            tarfile.open(fileobj=file, mode="w:gz") as archive,
        ):
            for name, text in texts.items():
                content = text.encode("utf-8", "backslashreplace")
                member = tarfile.TarInfo(f"{folder}/{name}")  # nobody's name and no owner
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from error
