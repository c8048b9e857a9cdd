"""A real net-snmp agent that answers as a PDU would."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

USERS = """
createUser plain
createUser signed SHA "a password of auth"
createUser md5 MD5 "a password of auth"
createUser sealed SHA "a password of auth" AES "a password of priv"
createUser des SHA "a password of auth" DES "a password of priv"
rouser plain noauth
rouser signed auth
rouser md5 auth
rouser sealed priv
rouser des priv
rocommunity secret-community 127.0.0.1
"""


@dataclass
class Snmpd:
    """Is a running net-snmp; it reads its values from a file each time that it is asked."""

    program: str
    folder: Path
    port: int
    process: subprocess.Popen | None = None
    values: dict[str, tuple[str, object]] = field(default_factory=dict)

    def set(self, values: Mapping[str, tuple[str, object]]) -> None:
        """Let these objects have these types and values, and no others be there."""
        lines = [f"{oid} {kind} {value}\n" for oid, (kind, value) in values.items()]
        fresh = self.folder / "values.new"
        fresh.write_text("".join(lines))
        fresh.replace(self.folder / "values")

    def start(self, roots: tuple[str, ...]) -> None:
        """Start it, again if it ran."""
        self.stop()
        script = self.folder / "answer"
        # $1 is -g or -n, $2 the object; only -g is asked for here.
        script.write_text(
            f"#!/bin/sh\nwhile read -r oid kind value; do\n"
            f'  [ "$1" = -g ] && [ ".$oid" = "$2" ] && echo ".$oid" && echo "$kind" '
            f'&& echo "$value"\ndone < {self.folder}/values\n'
        )
        script.chmod(0o755)
        passes = "".join(f"pass .{root} {script}\n" for root in roots)
        (self.folder / "snmpd.conf").write_text(USERS + passes)
        self.process = subprocess.Popen(
            [
                self.program,
                "-f",
                "-Lf",
                f"{self.folder}/log",
                "-C",
                "-c",
                f"{self.folder}/snmpd.conf",
                "-p",
                f"{self.folder}/pid",
                "-I",
                "-hr_disk",
                f"udp:127.0.0.1:{self.port}",
            ],
            env={"SNMP_PERSISTENT_DIR": str(self.folder / "state"), "MIBS": "", "PATH": "/bin"},
            stdin=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while "NET-SNMP version" not in self._log():
            assert self.process.poll() is None, self._log()
            assert time.monotonic() < deadline, self._log()
            time.sleep(0.02)

    def _log(self) -> str:
        log = self.folder / "log"
        return log.read_text() if log.exists() else ""

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        (self.folder / "log").unlink(missing_ok=True)


@pytest.fixture(scope="session")
def snmpd(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Snmpd]:
    """Give net-snmp with both vendors' trees."""
    import shutil

    from tests.conftest import missing

    program = shutil.which("snmpd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if program is None:
        missing("snmpd is not on this machine; .ci/run installs it")
    assert program is not None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    peer = Snmpd(program=program, folder=tmp_path_factory.mktemp("snmpd"), port=port)
    peer.set({})
    peer.start(("1.3.6.1.4.1.318", "1.3.6.1.4.1.13742", "1.3.6.1.4.1.99999"))
    yield peer
    peer.stop()


@pytest.fixture
def secret(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that writes a secret into a file and returns its path."""

    def write(text: str) -> str:
        path = tmp_path / f"secret-{len(list(tmp_path.iterdir()))}"
        path.write_text(text + "\n")
        path.chmod(0o600)
        return str(path)

    return write
