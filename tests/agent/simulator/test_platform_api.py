"""The four operations as a device sees them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from agent.security import sm2
from agent.simulator.run import Simulator

CODE = "11010800005020000001"
OTHER_CODE = "11010800005020000002"
Run = Callable[..., Simulator]


def post(simulator: Simulator, operation: str, message: Any, **options: Any) -> requests.Response:
    answer = requests.post(f"{simulator.url}/ACSMP/{operation}", json=message, timeout=5, **options)
    body = answer.json()
    assert isinstance(body["Code"], int)
    assert body["Message"]
    assert body["RequestID"]
    return answer


def events_of(simulator: Simulator) -> list[dict[str, Any]]:
    return simulator.events.after(0, limit=500, wait_seconds=0)


def test_a_registration_is_answered_with_a_token(
    run_simulator: Run, registration: dict[str, Any]
) -> None:
    simulator = run_simulator()
    answer = post(simulator, "Register", registration)
    assert answer.status_code == 200
    assert answer.json()["Code"] == 0
    assert 1 <= len(answer.json()["Data"]["Token"]) <= 256
    (node,) = simulator.registry.nodes()
    assert (node.code, node.type, node.address, node.port) == (CODE, "AI_BOX", "127.0.0.1", 8123)
    assert node.password == "geheim-密码"
    assert node.support_algo_service is False
    assert "password decrypted (C1C3C2, 04, hex)" in events_of(simulator)[-1]["text"]


def test_algorithm_services_are_supported_unless_it_is_said(
    run_simulator: Run, registration: dict[str, Any]
) -> None:
    simulator = run_simulator()
    del registration["SupportAlgoService"]
    post(simulator, "Register", registration)
    assert simulator.registry.nodes()[0].support_algo_service is True


@pytest.mark.parametrize("layout", sm2.EVERY_LAYOUT, ids=str)
def test_every_layout_of_a_ciphertext_is_read(
    run_simulator: Run, registration: dict[str, Any], key_pair: sm2.PrivateKey, layout: sm2.Layout
) -> None:
    simulator = run_simulator()
    text = sm2.encrypt(key_pair.public_key, b"p" * 32, layout=layout)
    assert post(simulator, "Register", {**registration, "Password": text}).status_code == 200
    assert simulator.registry.nodes()[0].password == "p" * 32


def test_a_violated_table_is_answered_with_all_rows(
    run_simulator: Run, registration: dict[str, Any]
) -> None:
    simulator = run_simulator()
    answer = post(simulator, "Register", {**registration, "Port": "8123", "Type": "BOX"})
    assert answer.status_code == 400
    assert answer.json()["Code"] == 40002
    assert "table B.1 row 2, Type" in answer.json()["Message"]
    assert "table B.1 row 4, Port" in answer.json()["Message"]
    event = events_of(simulator)[-1]
    assert event["accepted"] is False
    assert [finding["row"] for finding in event["findings"]] == [2, 4]
    assert simulator.registry.nodes() == []


@pytest.mark.parametrize("plaintext", [b"p" * 33, b"\xff\xfe"], ids=["33 bytes", "not UTF-8"])
def test_a_password_that_no_device_api_takes_is_refused(
    run_simulator: Run,
    registration: dict[str, Any],
    key_pair: sm2.PrivateKey,
    plaintext: bytes,
) -> None:
    simulator = run_simulator()
    text = sm2.encrypt(key_pair.public_key, plaintext, layout=sm2.Layout())
    answer = post(simulator, "Register", {**registration, "Password": text})
    assert (answer.status_code, answer.json()["Code"]) == (403, 40301)
    assert "table B.1 row 6" in answer.json()["Message"]


def test_a_password_for_another_key_is_refused(
    run_simulator: Run, registration: dict[str, Any]
) -> None:
    other = sm2.generate_key_pair().public_key
    text = sm2.encrypt(other, b"secret", layout=sm2.Layout())
    answer = post(run_simulator(), "Register", {**registration, "Password": text})
    assert (answer.status_code, answer.json()["Code"]) == (403, 40301)


def test_a_plain_password_needs_permission_and_leaves_a_finding(
    run_simulator: Run, registration: dict[str, Any]
) -> None:
    plain = {**registration, "Password": "secret"}
    assert post(run_simulator(), "Register", plain).status_code == 403
    simulator = run_simulator(allow_plain_password=True)
    assert post(simulator, "Register", plain).status_code == 200
    assert [finding["row"] for finding in events_of(simulator)[-1]["findings"]] == [6]
    assert post(simulator, "Register", {**plain, "Password": "界" * 11}).status_code == 403


def test_registering_again_replaces_node_and_token(
    run_simulator: Run, registration: dict[str, Any]
) -> None:
    simulator = run_simulator()
    old = post(simulator, "Register", registration).json()["Data"]["Token"]
    new = post(simulator, "Register", {**registration, "Port": 9}).json()["Data"]["Token"]
    (node,) = simulator.registry.nodes()
    assert (node.port, node.registrations) == (9, 2)
    message = {"Code": CODE}
    for token, status in ((old, 401), (new, 200)):
        headers = {"Authorization": f"Bearer {token}"}
        assert post(simulator, "Keepalive", message, headers=headers).status_code == status


@pytest.mark.parametrize(
    "header",
    ["Authorization: Bearer {}", "Authorization: {}", "Token: {}", "X-Auth-Token: {}"],
)
def test_a_token_that_is_sent_is_checked(
    run_simulator: Run, registration: dict[str, Any], header: str
) -> None:
    simulator = run_simulator()
    token = post(simulator, "Register", registration).json()["Data"]["Token"]
    name, form = header.split(": ")
    for value, status in ((token, 200), (token + "x", 401)):
        headers = {name: form.format(value)}
        answer = post(simulator, "Keepalive", {"Code": CODE}, headers=headers)
        assert answer.status_code == status


@pytest.mark.parametrize(("require_token", "status"), [(False, 200), (True, 401)])
def test_a_missing_token_is_refused_only_where_it_is_required(
    run_simulator: Run, registration: dict[str, Any], *, require_token: bool, status: int
) -> None:
    simulator = run_simulator(require_token=require_token)
    post(simulator, "Register", registration)
    assert post(simulator, "Keepalive", {"Code": CODE}).status_code == status


def test_a_keepalive_without_rotation_brings_no_data(
    run_simulator: Run, registration: dict[str, Any]
) -> None:
    simulator = run_simulator()
    post(simulator, "Register", registration)
    assert "Data" not in post(simulator, "Keepalive", {"Code": CODE}).json()
    assert simulator.registry.nodes()[0].keepalives == 1


def test_an_unknown_node_is_told_to_register(run_simulator: Run) -> None:
    answer = post(run_simulator(), "Keepalive", {"Code": CODE})
    assert (answer.status_code, answer.json()["Code"]) == (404, 40401)


def test_unregistering_needs_the_credentials_of_the_registration(
    run_simulator: Run, registration: dict[str, Any], key_pair: sm2.PrivateKey
) -> None:
    simulator = run_simulator()
    post(simulator, "Register", registration)
    message = {name: registration[name] for name in ("Code", "Username", "Password")}
    wrong = sm2.encrypt(key_pair.public_key, b"wrong", layout=sm2.Layout())
    for change in ({"Password": wrong}, {"Username": "other"}):
        answer = post(simulator, "UnRegister", {**message, **change})
        assert (answer.status_code, answer.json()["Code"]) == (403, 40302)
    # Encrypted anew, the same password is another text.
    again = sm2.encrypt(
        key_pair.public_key, "geheim-密码".encode(), layout=sm2.Layout(order="c1c2c3")
    )
    answer = post(simulator, "UnRegister", {**message, "Password": again})
    assert answer.status_code == 200
    assert "Data" not in answer.json()
    assert post(simulator, "UnRegister", message).status_code == 404


def test_a_full_platform_refuses_new_nodes_and_keeps_the_old(
    run_simulator: Run, registration: dict[str, Any]
) -> None:
    simulator = run_simulator(nodes_maximum=1)
    post(simulator, "Register", registration)
    assert post(simulator, "Register", {**registration, "Code": OTHER_CODE}).status_code == 409
    assert post(simulator, "Register", registration).status_code == 200


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"data": b"{"}, 400),
        ({"data": b"[]"}, 400),
        ({"data": b""}, 400),
        ({"data": b"Code=1", "headers": {"Content-Type": "text/plain"}}, 415),
        ({"data": b" " * 70_000}, 413),
    ],
)
def test_what_is_no_message_is_refused_with_an_envelope(
    run_simulator: Run, options: dict[str, Any], status: int
) -> None:
    answer = requests.post(f"{run_simulator().url}/ACSMP/Keepalive", timeout=5, **options)
    assert answer.status_code == status
    assert answer.json()["Code"] != 0
    assert answer.json()["Message"]


def test_wrong_paths_and_methods_get_an_envelope_too(run_simulator: Run) -> None:
    simulator = run_simulator()
    wrong_path = requests.post(f"{simulator.url}/ACSMP/register", json={}, timeout=5)
    assert wrong_path.status_code == 404
    assert "/ACSMP/Register" in wrong_path.json()["Message"]
    wrong_method = requests.get(f"{simulator.url}/ACSMP/Register", timeout=5)
    assert wrong_method.status_code == 405
    assert "POST" in wrong_method.headers["Allow"]
    assert wrong_method.json()["Code"] == 40500


@pytest.fixture
def three_nodes(run_simulator: Run, registration: dict[str, Any]) -> Simulator:
    simulator = run_simulator()
    for number, kind in enumerate(("AI_BOX", "FRONT_END_DEVICE", "AI_BOX"), start=1):
        post(
            simulator,
            "Register",
            {**registration, "Code": f"1101080000502000000{number}", "Type": kind},
        )
    return simulator


def listed(answer: requests.Response) -> list[str]:
    return [info["ComputilityCode"][-1] for info in answer.json()["Data"]["PageContent"]]


@pytest.mark.parametrize(
    ("request_", "codes", "total", "pages"),
    [
        ({"PageRequest": {"PageNumber": 1, "PageSize": 10}}, "123", 3, 1),
        ({"PageRequest": {"PageNumber": 2, "PageSize": 2}}, "3", 3, 2),
        ({"PageRequest": {"PageNumber": 9, "PageSize": 2}}, "", 3, 2),
        ({"PageRequest": {"PageNumber": 2147483647, "PageSize": 2147483647}}, "", 3, 1),
        ({"Type": "AI_BOX", "PageRequest": {"PageNumber": 1, "PageSize": 10}}, "13", 2, 1),
        ({"Type": "FRONT_END_DEVIE", "PageRequest": {"PageNumber": 1, "PageSize": 1}}, "2", 1, 1),
        ({"Type": "CCP", "PageRequest": {"PageNumber": 1, "PageSize": 1}}, "", 0, 0),
        (
            {"ComputilityCode": OTHER_CODE, "PageRequest": {"PageNumber": 1, "PageSize": 1}},
            "2",
            1,
            1,
        ),
        (
            {
                "PageRequest": {
                    "PageNumber": 1,
                    "PageSize": 10,
                    "OrderList": [{"Property": "ID", "Direction": "desc"}],
                }
            },
            "321",
            3,
            1,
        ),
    ],
)
def test_nodes_are_listed_by_page_code_and_type(
    three_nodes: Simulator, request_: dict[str, Any], codes: str, total: int, pages: int
) -> None:
    answer = post(three_nodes, "Computility", request_)
    assert "".join(listed(answer)) == codes
    data = answer.json()["Data"]
    assert (data["Total"], data["TotalPages"]) == (total, pages)
    assert data["PageRequest"] == request_["PageRequest"]


def test_a_list_needs_its_page_request(three_nodes: Simulator) -> None:
    answer = post(three_nodes, "Computility", {})
    assert answer.status_code == 400
    assert "table G.1 row 3" in answer.json()["Message"]


def test_a_get_takes_the_same_names_from_the_query(three_nodes: Simulator) -> None:
    url = f"{three_nodes.url}/ACSMP/Computility"
    answer = requests.get(url, params={"PageSize": "2", "Type": "AI_BOX"}, timeout=5)
    assert listed(answer) == ["1", "3"]
    answer = requests.get(url, params={"PageSize": "0"}, timeout=5)
    assert answer.status_code == 400
    assert "table A.8 row 2" in answer.json()["Message"]
    answer = requests.get(url, params={"PageSize": "9" * 5000}, timeout=5)
    assert answer.status_code == 400


def test_an_odd_order_is_a_finding_and_no_failure(three_nodes: Simulator) -> None:
    page = {
        "PageNumber": 1,
        "PageSize": 10,
        "OrderList": [{"Property": "Cpu", "Direction": "up"}],
    }
    assert listed(post(three_nodes, "Computility", {"PageRequest": page})) == ["1", "2", "3"]
    tables = [finding["table"] for finding in events_of(three_nodes)[-1]["findings"]]
    assert tables == ["A.9", "A.9"]


def test_no_answer_breaks_its_own_tables(run_simulator: Run, registration: dict[str, Any]) -> None:
    simulator = run_simulator()
    answer = post(simulator, "Register", {**registration, "Username": "x" * 5000})
    assert len(answer.json()["Message"]) <= 1024
    many = {f"name-{number}": number for number in range(2000)}
    answer = post(simulator, "Keepalive", {"Code": 1, **many})
    assert len(answer.json()["Message"]) <= 1024
    assert len(json.dumps(events_of(simulator)[-1])) < 20_000
