"""Annexes A, E and F on the control endpoint, against a device that speaks annex F."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import PermanentError
from agent.simulator.package_manifest import read_manifest
from agent.simulator.refusal import Refusal
from agent.simulator.run import Simulator
from tests.agent.simulator.fake_box import FakeBox, run_box

Run = Callable[..., Simulator]
CODE = "11010800005020000001"
YAML = "name: 人体结构化\nversion: 1.0.0\nprovider: ACME\nimage: {file: image.tar}\n"
MANUAL = Path(__file__).parents[3] / "docs" / "simulator.md"


def package_bytes(text: str = YAML) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        member = tarfile.TarInfo("algo.yaml")
        member.size = len(text.encode())
        archive.addfile(member, io.BytesIO(text.encode()))
    return target.getvalue()


PACKAGE = package_bytes()
MD5 = hashlib.md5(PACKAGE, usedforsecurity=False).hexdigest()


@pytest.fixture
def box() -> Iterator[FakeBox]:
    with run_box() as box:
        yield box


@pytest.fixture
def platform(run_simulator: Run, registration: dict[str, Any], box: FakeBox) -> Simulator:
    simulator = run_simulator()
    message = {**registration, "Port": box.port}
    requests.post(f"{simulator.url}/ACSMP/Register", json=message, timeout=5)
    return simulator


def call(simulator: Simulator, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    url = f"{simulator.control_url}/ACSMP/{path}"
    answer = requests.request(method, url, json=body, timeout=10)
    return answer.status_code, answer.json()


def import_package(simulator: Simulator, **fields: str) -> tuple[int, Any]:
    answer = requests.post(
        f"{simulator.control_url}/ACSMP/AlgoFilePackages",
        data=fields,
        files={"File": ("algo.tar", PACKAGE)},
        timeout=10,
    )
    return answer.status_code, answer.json()


@pytest.fixture
def package_id(platform: Simulator) -> str:
    return str(import_package(platform, MD5=MD5)[1]["Data"])


def test_an_import_is_listed_and_deleted_as_annex_a_says(
    platform: Simulator, package_id: str
) -> None:
    assert re.fullmatch("[0-9]{40}", package_id)
    record = {
        "AlgoFilePackageID": package_id,
        "AlgoFilePackageName": "人体结构化",
        "AlgoFilePackageVersion": "1.0.0",
        "AlgoFilePackageType": "image",
        "Provider": "ACME",
    }
    for query, found in (
        ({}, True),
        ({"Provider": "ACME", "AlgoFilePackageType": "image"}, True),
        ({"AlgoFilePackageIDs": [package_id]}, True),
        ({"AlgoFilePackageIDs": []}, False),
        ({"Provider": "other"}, False),
        ({"CreateTimeFrom": "2000-01-01 00:00:00"}, True),
        ({"CreateTimeTo": "2000-01-01 00:00:00"}, False),
    ):
        status, body = call(platform, "POST", "AlgoFilePackages/Search", query)
        assert status == 200
        assert [{n: each[n] for n in record} for each in body["Data"]] == [record] * found, query
    assert call(platform, "GET", f"AlgoFilePackages/{package_id}")[1]["Data"].items() >= (
        record.items()
    )
    assert call(platform, "DELETE", f"AlgoFilePackages/{package_id}")[0] == 200
    assert call(platform, "GET", f"AlgoFilePackages/{package_id}")[1]["Code"] == 40402


@pytest.mark.parametrize("digest", ["0" * 32, "short"])
def test_an_import_with_a_wrong_md5_leaves_nothing(
    run_simulator: Run, tmp_path: Path, digest: str
) -> None:
    simulator = run_simulator(packages_folder=tmp_path)
    status, body = import_package(simulator, MD5=digest)
    assert (status, body["Code"]) == (400, 40002)
    assert "table A.1 row 3" in body["Message"]
    assert [path.name for path in tmp_path.iterdir() if path.name != ".shelf.json"] == []


def test_an_import_by_address_is_fetched_and_checked(platform: Simulator) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PACKAGE)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/algo.tar"
        good = call(platform, "POST", "AlgoFilePackages", {"Url": url, "MD5": MD5})
        bad = call(platform, "POST", "AlgoFilePackages", {"Url": url, "MD5": "0" * 32})
        server.shutdown()
        thread.join()
    assert (good[0], bad[0]) == (200, 400)
    closed = call(platform, "POST", "AlgoFilePackages", {"Url": url, "MD5": MD5})
    assert closed[1]["Code"] == 50200
    assert call(platform, "POST", "AlgoFilePackages", {"Url": "file:///etc/passwd"})[0] == 400


def test_a_folder_of_packages_keeps_their_ids(run_simulator: Run, tmp_path: Path) -> None:
    (tmp_path / "people.tar").write_bytes(PACKAGE)
    (tmp_path / f"{'7' * 40}.tar").write_bytes(b"no tar at all")
    seen = []
    for _ in range(2):
        simulator = run_simulator(packages_folder=tmp_path)
        state = requests.get(f"{simulator.control_url}/_control/state", timeout=5).json()
        seen.append({each["AlgoFilePackageID"]: each["MD5"] for each in state["packages"]})
        problems = {each["AlgoFilePackageID"]: each["problem"] for each in state["packages"]}
        simulator.stop()
    assert seen[0] == seen[1]
    assert MD5 in seen[0].values()
    assert "algo.yaml cannot be read" in problems["7" * 40]


def test_a_file_that_did_not_change_is_not_read_again(run_simulator: Run, tmp_path: Path) -> None:
    path = tmp_path / "people.tar"
    path.write_bytes(PACKAGE)
    run_simulator(packages_folder=tmp_path).stop()
    status = path.stat()
    path.write_bytes(b"x" * len(PACKAGE))
    for times, expected in (
        ((status.st_atime_ns, status.st_mtime_ns), True),
        ((status.st_atime_ns, status.st_mtime_ns + 10**9), False),
    ):
        os.utime(path, ns=times)
        simulator = run_simulator(packages_folder=tmp_path)
        state = requests.get(f"{simulator.control_url}/_control/state", timeout=5).json()
        simulator.stop()
        assert (state["packages"][0]["MD5"] == MD5) is expected


def test_a_folder_that_is_none_is_named(tmp_path: Path, run_simulator: Run) -> None:
    with pytest.raises(PermanentError, match="missing"):
        run_simulator(packages_folder=tmp_path / "missing")


@pytest.mark.parametrize("query", ["", "?upload=true"])
def test_a_push_reaches_the_device_with_address_or_file(
    platform: Simulator, box: FakeBox, package_id: str, query: str
) -> None:
    message = {"AlgoFilePackageID": package_id, "ComputilityCode": CODE}
    assert call(platform, "POST", f"AlgoFilePackages/Devices{query}", message)[0] == 200
    method, path, sent = box.requests[-1]
    assert (method, path) == ("POST", "/ACSMP/AlgoFilePackages/Devices")
    if query:
        assert sent == {
            "AlgoFilePackageID": 40,
            "ComputilityCode": 20,
            "MD5": 32,
            "File": len(PACKAGE),
        }
    else:
        url = f"{platform.url}/packages/{package_id}"
        assert sent == {**message, "Url": url, "MD5": MD5}
    listed = call(platform, "POST", "AlgoFilePackages/Devices/Search", {"ComputilityCode": CODE})
    assert [(each["Status"], each["DownloadProgress"]) for each in listed[1]["Data"]] == [(3, 1.0)]


def test_services_are_loaded_listed_and_unloaded(
    platform: Simulator, box: FakeBox, package_id: str
) -> None:
    message = {
        "AlgoFilePackageID": package_id,
        "ComputilityCode": CODE,
        "Env": [{"Name": "AUTH_SERVER_ADDR", "Value": "192.0.2.1:8808"}],
        "LicenseFile": "http://192.0.2.1/licences/1",
        "Replicas": 2,
    }
    platform.push(CODE, package_id)
    status, body = call(platform, "POST", "AlgoServices/Devices", message)
    service_id = body["Data"]
    assert (status, box.requests[-1][2]) == (200, message)
    detail = call(platform, "GET", f"AlgoServices/Devices/{CODE}/{service_id}")[1]["Data"]
    assert (detail["Status"], detail["Replicas"]) == ("RUNNING", 2)
    page = {"ComputilityCode": CODE, "PageNumber": 1, "PageSize": 5}
    listed = call(platform, "POST", "AlgoServices/Devices/Search", page)[1]["Data"]
    assert (listed["TotalSize"], len(listed["Records"])) == (1, 1)
    refused = call(platform, "DELETE", f"AlgoFilePackages/Devices/{CODE}/{package_id}")
    assert refused == (409, {"Code": 40901, "Message": "its service exists"})
    unload = {"AlgoFilePackageID": package_id, "ComputilityCode": CODE}
    assert call(platform, "POST", "AlgoServices/Devices/UnInstall", unload)[0] == 200
    assert box.services == {}
    assert call(platform, "DELETE", f"AlgoFilePackages/Devices/{CODE}/{package_id}")[0] == 200
    assert call(platform, "POST", f"AlgoFilePackages/Devices/{CODE}/{package_id}")[0] == 404


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("AlgoFilePackages/Devices", {}, "table F.1 row 1"),
        ("AlgoFilePackages/Devices/Search", {"ComputilityCode": "1"}, "table F.2 row 1"),
        (
            "AlgoFilePackages/Devices/Search",
            {"ComputilityCode": CODE, "Status": 4},
            "table F.2 row 2",
        ),
        ("AlgoServices/Devices", {"ComputilityCode": CODE}, "table F.6 row 1"),
        (
            "AlgoServices/Devices",
            {"ComputilityCode": CODE, "AlgoFilePackageID": "1", "Env": [{"Name": "A"}]},
            "table F.7 row 2",
        ),
        (
            "AlgoServices/Devices",
            {"ComputilityCode": CODE, "AlgoFilePackageID": "1", "Replicas": 0},
            "table F.6 row 5",
        ),
        ("AlgoServices/Devices/UnInstall", {"ComputilityCode": CODE}, "table F.9 row 1"),
        (
            "AlgoServices/Devices/Search",
            {"ComputilityCode": CODE, "Status": "STOPPED"},
            "table F.10 row 2",
        ),
        ("AlgoFilePackages/Search", {"AlgoFilePackageIDs": [1]}, "table A.3 row 3"),
        ("AlgoFilePackages/Search", {"CreateTimeFrom": "2023-04-24"}, "table A.3 row 6"),
    ],
)
def test_a_caller_that_breaks_a_table_is_told_the_row(
    platform: Simulator, box: FakeBox, path: str, body: Any, says: str
) -> None:
    status, answer = call(platform, "POST", path, body)
    assert (status, answer["Code"]) == (400, 40002)
    assert says in answer["Message"]
    assert box.requests == []


def test_what_the_platform_does_not_know_is_404(platform: Simulator, package_id: str) -> None:
    push = {"AlgoFilePackageID": package_id, "ComputilityCode": "9" * 20}
    assert call(platform, "POST", "AlgoFilePackages/Devices", push)[1]["Code"] == 40401
    push = {"AlgoFilePackageID": "none", "ComputilityCode": CODE}
    assert call(platform, "POST", "AlgoFilePackages/Devices", push)[1]["Code"] == 40402


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"Status": 4}, "table F.4 row 5"),
        ({"Status": "3"}, "table F.4 row 5"),
        ({"DownloadProgress": 81}, "table F.4 row 7"),
        ({"CreatedDate": "2026-03-04T05:06:07"}, "table F.4 row 6"),
        ({"CreatedDate": "2026-02-30 05:06:07"}, "table F.4 row 6"),
        ({"AlgoPackageType": "docker"}, "table F.4 row 2"),
        ({"AlgoFilePackageID": "x" * 41}, "table F.4 row 4"),
    ],
)
def test_an_answer_of_the_device_that_breaks_a_table_is_502_with_the_row(
    platform: Simulator, box: FakeBox, package_id: str, change: dict[str, Any], says: str
) -> None:
    platform.push(CODE, package_id)
    box.packages[package_id].update(change)
    search = {"ComputilityCode": CODE}
    status, body = call(platform, "POST", "AlgoFilePackages/Devices/Search", search)
    assert (status, body["Code"]) == (502, 50200)
    assert says in body["Message"]


def test_what_stands_in_algo_yaml_is_asked_of_a_package_that_is_there_alone(
    platform: Simulator, box: FakeBox, package_id: str
) -> None:
    platform.push(CODE, package_id)
    for name in ("AlgoPackageName", "AlgoPackageType", "AlgoPackageVersion"):
        del box.packages[package_id][name]
    search = {"ComputilityCode": CODE}
    status, body = call(platform, "POST", "AlgoFilePackages/Devices/Search", search)
    assert status == 502
    for row in (1, 2, 3):
        assert f"table F.4 row {row}" in body["Message"]
    # A device that is still fetching has not read it.
    box.packages[package_id].update(
        {"Status": 1, "DownloadProgress": 0.5, "DownloadErrorMessage": "HTTP 503"}
    )
    status, body = call(platform, "POST", "AlgoFilePackages/Devices/Search", search)
    assert (status, body["Code"]) == (200, 0)
    last = platform.events.after(0, limit=500, wait_seconds=0)[-1]
    assert last["findings"] == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"DownloadProgress": 0.81}, "is 0.81, but Status is 3"),
        ({"DownloadErrorMessage": "下载中"}, "says something, Status is 3"),
        ({"Status": 2, "DownloadProgress": 0.1}, "says nothing, but Status is 2"),
    ],
)
def test_what_does_not_fit_together_is_a_finding(
    platform: Simulator, box: FakeBox, package_id: str, change: dict[str, Any], says: str
) -> None:
    platform.push(CODE, package_id)
    box.packages[package_id].update(change)
    last = platform.events.after(0, limit=500, wait_seconds=0)[-1]["id"]
    search = {"ComputilityCode": CODE}
    assert call(platform, "POST", "AlgoFilePackages/Devices/Search", search)[0] == 200
    (event,) = platform.events.after(last, limit=500, wait_seconds=0)
    assert [finding["problem"] for finding in event["findings"]] == [says]
    assert not event["findings"][0]["fatal"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"TotalSize": 101}, "is 101, but page 1 of 10 holds 1"),
        ({"PageSize": 1}, "is 1, asked for was 10"),
        ({"PageNumber": 2}, "is 2, asked for was 1"),
    ],
)
def test_pages_of_services_have_to_add_up(
    platform: Simulator, box: FakeBox, change: dict[str, Any], says: str
) -> None:
    box.load({"AlgoFilePackageID": "1"})
    box.spoil = lambda path, answer: (
        {**answer, "Data": {**answer["Data"], **change}} if path.endswith("Search") else answer
    )
    assert (
        call(platform, "POST", "AlgoServices/Devices/Search", {"ComputilityCode": CODE})[0] == 200
    )
    event = platform.events.after(0, limit=500, wait_seconds=0)[-1]
    assert says in [finding["problem"] for finding in event["findings"]]


def test_a_device_that_does_not_answer_is_502(
    platform: Simulator, registration: dict[str, Any], package_id: str
) -> None:
    message = {**registration, "Port": 1}
    requests.post(f"{platform.url}/ACSMP/Register", json=message, timeout=5)
    search = {"ComputilityCode": CODE}
    status, body = call(platform, "POST", "AlgoFilePackages/Devices/Search", search)
    assert (status, body["Code"]) == (502, 50200)
    assert "cannot connect" in body["Message"]
    with pytest.raises(Refusal, match="cannot connect"):
        platform.push(CODE, package_id)


def test_success_with_a_failing_status_is_a_violation(
    platform: Simulator, package_id: str, box: FakeBox
) -> None:
    box.spoil = lambda _, __: {"Code": 0, "Message": "success"}
    status, body = call(platform, "POST", f"AlgoFilePackages/Devices/{CODE}/none")
    assert (status, body["Code"]) == (502, 50200)
    assert "HTTP status 404" in body["Message"]


def test_a_licence_is_imported_and_fetched(platform: Simulator) -> None:
    url = f"{platform.control_url}/ACSMP/License"
    answer = requests.post(
        url, data={"Provider": "ACME"}, files={"File": b"\x00licence"}, timeout=5
    )
    number = answer.json()["Data"]
    assert requests.get(f"{platform.url}/licences/{number}", timeout=5).content == b"\x00licence"
    large = requests.post(
        url, data={"Provider": "ACME"}, files={"File": b"x" * (2 * 1024 * 1024 + 1)}, timeout=5
    )
    assert large.json()["Code"] == 41300
    nobody = requests.post(url, files={"File": b"x"}, timeout=5)
    assert "table E.1 row 2" in nobody.json()["Message"]
    assert requests.get(f"{platform.url}/licences/99", timeout=5).status_code == 404


def test_a_program_does_all_of_it_by_methods(
    platform: Simulator, box: FakeBox, tmp_path: Path
) -> None:
    path = tmp_path / "people.tar"
    path.write_bytes(PACKAGE)
    package_id = platform.add_package(path)
    platform.push(CODE, package_id, upload=True)
    assert [each["AlgoFilePackageID"] for each in platform.packages(CODE)] == [package_id]
    services = {platform.load(CODE, package_id, env={"A": "b"}) for _ in range(103)}
    assert {each["AlgoServiceID"] for each in platform.services(CODE)} == services
    with pytest.raises(Refusal, match="its service exists"):
        platform.delete(CODE, package_id)
    platform.unload(CODE, package_id)
    platform.delete(CODE, package_id)
    assert (platform.packages(CODE), platform.services(CODE)) == ([], [])
    assert path.exists()


def test_the_manual_names_paths_that_exist(platform: Simulator) -> None:
    text = MANUAL.read_text(encoding="utf-8")
    lines = [
        line for line in text.splitlines() if line.startswith("curl") and "/ACSMP/Algo" in line
    ]
    lines += [line for line in text.splitlines() if "/ACSMP/License -F" in line]
    assert len(lines) == 16
    for line in lines:
        match = re.search(r"http://127\.0\.0\.1:8089(/\S*?)'?(?= |$)", line)
        assert match is not None, line
        path = match[1].replace("$DEVICE", CODE).replace("$PACKAGE", "1").replace("$SERVICE", "2")
        method = "DELETE" if "-X DELETE" in line else "POST" if " -d " in line else "GET"
        if " -F " in line:
            method = "POST"
        answer = requests.request(method, f"{platform.control_url}{path}", timeout=10)
        # Whatever it says of an empty message, it says it in the envelope.
        assert "Code" in answer.json(), line


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "AlgoFilePackageID",
    "ComputilityCode",
    "Env",
    "Replicas",
    "LicenseFile",
    "Status",
    "PageNumber",
    "PageSize",
    "AlgoServiceID",
    "AlgoFilePackageIDs",
    "CreateTimeFrom",
    "Url",
)
MESSAGES = JSON | st.dictionaries(st.sampled_from(FIELDS), JSON | st.just(CODE), max_size=6)


@pytest.mark.parametrize(
    "path",
    [
        "AlgoFilePackages",
        "AlgoFilePackages/Search",
        "AlgoFilePackages/Devices",
        "AlgoFilePackages/Devices/Search",
        "AlgoServices/Devices",
        "AlgoServices/Devices/UnInstall",
        "AlgoServices/Devices/Search",
    ],
)
def test_whatever_a_caller_sends_is_answered_in_the_envelope(
    platform: Simulator, path: str
) -> None:
    session = requests.Session()

    @settings(
        max_examples=25,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(MESSAGES)
    def send(message: Any) -> None:
        url = f"{platform.control_url}/ACSMP/{path}"
        answer = session.post(url, json=message, timeout=10)
        assert answer.status_code != 500
        assert {"Code", "Message"} <= answer.json().keys()

    send()
    session.close()


@given(st.binary(max_size=2000))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_package_holds_its_manifest_is_a_record(tmp_path: Path, content: bytes) -> None:
    for number, raw in enumerate((content, package_bytes(content.decode("latin-1")))):
        path = tmp_path / f"{number}.tar"
        path.write_bytes(raw)
        manifest = read_manifest(path, name="fallback")
        assert manifest.name
        assert manifest.version
        assert manifest.type in ("image", "artifact")
