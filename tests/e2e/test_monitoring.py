"""The running agent reports to monitoring platforms that were written from the standard alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.config.kinds import time_zone
from agent.security import sm2
from agent.simulator.monitoring.settings import (
    MonitoringSettings,
    SignEncoding,
    SignScheme,
    SignSettings,
)
from tests.agent.protocols.tc609.fake_platform import (
    PASSWORD,
    USERNAME,
    FakePlatform,
    Refusal,
)
from tests.e2e.conftest import Box, Platform
from tests.e2e.test_daemon import make_certificates

CENTRE = "示例算力中心"


def last_month() -> str:
    """Return the last month that is over for days, in the zone of months."""
    now = datetime.now(time_zone("Asia/Shanghai"))
    first = (now - timedelta(days=3)).replace(day=1)
    return (first - timedelta(days=1)).strftime("%Y-%m")


@pytest.fixture
def month() -> str:
    return last_month()


@pytest.fixture
def report_to(box: Box, month: str) -> Callable[..., None]:
    """Return a function that configures a platform, with a file of figures for the last month."""
    box.settings["monitoring"] = []
    # Nothing of this needs a device API, an engine or cards.
    del box.settings["device_api"], box.settings["acsmp"]
    box.settings["runtime"] = {"kind": "none"}
    figures = {
        "project": {"project_status": "已投产", "total_investment_10k_cny": 12000.5},
        "always": {"racks": 1200, "users": 35, "domestic_ratio": 0.5},
        "months": {month: {"rack_ratio": 0.62, "electricity_kwh": 1250000.5}},
    }
    (box.folder / "figures.yaml").write_text(json.dumps(figures, ensure_ascii=False))

    def add(name: str, url: str, *, password: str = "simulator", **changed: Any) -> None:
        box.settings["monitoring"].append(
            {
                "name": name,
                "url": url,
                "username": "simulator",
                "password_file": str(secret(box.folder, f"{name}.password", password)),
                "figures_file": str(box.folder / "figures.yaml"),
                "projects": [
                    {"name": "示例项目", "province": "440000", "cluster": "4", "hub": "13"}
                ],
                "centre": {
                    "name": CENTRE,
                    "projects": ["示例项目"],
                    "description": "一期",
                    "type": "general_ai",
                    "province": "440000",
                    "city": "440200",
                    "longitude": 113.59723,
                    "latitude": 24.81039612,
                    "cluster": "4",
                    "hub": "13",
                    "production_date": "2024/01/09",
                },
                "report": {"delay_hours": 1, "months": 2},
                **changed,
            }
        )

    return add


@pytest.fixture
def fake() -> Iterator[FakePlatform]:
    platform = FakePlatform()
    yield platform
    platform.close()


def secret(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def of(box: Box, name: str) -> dict[str, Any]:
    """Return what the status says of a platform, once it is started."""

    found: list[dict[str, Any]] = []

    def is_told() -> bool:
        monitoring = box.status().get("monitoring") or {"platforms": []}
        found[:] = [each for each in monitoring["platforms"] if each["name"] == name]
        return bool(found)

    # A platform that is being restarted is not there for a moment.
    box.wait_until(is_told)
    return found[0]


def signing(folder: Path, scheme: SignScheme) -> tuple[SignSettings, dict[str, Any]]:
    """Return how a platform checks signatures, and how the agent is told to sign."""
    told: dict[str, Any] = {"mode": scheme.value}
    if scheme is SignScheme.SM2:
        pair = sm2.generate_key_pair()
        told["private_key_file"] = str(secret(folder, "sign.key", pair.to_pkcs8_pem()))
        return SignSettings(scheme=scheme, public_key=pair.public_key), told
    told["secret_file"] = str(secret(folder, f"{scheme.value}.secret", f"s {scheme.value} 密"))
    return SignSettings(scheme=scheme, secret=f"s {scheme.value} 密"), told


SCHEMES = {
    SignScheme.HMAC_SM3: "Authorization: Bearer {token}",
    SignScheme.SM2: "X-Token: {token}",
    SignScheme.MD5_SUFFIX: "token: {token}",
    SignScheme.SHA256_TIF: "X-Auth-Token: {token}",
    SignScheme.SM3_SUFFIX: "Authorization: {token}",
    SignScheme.HMAC_SHA256: "X-Access-Token: {token}",
}


def test_several_platforms_are_told_each_in_its_own_way(box, platform, report_to, month):
    judged: dict[str, Platform] = {}
    for scheme, header in SCHEMES.items():
        checks, told = signing(box.folder, scheme)
        name = scheme.value
        # Each has seen others before us, so our ids differ from platform to platform.
        judged[name] = platform(
            strict_extra=True, monitoring=MonitoringSettings(users={name: "p"}, sign=checks)
        )
        report_to(
            name,
            judged[name].simulator.url,
            password="p",
            username=name,
            sign=told,
            token_header=header,
        )
    box.start()
    shown = box.run("monitoring", "sync", "--dry-run", "--json")
    assert shown.returncode == 0, shown.stderr
    for each in json.loads(shown.stdout)["platforms"]:
        assert [one["action"] for one in each["entities"]] == ["create", "create"]
    assert all(one.accepted("createProject") == 0 for one in judged.values())
    done = box.run("monitoring", "sync")
    assert done.returncode == 0, done.stderr
    # What the schedule had ready waited for the centres, and goes out now.
    for name, one in judged.items():
        one.wait_for("createCenter")
        one.wait_for("monthReport")
        box.wait_until(lambda name=name: of(box, name)["last_delivered_month"] == month)
    again = box.run("monitoring", "sync", "--json")
    for each in json.loads(again.stdout)["platforms"]:
        assert [one["action"] for one in each["entities"]] == ["unchanged", "unchanged"]
        assert all(one["differences"] == [] for one in each["entities"])
    verified = box.run("monitoring", "verify", month)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    for one in judged.values():
        assert [one.accepted(name) for name in ("createProject", "changeCenter")] == [1, 0]
        assert [event["findings"] for event in one.events if event["findings"]] == []
        assert not [event for event in one.events if event["accepted"] is False]


def test_other_forms_and_encodings_of_a_signature_are_what_a_platform_checks(
    box, platform, report_to, month
):
    wanted = {
        "raw": ({"covers_raw_body": True}, {"form": "raw-body"}),
        "upper": ({"encoding": SignEncoding.UPPER_HEX}, {"encoding": "upper-hex"}),
        "base64": ({"encoding": SignEncoding.BASE64}, {"encoding": "base64"}),
        "login": ({"signs_login": True}, {}),
    }
    file = secret(box.folder, "sign.secret", "open sesame")
    judged = {}
    for name, (checks, told) in wanted.items():
        judged[name] = platform(
            monitoring=MonitoringSettings(sign=SignSettings(secret="open sesame", **checks))
        )
        report_to(
            name,
            judged[name].simulator.url,
            sign={"secret_file": str(file), **told},
            sign_login=name == "login",
        )
    box.write()
    done = box.run("monitoring", "sync")
    assert done.returncode == 0, done.stdout + done.stderr
    sent = box.run("monitoring", "report", month)
    assert sent.returncode == 0, sent.stdout + sent.stderr
    for one in judged.values():
        assert one.accepted("monthReport") == 1
        assert one.accepted("createCenter") == 1


@pytest.mark.peer
def test_a_platform_under_mutual_tls_is_reported_to(
    box, platform, report_to, month, require_program
):
    make_certificates(require_program("openssl"), box.folder)
    judged = platform(
        certificate=box.folder / "server.pem",
        private_key=box.folder / "server.key",
        client_ca=box.folder / "ca.pem",
        monitoring=MonitoringSettings(sign=SignSettings(secret="s", signs_login=True)),
    )
    tls = {
        "ca_file": str(box.folder / "ca.pem"),
        "client_certificate": str(box.folder / "client.pem"),
        "client_private_key": str(box.folder / "client.key"),
        "sign": {"secret_file": str(secret(box.folder, "sign.secret", "s"))},
        "sign_login": True,
    }
    assert judged.simulator.url.startswith("https://")
    report_to("region", judged.simulator.url, **tls)
    report_to(
        "stranger",
        judged.simulator.url,
        **{**tls, "client_certificate": None, "client_private_key": None},
    )
    box.write()
    assert box.run("monitoring", "sync", "region").returncode == 0
    assert box.run("monitoring", "report", month, "region").returncode == 0
    assert judged.accepted("monthReport") == 1
    stranger = box.run("monitoring", "sync", "stranger")
    assert stranger.returncode == 1
    assert "TLS" in stranger.stderr or "certificate" in stranger.stderr


def test_a_kill_between_answer_and_note_loses_nothing(box, fake, report_to, month):
    fake.centres[1] = {"name": CENTRE}
    killed = []

    def check(_: str, body: bytes, __: Any) -> None:
        if b"reportMonth" in body and not killed:
            # The platform takes the report, and the agent dies before it can note that.
            assert box.process is not None
            box.process.send_signal(signal.SIGKILL)
            box.process.wait()
            killed.append(True)

    fake.check = check
    report_to("city", fake.url, username=USERNAME, password=PASSWORD)
    box.write()
    with box.log.open("ab") as log:
        box.process = subprocess.Popen(box.command("run"), stderr=log)
    box.process.wait(60)
    assert killed
    box.wait_until(lambda: fake.reports)
    (first,) = fake.reports.values()
    fake.reports.clear()
    box.start()
    box.wait_until(lambda: of(box, "city")["waiting"] == 0 and fake.reports)
    assert list(fake.reports) == [(1, month)]
    assert fake.reports[1, month] == first
    assert of(box, "city")["delivered_total"] == 1
    assert box.run("monitoring", "verify", month).returncode == 0


def test_a_refused_report_is_shown_and_released_after_mending(box, fake, report_to, month):
    fake.centres[1] = {"name": CENTRE}

    def refuse(_: str, body: bytes, __: Any) -> None:
        if b"reportMonth" in body:
            raise Refusal(10005, "computePower 缺失")

    fake.check = refuse
    report_to("city", fake.url, username=USERNAME, password=PASSWORD)
    box.start()
    box.wait_until(lambda: of(box, "city")["refused"])
    listed = box.run("monitoring", "list")
    assert f"refused    {month}: code 10005, computePower 缺失" in listed.stdout
    assert "1 refused" in box.run("status").stdout
    fake.check = lambda *_: None
    released = box.run("monitoring", "release", "city", month)
    assert released.returncode == 0, released.stderr
    assert list(fake.reports) == [(1, month)]
    assert of(box, "city")["refused"] == []


def test_a_reload_takes_up_a_platform_and_a_bad_code_changes_nothing(box, fake, report_to):
    fake.centres[1] = {"name": CENTRE}
    report_to("city", fake.url, username=USERNAME, password="wrong")
    box.start()
    box.wait_until(lambda: of(box, "city")["last_error"])
    box.settings["monitoring"][0]["centre"]["cluster"] = "99"
    box.write()
    os.kill(box.process.pid, signal.SIGHUP)
    box.wait_for_log("99 is not in annex D")
    box.settings["monitoring"][0]["centre"]["cluster"] = "4"
    secret(box.folder, "city.password", PASSWORD)
    box.write()
    os.kill(box.process.pid, signal.SIGHUP)
    box.wait_until(lambda: of(box, "city")["delivered_total"] == 1)
    assert fake.reports
    assert box.stop() == 0
