"""A person sets a machine up at a terminal; then its agent runs, and the doctor finds it well."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import socket
import subprocess
import sys
import termios
import time

import pytest

CODE = "11010800005020000001"
SECRET = "typed-at-the-terminal"
WAIT_SECONDS = 30.0


class Terminal:
    """Is a person before a terminal in which a command runs."""

    def __init__(self, words, **environment):
        self.answered = self.seen = ""
        self._master, slave = pty.openpty()

        def take_terminal():
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=take_terminal,  # noqa: PLW1509 - one ioctl, no lock
            env={**os.environ, **environment},
        )
        os.close(slave)

    def answer(self, prompt, text):
        """Wait for a prompt that was not answered yet, and type a line."""
        self.wait_for(prompt)
        before, _, self.seen = self.seen.partition(prompt)
        self.answered += before + prompt
        os.write(self._master, f"{text}\n".encode())

    def wait_for(self, text):
        end = time.monotonic() + WAIT_SECONDS
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            assert self.read(), self.seen

    def read(self):
        """Read what is there; False at the end."""
        if not select.select([self._master], [], [], WAIT_SECONDS)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other side has closed
            return False
        self.seen += data.decode("utf-8", "replace")
        return bool(data)

    def end(self):
        """Return the exit status, with everything read."""
        while self.read():
            pass
        return self.process.wait(WAIT_SECONDS)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal():
    """Return a function that runs a command in a terminal."""
    opened = []

    def run(*words, **environment):
        opened.append(Terminal([sys.executable, "-I", "-m", "agent", *words], **environment))
        return opened[-1]

    yield run
    for each in opened:
        each.close()


@pytest.fixture
def free_port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def test_a_person_sets_up_a_machine_and_its_agent_registers(box, platform, terminal, free_port):
    city = platform()
    box.config.unlink(missing_ok=True)
    person = terminal(
        *("setup", "--config", str(box.config), "--state-dir", str(box.folder)),
        *("--listen", f"127.0.0.1:{free_port}"),
    )
    person.answer("Computility code, 20 digits 算力编码: ", "123")
    person.wait_for("it has 3 digits")
    person.answer("算力编码: ", CODE)
    person.answer("算力类型", "")
    person.answer("平台名称（自定） [city]: ", "")
    person.answer("平台地址: ", city.simulator.url)
    person.answer("平台 SM2 公钥", city.simulator.public_key.to_pem().rstrip())
    person.answer("设备接口用户名 [admin]: ", "")
    person.answer("设备接口口令", SECRET)
    person.answer("再次输入", SECRET)
    assert person.end() == 0, person.seen
    assert SECRET not in person.answered + person.seen
    assert "registration city" in person.seen
    assert city.simulator.registry.nodes() == []

    assert box.run("check-config").returncode == 0
    with box.log.open("ab") as log:
        box.process = subprocess.Popen(box.command("run"), stderr=log)
    box.wait_until(lambda: bool(box.status()))
    city.wait_for("Register", count=2)
    (node,) = city.simulator.registry.nodes()
    assert (node.code, node.password, node.port) == (CODE, SECRET, free_port)
    box.wait_until(lambda: box.status()["platforms"][0]["is_registered"])

    examined = box.run("doctor", "--json")
    checks = {
        (each["name"], each["subject"]): each for each in json.loads(examined.stdout)["checks"]
    }
    for name, subject in (
        ("running agent", None),
        ("registration", "city"),
        ("platform answer", "city"),
        ("clock against platform", "city"),
        ("device api", None),
        ("sm2 key", "city"),
        ("state folder", None),
        ("file permissions", None),
    ):
        assert checks[name, subject]["state"] == "ok", checks[name, subject]
    # The question of nobody cost the node nothing.
    assert [each.code for each in city.simulator.registry.nodes()] == [CODE]
    assert box.status()["platforms"][0]["registrations_accepted"] == 1


def test_a_person_may_save_what_does_not_work_yet(box, platform, terminal, free_port):
    city = platform()
    box.config.unlink(missing_ok=True)
    key = city.key
    words = (
        *("setup", "--config", str(box.config), "--code", CODE, "--type", "AI_BOX"),
        *("--platform", "city", "--url", f"http://127.0.0.1:{free_port}"),
        *("--sm2-key", str(key), "--username", "me", "--generate-password"),
    )
    person = terminal(*words)
    person.answer("仍要保存吗", "n")
    assert person.end() == 1
    assert not box.config.exists()
    person = terminal(*words)
    person.answer("仍要保存吗", "y")
    assert person.end() == 0
    assert box.run("check-config").returncode == 0


def test_a_person_is_asked_before_anything_is_changed(box, platform, terminal):
    city = platform()
    box.add_platform(city, "city")
    box.write()
    # What a person writes is no JSON.
    box.config.write_text(
        f'node:\n  code: "{CODE}"  # ours\n  type: AI_BOX\n  state_dir: {box.folder}\n'
        f"device_api:\n  listen: 127.0.0.1:8123\n  password_file: device.password\n"
        f"acsmp:\n  - name: city\n    url: {city.simulator.url}\n"
        f"    sm2_public_key_file: {city.key}\n"
    )
    before = box.config.read_text()
    person = terminal("setup", "--config", str(box.config), "--code", "2" * 20, "--no-try")
    # Every other question offers what is configured.
    person.answer("[AI_BOX]: ", "")
    person.answer("[city]: ", "")
    person.answer(f"[{city.simulator.url}]: ", "")
    person.answer(f"[{city.key}]: ", "")
    person.answer("[admin]: ", "")
    person.answer("empty keeps it", "")
    person.answer("是否修改", "y")
    assert person.end() == 0, person.seen
    assert f"node.code: {CODE}" in person.answered
    assert box.config.read_text() == before.replace(CODE, "2" * 20)
