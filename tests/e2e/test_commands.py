"""The commands that talk to a platform, or to the running agent."""

from __future__ import annotations

import json

import pytest

from agent.simulator.faults import Fault, FaultKind

CODE = "11010800005020000001"
PASSWORD = "Pässwort-密码"
REFUSAL = "此设备未登记, ask your operator"

STATUS_FIELDS = [
    "version",
    "pid",
    "started_at",
    "uptime_seconds",
    "node",
    "device_api",
    "metrics",
    "query_api",
    "sampled_at",
    "platforms",
    "plugins",
    "meters",
    "operational_sources",
    "monitoring",
    "workloads",
    "stale_loops",
]
PLATFORM_FIELDS = {
    "name",
    "url",
    "computility_code",
    "address",
    "state",
    "is_registered",
    "registered_at",
    "last_contact_at",
    "worst_gap_seconds",
    "next_action",
    "keepalives_accepted",
    "keepalives_failed",
    "registrations_accepted",
    "last_error",
}


@pytest.fixture
def fixed_port(box):
    """Tell platforms a port, as a box in service does; nobody listens there."""
    box.settings["device_api"]["advertise_port"] = 8123


def complaints(ended):
    assert "Traceback" not in ended.stderr
    return [line for line in ended.stderr.splitlines() if not line.startswith("warning: ")]


def refuse(platform, operation):
    platform.simulator.apply(
        Fault(kind=FaultKind.REFUSE, operation=operation, status=403, message=REFUSAL)
    )


def test_a_node_registers_and_unregisters_without_an_agent(box, platform, fixed_port):
    city = platform()
    box.add_platform(city, "city")
    box.write()
    registered = box.run("register")
    assert (registered.returncode, complaints(registered)) == (0, [])
    token = city.simulator.registry.nodes()[0].token
    assert registered.stdout == (
        f"city: registered {CODE} AI_BOX at 127.0.0.1:8123, token of {len(token)} characters "
        "received\n"
    )
    assert token not in registered.stdout + registered.stderr
    (node,) = city.simulator.registry.nodes()
    assert (node.code, node.password, node.port) == (CODE, PASSWORD, 8123)
    gone = box.run("unregister", "city")
    assert (gone.returncode, gone.stdout) == (0, f"city: unregistered {CODE}\n")
    assert city.simulator.registry.nodes() == []
    again = box.run("unregister")
    assert (again.returncode, again.stdout) == (1, "")
    assert "is not registered" in complaints(again)[0]


def test_only_the_named_platforms_are_told(box, platform, fixed_port):
    city, region, harbour = platform(), platform(), platform()
    for name, one in (("city", city), ("region", region), ("harbour", harbour)):
        box.add_platform(one, name)
    box.write()
    ended = box.run("register", "harbour", "city", "city")
    assert ended.returncode == 0
    assert [line.split(":")[0] for line in ended.stdout.splitlines()] == ["harbour", "city"]
    assert [each.accepted("Register") for each in (city, region, harbour)] == [1, 0, 1]


@pytest.mark.parametrize("command", ["register", "unregister"])
def test_a_refusal_is_shown_in_the_platforms_words_and_the_others_have_their_turn(
    box, platform, fixed_port, command
):
    refusing, city = platform(), platform()
    refuse(refusing, "Register" if command == "register" else "UnRegister")
    box.add_platform(refusing, "refusing")
    box.add_platform(city, "city")
    box.write()
    if command == "unregister":
        assert box.run("register", "city").returncode == 0
    ended = box.run(command)
    assert ended.returncode == 1
    (said,) = complaints(ended)
    assert said.startswith("refusing: ")
    assert REFUSAL in said
    assert ended.stdout.startswith(f"city: {command}ed {CODE}")


def test_the_status_of_a_good_agent(box, platform):
    city = platform()
    box.add_platform(city, "city")
    box.settings["metrics"] = {"listen": "127.0.0.1:0"}
    box.start()
    city.wait_for("Keepalive", count=2)
    box.wait_until(lambda: box.status()["platforms"][0]["keepalives_accepted"] >= 2)
    asked = box.run("status", "--json")
    assert (asked.returncode, complaints(asked)) == (0, [])
    status = json.loads(asked.stdout)
    assert list(status) == STATUS_FIELDS
    assert status["pid"] == box.process.pid
    assert status["node"] == {"computility_code": CODE, "type": "AI_BOX"}
    assert status["stale_loops"] == []
    assert {plugin["name"] for plugin in status["plugins"]} >= {"cpu", "memory", "disks", "host"}
    (one,) = status["platforms"]
    assert set(one) >= PLATFORM_FIELDS
    assert (one["name"], one["address"], one["is_registered"]) == ("city", "127.0.0.1", True)
    assert one["keepalives_accepted"] >= 2
    assert 0 < one["worst_gap_seconds"] < 30
    assert (one["registrations_accepted"], one["last_error"]) == (1, None)
    told = box.run("status", "--socket", str(box.folder / "agent.sock"))
    assert told.returncode == 0
    assert f"process {box.process.pid}" in told.stdout
    assert f"node         {CODE} AI_BOX\n" in told.stdout
    assert f"device api   {status['device_api']}\n" in told.stdout
    assert f"metrics      {status['metrics']}\n" in told.stdout
    assert f"platform     city  {one['state']}  {city.simulator.url}\n" in told.stdout
    assert "plugin       memory       active\n" in told.stdout


def test_the_status_of_an_agent_that_is_refused(box, platform):
    refusing = platform()
    refuse(refusing, "Register")
    box.add_platform(refusing, "city")
    box.start()
    box.wait_until(lambda: box.status()["platforms"][0]["last_error"])
    asked = box.run("status")
    assert asked.returncode == 1
    assert "last contact never" in asked.stdout
    assert "worst gap unknown" in asked.stdout
    (said,) = (line for line in asked.stdout.splitlines() if "last error: " in line)
    assert "HTTP 403" in said
    assert said.endswith(f": {REFUSAL}")


def test_a_registration_beside_the_running_agent_leaves_it_registered(box, platform, fixed_port):
    city = platform()
    box.add_platform(city, "city")
    box.start()
    city.wait_for("Keepalive")
    assert box.run("register").returncode == 0
    accepted = city.accepted("Keepalive")
    # Its token has changed behind its back.
    city.wait_for("Register", count=3)
    city.wait_for("Keepalive", count=accepted + 1)
    assert box.run("status").returncode == 0


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_in_the_log_of_a_whole_life(box, platform, tmp_path, form):
    city, refusing = platform(), platform()
    refuse(refusing, "Keepalive")
    box.add_platform(city, "city")
    box.add_platform(refusing, "refusing")
    box.settings["log"] = {"level": "debug", "format": form}
    box.start()
    city.wait_for("Keepalive", count=2)
    refusing.wait_for("Register", count=2)
    tokens = [each.simulator.registry.nodes()[0].token for each in (city, refusing)]
    city.simulator.apply(Fault(kind=FaultKind.ROTATE_TOKEN, operation="Keepalive", count=1))
    box.wait_until(lambda: box.status()["platforms"][0]["token_changes"])
    tokens.append(city.simulator.registry.nodes()[0].token)
    city.simulator.registry.forget(CODE)
    city.wait_for("Register", count=2)
    tokens.append(city.simulator.registry.nodes()[0].token)
    assert box.stop() == 0
    assert len(set(tokens)) == 4
    log = box.log.read_text(encoding="utf-8")
    assert "event=ready" in log
    assert "event=stopped" in log
    for secret in (PASSWORD, json.dumps(PASSWORD)[1:-1], PASSWORD.encode().hex(), *tokens):
        assert secret
        assert secret not in log
    if form == "json":
        documents = [json.loads(line) for line in log.splitlines()]
        assert {tuple(each) for each in documents} == {("time", "level", "logger", "message")}
        assert {each["level"] for each in documents} <= {"debug", "info", "warning", "error"}


def test_the_journal_gets_a_level_on_every_line(box, platform):
    box.add_platform(platform(), "city")
    box.start(JOURNAL_STREAM="8:1")
    assert box.stop() == 0
    lines = box.log.read_text(encoding="utf-8").splitlines()
    assert {line[:3] for line in lines} == {"<4>", "<6>"}
    assert lines[0].startswith("<4>WARNING agent.app.lifecycle event=config_warning ")
