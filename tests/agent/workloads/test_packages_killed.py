"""SIGKILL at any moment: what was answered last is what there is in the end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.file_server import FileServer

KILLS = 40
CHILD = Path(__file__).with_name("killed_packages.py")


class Line:
    """Talks to the process that forks."""

    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )  # fmt: skip

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, (self.folder, *words))) + "\n")
        self.process.stdin.flush()

    def lines(self):
        """Return every line up to the end of the child."""
        while (words := self.process.stdout.readline().split()) != ["end"]:
            assert words, "the child process ended"
            assert words[0] != "broken", words
            yield words

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(20) == 0


def test_what_was_answered_last_is_what_there_is(tmp_path):
    chance = random.Random(20)
    servers = [
        FileServer(random.Random(number).randbytes(400_000 + 100_000 * number))
        for number in range(3)
    ]
    for server in servers:
        server.break_after = lambda asked: chance.choice([None, chance.randrange(500_000)])
    line = Line(tmp_path)
    # What each package may be: one thing once it was answered, more while it was not.
    possible = {"a": {"none"}, "b": {"none"}}
    timers = []
    try:
        for kill in range(KILLS):
            line.ask(kill, *(server.port for server in servers))
            asked = None
            for words in line.lines():
                match words:
                    case ["pid", pid]:
                        process = int(pid)
                    case ["started"]:
                        timers.append(
                            threading.Timer(
                                chance.uniform(0, 0.2), os.kill, (process, signal.SIGKILL)
                            )
                        )
                        timers[-1].start()
                    case ["try", package_id, content]:
                        asked = content
                        possible[package_id].add(content)
                    case ["done", package_id]:
                        possible[package_id] = {asked}
            # Where it was killed before it said so, it may have been done.
        line.ask("settle")
        found = {"a": "none", "b": "none"}
        for words in line.lines():
            if words[0] == "is":
                _, package_id, state, digest, name = words
                assert state == "ready"
                assert digest == name
                found[package_id] = digest
        assert all(found[package_id] in possible[package_id] for package_id in found), (
            found,
            possible,
        )
        files = sorted(path.suffix for path in (tmp_path / "packages").iterdir())
        assert files == [".tar"] * sum(digest != "none" for digest in found.values())
    finally:
        for timer in timers:
            timer.join()
        line.close()
        for server in servers:
            server.close()
