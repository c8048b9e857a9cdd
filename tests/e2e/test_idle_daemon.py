"""What an agent with nothing to run leaves alone, and one with a damaged database goes on with."""

from __future__ import annotations

import socket
import sys

import requests

CREDENTIALS = (b"admin", "Pässwort-密码".encode())
PACKAGES = "/ACSMP/AlgoFilePackages/Devices"


def test_an_idle_agent_neither_loads_docker_nor_asks_the_engine(box, platform):
    city = platform()
    box.add_platform(city, "city")
    path = box.folder / "engine.sock"
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(path))
        engine.listen()
        engine.setblocking(False)
        box.settings["runtime"] = {"socket": f"unix://{path}"}
        # Python names every module that it loads.
        words = [sys.executable, "-I", "-X", "importtime", "-m", "agent", "run"]
        box.command = lambda *_: [*words, "--config", str(box.config)]
        box.start()
        city.wait_for("Keepalive", count=2)
        answer = requests.post(
            f"{box.device_url()}/ACSMP/Computility", json={}, auth=CREDENTIALS, timeout=10
        )
        assert answer.json()["Code"] == 0
        assert box.status()["workloads"]["services"] == []
        try:
            engine.accept()
            was_asked = True
        except BlockingIOError:
            was_asked = False
        assert not was_asked
    assert box.stop() == 0
    modules = {line.rpartition("|")[2].strip() for line in box.log.read_text().splitlines()}
    assert "agent.app.build_workloads" in modules
    assert not {each for each in modules if each.partition(".")[0] in ("docker", "runtimes")}


def test_a_node_without_services_opens_no_database(box, platform):
    city = platform()
    box.add_platform(city, "city")
    box.settings["runtime"] = {"kind": "none"}
    box.start()
    city.wait_for("Keepalive")
    assert city.simulator.registry.nodes()[0].support_algo_service is False
    assert box.status()["workloads"] is None
    answer = requests.post(f"{box.device_url()}{PACKAGES}", json={}, auth=CREDENTIALS, timeout=10)
    assert answer.status_code == 501
    assert not (box.folder / "state.db").exists()
    assert "runtime.kind is none" in box.run("packages", "list").stderr
    assert "workloads    off" in box.run("status").stdout


def test_a_damaged_database_costs_no_keepalive_and_is_mended_without_a_restart(box, platform):
    city = platform()
    box.add_platform(city, "city")
    database = box.folder / "state.db"
    database.write_bytes(b"no database " * 1000)
    box.start()
    city.wait_for("Keepalive", count=2)
    answer = requests.post(
        f"{box.device_url()}{PACKAGES}/Search", json={}, auth=CREDENTIALS, timeout=10
    )
    assert answer.status_code == 503
    assert "move the file away" in answer.text
    told = box.run("status").stdout
    assert "workloads    unknown: " in told
    asked = box.run("packages", "list")
    assert asked.returncode == 1
    assert "move the file away" in asked.stderr

    database.rename(box.folder / "damaged")
    # Settings that concern the part; the same ones would be tried within half a minute.
    box.settings["workloads"] = {"accelerators": 0}
    box.write()
    box.process.send_signal(1)
    box.wait_until(lambda: box.status().get("workloads", {}).get("unknown", "") is None)
    assert box.run("packages", "list").stdout == "no packages\n"
    city.wait_for("Keepalive", count=city.accepted("Keepalive") + 2)
    assert city.accepted("Register") == 1
