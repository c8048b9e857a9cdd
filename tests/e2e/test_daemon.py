"""The running agent as an operator and a platform see it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading

import pytest
import requests

from agent.simulator.faults import Fault, FaultKind

PASSWORD = "Pässwort-密码"
CREDENTIALS = (b"admin", PASSWORD.encode())


def test_a_node_registers_keeps_alive_and_is_read_back(box, platform):
    city = platform(poll_seconds=0.5)
    box.add_platform(city, "city")
    box.start()
    registered = city.wait_for("Register")
    assert registered["findings"] == []
    city.wait_for("Keepalive", count=3)
    node = city.simulator.registry.nodes()[0]
    assert (node.code, node.type) == (box.settings["node"]["code"], "AI_BOX")
    assert node.password == PASSWORD
    assert node.password_layout == "C1C3C2, 04, hex"
    box.wait_until(lambda: city.simulator.registry.nodes()[0].read_back.content)
    device = city.simulator.registry.nodes()[0].read_back.content[0]["DeviceInfos"][0]
    assert device["DeviceID"] == node.code
    assert device["Cpu"] == os.cpu_count()
    assert not [event for event in city.events if event["findings"]]


def test_a_stopped_agent_stays_registered(box, platform):
    city = platform()
    box.add_platform(city, "city")
    box.start()
    city.wait_for("Keepalive")
    assert box.stop() == 0
    assert city.accepted("UnRegister") == 0
    assert len(city.simulator.registry.nodes()) == 1


def test_the_device_api_takes_the_password_and_the_token_and_nothing_else(box, platform):
    city = platform()
    box.add_platform(city, "city")
    box.start()
    city.wait_for("Register")
    url = box.device_url() + "/ACSMP/Computility"
    token = city.simulator.registry.nodes()[0].token
    assert requests.get(url, timeout=10).status_code == 401
    assert requests.get(url, auth=("admin", "wrong"), timeout=10).status_code == 401
    good = requests.post(url, json={}, auth=CREDENTIALS, timeout=10)
    assert (good.status_code, good.json()["Code"], good.json()["Data"]["Total"]) == (200, 0, 1)
    headers = {"Authorization": f"Bearer {token}"}
    assert requests.get(url, headers=headers, timeout=10).status_code == 200
    health = requests.get(box.device_url() + "/healthz", timeout=10)
    assert (health.status_code, health.text) == (200, "alive\n")


def test_a_platform_that_is_down_is_no_reason_not_to_serve(box, platform):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    city = platform()
    box.add_platform(city, "down", url=f"http://127.0.0.1:{port}", address="127.0.0.1")
    box.start()
    box.wait_until(lambda: box.status()["platforms"][0]["state"] == "failing")
    url = box.device_url() + "/ACSMP/Computility"
    assert requests.get(url, auth=CREDENTIALS, timeout=10).status_code == 200
    told = box.run("status")
    assert told.returncode == 1
    assert "last error" in told.stdout


@pytest.mark.parametrize(
    "kind", [FaultKind.HUGE, FaultKind.REDIRECT, FaultKind.GARBAGE, FaultKind.BLACK_HOLE]
)
def test_a_hostile_platform_costs_the_others_nothing(box, platform, kind):
    hostile, city = platform(), platform()
    hostile.simulator.apply(Fault(kind=kind))
    box.add_platform(hostile, "hostile")
    box.add_platform(city, "city")
    box.settings["acsmp"][0]["address"] = "127.0.0.1"
    box.start()
    city.wait_for("Keepalive", count=4)
    status = {each["name"]: each for each in box.status()["platforms"]}
    assert status["city"]["is_registered"]
    assert not status["hostile"]["is_registered"]
    assert requests.get(box.device_url() + "/healthz", timeout=10).status_code == 200
    assert box.stop() == 0


def test_two_platforms_have_their_own_identities(box, platform, tmp_path):
    city, region = platform(), platform()
    secret = tmp_path / "region.password"
    secret.write_text("another")
    secret.chmod(0o600)
    other = "11010800005020000002"
    box.add_platform(city, "city")
    box.add_platform(
        region,
        "region",
        code=other,
        username="region",
        password_file=str(secret),
        sm2={"order": "c1c2c3", "point_prefix": False, "encoding": "base64"},
    )
    box.start()
    city.wait_for("Keepalive")
    region.wait_for("Keepalive")
    node = region.simulator.registry.nodes()[0]
    assert (node.code, node.username, node.password) == (other, "region", "another")
    url = box.device_url() + "/ACSMP/Computility"
    for credentials, code in (
        (CREDENTIALS, box.settings["node"]["code"]),
        (("region", "another"), other),
    ):
        page = requests.get(url, auth=credentials, timeout=10).json()["Data"]["PageContent"]
        assert [each["ComputilityCode"] for each in page] == [code]


def test_a_forgotten_node_registers_again(box, platform):
    city = platform()
    box.add_platform(city, "city")
    box.start()
    city.wait_for("Keepalive")
    city.simulator.registry.forget(box.settings["node"]["code"])
    city.wait_for("Register", count=2)
    city.wait_for("Keepalive", count=city.accepted("Keepalive") + 1)


def test_a_bad_configuration_changes_nothing_on_reload(box, platform):
    city = platform()
    box.add_platform(city, "city")
    box.start()
    city.wait_for("Keepalive")
    box.config.write_text("node: {code: 1}\n")
    box.process.send_signal(signal.SIGHUP)
    box.wait_for_log("reload_refused")
    assert "config.yaml:1:" in box.log.read_text()
    city.wait_for("Keepalive", count=city.accepted("Keepalive") + 2)
    assert city.accepted("Register") == 1


def test_a_reload_restarts_only_what_changed(box, platform):
    city, region = platform(), platform()
    box.add_platform(city, "city")
    box.start()
    city.wait_for("Keepalive")
    before = box.device_url()
    box.add_platform(region, "region")
    box.settings["metrics"] = {"listen": "127.0.0.1:0"}
    box.write()
    box.process.send_signal(signal.SIGHUP)
    region.wait_for("Keepalive")
    box.wait_until(lambda: box.status()["metrics"])
    metrics = requests.get(f"http://{box.status()['metrics']}/metrics", timeout=10)
    assert 'computility_platform_registered{platform="region"} 1.0' in metrics.text
    box.settings["acsmp"].pop()
    del box.settings["metrics"]
    box.write()
    box.process.send_signal(signal.SIGHUP)
    box.wait_until(lambda: len(box.status()["platforms"]) == 1)
    city.wait_for("Keepalive", count=city.accepted("Keepalive") + 1)
    # The city never noticed, and the device API kept its port and its connections.
    assert city.accepted("Register") == 1
    assert box.device_url() == before


def test_a_changed_interval_does_not_disturb_the_platforms(box, platform):
    city = platform()
    box.add_platform(city, "city")
    box.start()
    city.wait_for("Keepalive")
    box.settings["collect"]["interval_seconds"] = 2
    box.write()
    box.process.send_signal(signal.SIGHUP)
    box.wait_for_log("sampler: changed")
    city.wait_for("Keepalive", count=city.accepted("Keepalive") + 2)
    assert city.accepted("Register") == 1


def test_the_service_manager_hears_of_readiness_and_life(box, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(30)
        box.start(NOTIFY_SOCKET=path, WATCHDOG_USEC="900000")
        assert manager.recv(4096).startswith(b"READY=1\n")
        assert manager.recv(4096) == b"WATCHDOG=1"
        assert manager.recv(4096) == b"WATCHDOG=1"
        box.process.send_signal(signal.SIGHUP)
        heard = []
        while not heard or not heard[-1].startswith(b"READY=1"):
            heard.append(manager.recv(4096))
        assert any(each.startswith(b"RELOADING=1\nMONOTONIC_USEC=") for each in heard)
        box.process.send_signal(signal.SIGTERM)
        while heard[-1] != b"STOPPING=1":
            heard.append(manager.recv(4096))
        assert box.process.wait(30) == 0


def test_a_second_agent_on_the_same_state_is_refused(box):
    box.start()
    second = box.run("run")
    assert second.returncode == 1
    assert "another agent already listens" in second.stderr
    assert "Traceback" not in second.stderr
    assert box.status()


def test_a_port_in_use_is_said_with_its_address(box):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        box.settings["device_api"]["listen"] = place
        box.write()
        started = box.run("run")
    assert started.returncode == 1
    assert place in started.stderr
    assert "Traceback" not in started.stderr


@pytest.mark.peer
def test_mutual_tls_lets_only_our_platform_in(box, tmp_path, require_program):
    openssl = require_program("openssl")
    make_certificates(openssl, tmp_path)
    box.settings["device_api"]["tls"] = {
        "certificate": str(tmp_path / "server.pem"),
        "private_key": str(tmp_path / "server.key"),
        "client_ca": str(tmp_path / "ca.pem"),
    }
    box.start()
    url = box.device_url(scheme="https") + "/ACSMP/Computility"
    ca = str(tmp_path / "ca.pem")
    client = (str(tmp_path / "client.pem"), str(tmp_path / "client.key"))
    good = requests.get(url, auth=CREDENTIALS, verify=ca, cert=client, timeout=10)
    assert good.status_code == 200
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(url, auth=CREDENTIALS, verify=ca, timeout=10)


def make_certificates(openssl, folder):
    def run(*words):
        subprocess.run([openssl, *words], check=True, capture_output=True, cwd=folder)

    def new(name, *more):
        run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", *more)

    usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    new("ca", "-x509", "-subj", "/CN=test CA", "-days", "2", "-out", "ca.pem", *usage)
    (folder / "san").write_text(
        "subjectAltName=IP:127.0.0.1\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    for name in ("server", "client"):
        new(name, "-subj", f"/CN={name}", "-out", f"{name}.csr")
        sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
        run("x509", "-req", "-in", f"{name}.csr", *sign, "-extfile", "san", "-out", f"{name}.pem")


def test_a_hundred_readers_at_once_are_all_answered(box):
    box.start()
    url = box.device_url() + "/ACSMP/Computility"
    answers = []

    def read():
        answers.append(requests.get(url, auth=CREDENTIALS, timeout=30).status_code)

    threads = [threading.Thread(target=read) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [200] * 100
