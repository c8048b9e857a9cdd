"""Packages and services on the device API, over fakes of what keeps them."""

from __future__ import annotations

import base64
import io
import json
from datetime import datetime, timezone
from types import SimpleNamespace

import falcon.testing
import pytest
from urllib3.filepost import encode_multipart_formdata

from agent.errors import (
    ConflictError,
    NoRoomError,
    NotFoundError,
    PermanentError,
    RequestError,
    TransientError,
)
from agent.model.workloads import (
    AcceleratorAssignment,
    DesiredService,
    Digests,
    EnvironmentVariable,
    Package,
    PackageState,
    Replica,
    Service,
    ServiceState,
    ServiceUsage,
)
from agent.protocols.acsmp.device_api import ROUTES, create_application
from agent.protocols.acsmp.gate import Gate

CODE = "11010800005020000001"
OTHER_CODE = "11010800005020000002"
PACKAGE = "1101150192508600000120231012203630000102"
SERVICE = "76079e21-1b8b-4151-b904-6c56a4635d58"
SECOND = "5a1f2a0c-3a37-4a86-9a3a-0f3a0c8f1b11"
BASIC = {"Authorization": "Basic " + base64.b64encode(b"admin:Passw0rd").decode()}
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
CHIP = AcceleratorAssignment(vendor="nvidia", uuid="GPU-1")


class FakePackages:
    """Notes what it is asked; `error` is raised by everything."""

    def __init__(self):
        self.error = None
        self.calls = []
        self.kept = [
            Package(package_id=name, state=state, created_at=NOW, progress_at=NOW)
            for name, state in (("a", PackageState.DOWNLOADING), ("b", PackageState.READY))
        ]

    def _note(self, *call):
        if self.error is not None:
            raise self.error
        self.calls.append(call)

    def push(self, push):
        self._note("push", push.package_id, push.url, push.digests)

    def receive(self, package_id, *, file, digests):
        self._note("receive", package_id, file.read(), digests)

    def delete(self, package_id):
        self._note("delete", package_id)

    def get(self, package_id):
        self._note("get", package_id)
        return next(each for each in self.kept if each.package_id == package_id)

    def list(self):
        self._note("list")
        return tuple(self.kept)


class FakeServices:
    """Notes what it is asked; `error` is raised by its orders, `trouble` by its list."""

    def __init__(self):
        self.error = None
        self.calls = []
        self.known = [
            make_service(SERVICE, state=ServiceState.RUNNING, chips=(CHIP,)),
            make_service(SECOND, state=ServiceState.ERROR),
        ]
        self.output = b"line\n"
        self.trouble = None

    def _note(self, *call):
        if self.error is not None:
            raise self.error
        self.calls.append(call)

    def load(self, load):
        self._note("load", load.package_id, load.env, load.licence_url, load.replicas)
        return SERVICE

    def unload(self, *, package_id, service_id):
        self._note("unload", package_id, service_id)

    def services(self):
        if self.trouble is not None:
            raise self.trouble
        return tuple(self.known)

    def logs(self, service_id, *, replica, tail_lines):
        self._note("logs", service_id, replica, tail_lines)
        return self.output


def make_service(service_id, *, state, chips=(), package_id=PACKAGE):
    return Service(
        desired=DesiredService(
            service_id=service_id,
            package_id=package_id,
            generation="g",
            env=(EnvironmentVariable(name="AUTH_SERVER_ADDR", value="127.0.0.1:8088"),),
            replicas=2,
            created_at=NOW,
        ),
        state=state,
        replicas=(Replica(index=0, accelerators=chips),),
        usage=ServiceUsage(
            accelerator_memory_total_bytes=16 << 30,
            accelerator_memory_used_bytes=5 << 30,
            accelerator_utilization_ratio=0.233444,
            accelerators=chips,
        )
        if chips
        else ServiceUsage(),
    )


@pytest.fixture
def api(view, clock, identity):
    packages, services = FakePackages(), FakeServices()

    def client(**parts):
        application = create_application(
            view=lambda: view,
            gate=Gate([identity()], tokens=tuple, clock=clock),
            address=lambda _identity: "192.0.2.7",
            identify=lambda card: card.product_name and "NVIDIA-T4",
            prefix="/ACSMP",
            **parts,
        )

        def seekable(environ, start_response):
            # As the agent's own server hands a body over.
            length = int(environ.get("CONTENT_LENGTH") or 0)
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
            return application(environ, start_response)

        return falcon.testing.TestClient(seekable, headers=BASIC)

    served = client(packages=packages, services=services)

    def ask(method, path, body=None, **options):
        if body is not None:
            options["body"] = body if isinstance(body, bytes | str) else json.dumps(body)
        return served.simulate_request(method, "/ACSMP" + path, **options)

    return SimpleNamespace(ask=ask, packages=packages, services=services, without=client)


def data(answer):
    assert answer.status_code == 200, answer.text
    assert answer.json["Code"] == 0
    assert answer.json["RequestID"]
    return answer.json.get("Data")


def assert_failure(answer, status, *words):
    assert answer.status_code == status, answer.text
    assert set(answer.json) == {"Code", "Message", "RequestID"}
    assert answer.json["Code"] == status
    for word in words:
        assert word in answer.json["Message"]


# Packages


@pytest.mark.parametrize("path", ["/AlgoFilePackages/Devices", "/AlgoFilePackages",
                                  "/AlgoFilePackages/Devices/"])  # fmt: skip
def test_a_push_is_noted_and_answered_at_once(api, golden, path):
    assert data(api.ask("POST", path, golden("algo_file_package_request"))) is None
    assert api.packages.calls == [
        (
            "push",
            PACKAGE,
            "http://127.0.0.1:9000/packages/person.tar",
            Digests(md5="0cc175b9c0f1b6a831c399e269772661"),
        )
    ]


def test_a_push_with_neither_address_nor_file_says_what_is_expected(api):
    answer = api.ask("POST", "/AlgoFilePackages/Devices", {"AlgoFilePackageID": PACKAGE})
    assert_failure(answer, 400, "Url", "MD5", "File", "multipart/form-data")
    assert api.packages.calls == []


def test_a_push_for_another_node_is_not_taken(api):
    body = {"AlgoFilePackageID": PACKAGE, "ComputilityCode": OTHER_CODE, "Url": "http://h/p"}
    assert_failure(api.ask("POST", "/AlgoFilePackages/Devices", body), 404, OTHER_CODE)
    form = form_of(AlgoFilePackageID=PACKAGE, ComputilityCode=OTHER_CODE, File=("p.tar", b"x"))
    assert_failure(api.ask("POST", "/AlgoFilePackages", **form), 404, OTHER_CODE)
    assert api.packages.calls == []


def form_of(**fields):
    body, content_type = encode_multipart_formdata(list(fields.items()))
    return {"body": body, "headers": {**BASIC, "Content-Type": content_type}}


@pytest.mark.parametrize("is_file_first", [True, False])
def test_a_form_brings_the_file_before_or_after_its_fields(api, is_file_first):
    fields = {"AlgoFilePackageID": PACKAGE, "MD5": "A" * 32, "ComputilityCode": CODE}
    file = {"File": ("算法.tar", b"content")}
    form = form_of(**{**file, **fields} if is_file_first else {**fields, **file})
    assert data(api.ask("POST", "/AlgoFilePackages/Devices", **form)) is None
    assert api.packages.calls == [("receive", PACKAGE, b"content", Digests(md5="a" * 32))]


def test_the_id_of_a_form_may_stand_in_the_query_string(api):
    form = form_of(File=("p.tar", b"content"))
    assert_failure(api.ask("POST", "/AlgoFilePackages", **form), 400, "AlgoFilePackageID")
    path = f"/AlgoFilePackages?AlgoFilePackageID={PACKAGE}&ComputilityCode={CODE}"
    data(api.ask("POST", path, **form))
    assert api.packages.calls == [("receive", PACKAGE, b"content", Digests())]


def test_a_form_may_bring_an_address_but_not_both(api):
    fields = {"AlgoFilePackageID": PACKAGE, "Url": "http://h/p"}
    data(api.ask("POST", "/AlgoFilePackages", **form_of(**fields)))
    assert api.packages.calls[0][:3] == ("push", PACKAGE, "http://h/p")
    both = form_of(**fields, File=("p.tar", b"x"))
    assert_failure(api.ask("POST", "/AlgoFilePackages", **both), 400, "File and Url")
    neither = form_of(AlgoFilePackageID=PACKAGE)
    assert_failure(api.ask("POST", "/AlgoFilePackages", **neither), 400, "part File")


def test_a_form_that_is_none_is_refused(api):
    headers = {**BASIC, "Content-Type": "multipart/form-data; boundary=B"}
    answer = api.ask("POST", "/AlgoFilePackages", b"--B\r\n", headers=headers)
    assert_failure(answer, 400, "form")


def test_the_list_of_packages_is_filtered_by_status(api):
    path = "/AlgoFilePackages/Devices/Search"
    everything = data(api.ask("POST", path))
    assert [each["AlgoFilePackageID"] for each in everything] == ["a", "b"]
    ready = data(api.ask("POST", path, {"ComputilityCode": CODE, "Status": "3"}))
    assert [each["AlgoFilePackageID"] for each in ready] == ["b"]
    assert data(api.ask("POST", path, {"Status": 2})) == []
    assert_failure(api.ask("POST", path, {"Status": 4}), 400, "Status")
    assert_failure(api.ask("POST", path, {"ComputilityCode": OTHER_CODE}), 404)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_package_is_shown_by_get_and_by_post(api, method):
    shown = data(api.ask(method, f"/AlgoFilePackages/Devices/{CODE}/b"))
    assert (shown["AlgoFilePackageID"], shown["Status"]) == ("b", 3)
    assert shown["CreatedDate"] == "2026-01-01 08:00:00"
    assert_failure(api.ask(method, f"/AlgoFilePackages/Devices/{OTHER_CODE}/b"), 404)
    assert_failure(api.ask(method, f"/AlgoFilePackages/Devices/{CODE}/.."), 400)


def test_a_package_is_deleted(api):
    assert data(api.ask("DELETE", f"/AlgoFilePackages/Devices/{CODE}/b")) is None
    assert_failure(api.ask("DELETE", f"/AlgoFilePackages/Devices/{OTHER_CODE}/b"), 404)
    assert api.packages.calls == [("delete", "b")]


# Services


def test_a_service_is_loaded_and_its_id_answered(api, golden):
    answer = api.ask("POST", "/AlgoServices/Devices", golden("algo_service_install_request"))
    assert data(answer) == SERVICE
    env = (EnvironmentVariable(name="AUTH_SERVER_ADDR", value="127.0.0.1:8088"),)
    licence = "http://127.0.0.1:9000/licences/a.lic"
    assert api.services.calls == [("load", PACKAGE, env, licence, 2)]


def test_one_service_several_or_all_of_a_package_are_unloaded(api, golden):
    path = "/AlgoServices/Devices/UnInstall"
    assert data(api.ask("POST", path, golden("algo_service_uninstall_request"))) is None
    data(api.ask("POST", path, {"AlgoFilePackageID": PACKAGE}))
    both = {"AlgoFilePackageID": PACKAGE, "AlgoServiceIDs": ["x", "y"]}
    data(api.ask("POST", path, both))
    assert [call[2] for call in api.services.calls] == [SERVICE, None, "x", "y"]
    empty = {"AlgoFilePackageID": PACKAGE, "AlgoServiceID": ""}
    assert_failure(api.ask("POST", path, empty), 400, "leave it out")
    elsewhere = {"AlgoFilePackageID": PACKAGE, "ComputilityCode": OTHER_CODE}
    assert_failure(api.ask("POST", path, elsewhere), 404)
    assert len(api.services.calls) == 4


def test_services_are_listed_by_page_state_and_package(api):
    path = "/AlgoServices/Devices/Search"
    found = data(api.ask("POST", path, {"ComputilityCode": CODE}))
    assert [each["AlgoServiceID"] for each in found["Records"]] == [SERVICE, SECOND]
    assert (found["PageNumber"], found["PageSize"], found["TotalSize"]) == (1, 10, 2)
    first, second = found["Records"]
    assert (first["Status"], first["XpuType"]) == ("RUNNING", "NVIDIA-T4")
    assert "XpuType" not in second
    page = data(api.ask("POST", path, {"PageRequest": {"PageNumber": 2, "PageSize": 1}}))
    assert [each["AlgoServiceID"] for each in page["Records"]] == [SECOND]
    assert page["TotalSize"] == 2
    for query, count in (
        ({"Status": "ERROR"}, 1),
        ({"Status": "INIT"}, 0),
        ({"AlgoFilePackageID": PACKAGE}, 2),
        ({"AlgoFilePackageID": "other"}, 0),
    ):
        assert data(api.ask("POST", path, query))["TotalSize"] == count


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_service_is_found_by_its_id_or_by_the_package_of_which_it_is_the_only_one(api, method):
    path = f"/AlgoServices/Devices/{CODE}"
    assert data(api.ask(method, f"{path}/{SECOND}"))["Status"] == "ERROR"
    assert_failure(api.ask(method, f"{path}/{PACKAGE}"), 409, "2 services")
    del api.services.known[0]
    assert data(api.ask(method, f"{path}/{PACKAGE}"))["AlgoServiceID"] == SECOND
    assert_failure(api.ask(method, f"{path}/nobody"), 404)
    assert_failure(api.ask(method, f"/AlgoServices/Devices/{OTHER_CODE}/{SECOND}"), 404)


def test_the_output_of_a_replica_is_told_as_it_was_printed(api):
    path = f"/AlgoServices/Devices/{CODE}/{SERVICE}/Logs"
    api.services.output = "中文".encode("gbk") + b"\n"
    answer = api.ask("GET", path)
    assert (answer.status_code, answer.content) == (200, api.services.output)
    assert answer.headers["content-type"] == "text/plain"
    api.ask("GET", path, params={"Replica": "1", "TailLines": "5"})
    assert api.services.calls == [("logs", SERVICE, 0, 200), ("logs", SERVICE, 1, 5)]
    assert_failure(api.ask("GET", path, params={"Replica": "2"}), 404, "2 replicas")
    assert_failure(api.ask("GET", path, params={"TailLines": "all"}), 400, "TailLines")
    api.services.output = b"x" * (3 << 20)
    assert len(api.ask("GET", path).content) == 1 << 20


def test_services_are_monitored_in_annex_g(api, golden):
    answer = api.ask("GET", "/Computility")
    found = answer.json["Data"]["PageContent"][0]["DeviceInfos"][0]["AlgoServiceMonitors"]
    assert found == golden("algo_service_monitors")


def test_services_that_cannot_be_told_now_cost_annex_g_only_their_key(api):
    api.services.trouble = TransientError("the disk is busy")
    info = api.ask("GET", "/Computility").json["Data"]["PageContent"][0]["DeviceInfos"][0]
    assert "AlgoServiceMonitors" not in info
    assert info["Cpu"] == 64
    assert_failure(api.ask("POST", "/AlgoServices/Devices/Search"), 503, "busy")


def test_the_kind_of_chips_that_are_not_known_has_no_key(api):
    gone = AcceleratorAssignment(vendor="nvidia", uuid="gone")
    nameless = AcceleratorAssignment(vendor="nvidia", uuid="GPU-2")
    for chips in ((CHIP, gone), (CHIP, nameless)):
        api.services.known = [make_service(SERVICE, state=ServiceState.RUNNING, chips=chips)]
        answer = api.ask("GET", f"/AlgoServices/Devices/{CODE}/{SERVICE}")
        assert "XpuType" not in data(answer)
    api.services.known = [make_service(SERVICE, state=ServiceState.RUNNING, chips=(CHIP, CHIP))]
    answer = api.ask("GET", f"/AlgoServices/Devices/{CODE}/{SERVICE}")
    assert data(answer)["XpuType"] == "NVIDIA-T4"


# Refusals


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RequestError("why"), 400),
        (NotFoundError("why"), 404),
        (ConflictError("why"), 409),
        (PermanentError("why"), 422),
        (TransientError("why"), 503),
        (NoRoomError("why"), 507),
    ],
)
def test_each_refusal_has_its_status_in_the_envelope(api, golden, error, status):
    api.packages.error = api.services.error = error
    form = form_of(AlgoFilePackageID=PACKAGE, File=("p.tar", b"x"))
    answers = [
        api.ask("POST", "/AlgoFilePackages/Devices", golden("algo_file_package_request")),
        api.ask("POST", "/AlgoFilePackages/Devices", **form),
        api.ask("DELETE", f"/AlgoFilePackages/Devices/{CODE}/b"),
        api.ask("GET", f"/AlgoFilePackages/Devices/{CODE}/b"),
        api.ask("POST", "/AlgoServices/Devices", golden("algo_service_install_request")),
        api.ask("POST", "/AlgoServices/Devices/UnInstall", {"AlgoFilePackageID": PACKAGE}),
    ]
    for answer in answers:
        assert_failure(answer, status, "why")
        assert ("retry-after" in answer.headers) is (status == 503)


def test_trouble_says_when_to_come_again(api):
    api.packages.error = TransientError("busy", retry_after_seconds=6.5)
    answer = api.ask("DELETE", f"/AlgoFilePackages/Devices/{CODE}/b")
    assert answer.headers["retry-after"] == "7"


def test_a_node_without_a_runtime_says_so_on_every_path(api):
    client = api.without()
    for route in ROUTES:
        if route.part == "node":
            continue
        path = "/ACSMP" + route.path.format(code=CODE, package_id="a", service_id="a")
        for method in set(route.methods) - {"HEAD"}:
            assert_failure(client.simulate_request(method, path), 501, "runtime.kind")
    assert (
        client.simulate_get("/ACSMP/Computility").json["Data"]["PageContent"][0]["DeviceInfos"][0][
            "AlgoServiceMonitors"
        ]
        == []
    )


def test_without_credentials_no_package_is_pushed_and_nothing_told(api, golden):
    for route in ROUTES:
        path = "/ACSMP" + route.path.format(code=CODE, package_id="a", service_id="a")
        client = api.without(packages=api.packages, services=api.services)
        client._default_headers = {}
        for method in route.methods:
            assert client.simulate_request(method, path).status_code == 401
    assert api.packages.calls == api.services.calls == []


def test_a_wrong_method_is_told_which_ones_there_are(api):
    answer = api.ask("PUT", f"/AlgoFilePackages/Devices/{CODE}/a")
    assert_failure(answer, 405, "DELETE", "GET", "POST")
