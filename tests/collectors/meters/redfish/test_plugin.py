"""The Redfish meter against a service that holds the resources of several makers."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import NotPresent, ReadingUnavailable
from collectors.meters.redfish import parse
from collectors.meters.redfish.plugin import RedfishConfig, RedfishMeter
from tests.collectors.meters.web_server import make_certificate, web_server

ROOT = "/redfish/v1"
CHASSIS = f"{ROOT}/Chassis"


def link(path):
    return {"@odata.id": path}


def listing(*paths):
    return {"Members": [link(path) for path in paths], "Members@odata.count": len(paths)}


def service(*chassis, **more) -> dict[str, Any]:
    return {CHASSIS: listing(*(f"{CHASSIS}/{name}" for name in chassis)), **more}


def new_chassis(name, *, lifetime=None, reading=None, since=None, power=None, **members):
    return {
        f"{CHASSIS}/{name}": {
            "Id": name,
            "SerialNumber": f"SN-{name}",
            "EnvironmentMetrics": link(f"{CHASSIS}/{name}/EnvironmentMetrics"),
            **members,
        },
        f"{CHASSIS}/{name}/EnvironmentMetrics": {
            "PowerWatts": {"Reading": power},
            "EnergykWh": {
                "LifetimeReading": lifetime,
                "Reading": reading,
                "SensorResetTime": since,
            },
        },
    }


def old_chassis(name, *controls, **members):
    return {
        f"{CHASSIS}/{name}": {"Id": name, "Power": link(f"{CHASSIS}/{name}/Power"), **members},
        f"{CHASSIS}/{name}/Power": {"PowerControl": list(controls)},
    }


def answering(tree):
    def answer(method, path, headers, body):
        if path not in tree:
            return 404, {}, b"{}"
        return 200, {"Content-Type": "application/json"}, json.dumps(tree[path]).encode()

    return answer


def read(tree, **settings):
    with web_server(answering(tree)) as peer:
        meter = RedfishMeter(RedfishConfig(url=peer.url, **settings))
        try:
            return meter.read()
        finally:
            meter.close()


def test_the_energy_of_the_life_goes_before_that_since_the_reset():
    tree = service("1") | new_chassis("1", lifetime=4321.5, reading=9, since="2025", power=350.5)

    reading = read(tree)

    assert reading.energy_joules == 15_557_400_000
    assert reading.power_watts == 350.5
    assert reading.reset_marker == "1/SN-1/lifetime"


def test_a_register_since_a_reset_carries_the_time_of_the_reset():
    first = read(service("1") | new_chassis("1", reading=12.345, since="2025-01-01", power=1))
    second = read(service("1") | new_chassis("1", reading=0.001, since="2026-01-01", power=1))

    assert first.energy_joules == 44_442_000
    assert "2025-01-01" in first.reset_marker
    assert first.reset_marker != second.reset_marker


def test_null_is_unknown_and_never_zero():
    reading = read(service("1") | new_chassis("1", power=350))

    assert reading.energy_joules is None
    assert reading.reset_marker is None
    assert "no energy is told" in reading.unknown["energy_joules"]
    assert reading.power_watts == 350.0


def test_several_chassis_are_added_up_but_what_is_inside_another_is_not():
    tree = (
        service("enclosure", "node1", "other", "rack")
        | new_chassis("enclosure", lifetime=10, power=100)
        | new_chassis(
            "node1", lifetime=4, power=40, Links={"ContainedBy": link(f"{CHASSIS}/enclosure")}
        )
        | new_chassis("other", lifetime=1, power=11)
        | {f"{CHASSIS}/rack": {"Id": "rack"}}
    )

    reading = read(tree)

    assert reading.energy_joules == 11 * 3_600_000
    assert reading.power_watts == 111.0


def test_one_chassis_that_is_silent_costs_the_sum_and_is_no_lower_register():
    tree = service("1", "2") | new_chassis("1", lifetime=10, power=100) | new_chassis("2")

    with pytest.raises(ReadingUnavailable, match="2: no energy is told"):
        read(tree)
    del tree[f"{CHASSIS}/2"]
    with pytest.raises(ReadingUnavailable, match="Chassis/2 is not there"):
        read(tree)
    assert read(tree, members=["1"]).power_watts == 100.0


def test_power_supplies_are_added_up_where_the_chassis_itself_tells_nothing():
    base = f"{CHASSIS}/1/PowerSubsystem"
    tree = service("1") | {
        f"{CHASSIS}/1": {"PowerSubsystem": link(base)},
        base: {"PowerSupplies": link(f"{base}/PowerSupplies")},
        f"{base}/PowerSupplies": listing(*(f"{base}/PowerSupplies/{index}" for index in range(3))),
        f"{base}/PowerSupplies/2": {"Status": {"State": "Absent"}},
    }
    for index in range(2):
        tree[f"{base}/PowerSupplies/{index}"] = {
            "SerialNumber": f"PSU{index}",
            "Metrics": link(f"{base}/{index}/Metrics"),
        }
        tree[f"{base}/{index}/Metrics"] = {
            "InputPowerWatts": {"Reading": 200 + index},
            "EnergykWh": {"LifetimeReading": 5},
        }

    reading = read(tree)

    assert reading.power_watts == 401.0
    assert reading.energy_joules == 36_000_000
    assert "PSU0" in reading.reset_marker
    assert "PSU1" in reading.reset_marker


def test_the_older_resource_power_is_read():
    reading = read(service("1") | old_chassis("1", {"MemberId": "0", "PowerConsumedWatts": 344}))

    assert reading.power_watts == 344.0
    assert reading.energy_joules is None


def test_entries_that_overlap_are_not_added_up():
    whole = {
        "MemberId": "0",
        "PowerConsumedWatts": 500,
        "RelatedItem": [link(f"{CHASSIS}/1"), link(f"{ROOT}/Systems/1")],
    }
    part = {"MemberId": "1", "PowerConsumedWatts": 200, "PhysicalContext": "CPU"}

    assert read(service("1") | old_chassis("1", whole, part)).power_watts == 500.0


def test_entries_of_different_systems_are_added_up():
    nodes = [
        {
            "MemberId": str(number),
            "PowerConsumedWatts": 100 + number,
            "RelatedItem": [link(f"{ROOT}/Systems/{number}")],
        }
        for number in range(4)
    ]

    assert read(service("1") | old_chassis("1", *nodes)).power_watts == 406.0


def test_entries_that_may_overlap_are_for_the_operator_to_choose():
    entries = [{"MemberId": name, "PowerConsumedWatts": 100} for name in ("a", "b", "c")]
    tree = service("1") | old_chassis("1", *entries)

    with pytest.raises(ReadingUnavailable, match="may overlap"):
        read(tree)
    assert read(tree, power_control=["a", "c"]).power_watts == 200.0
    with pytest.raises(ReadingUnavailable, match="has not all of"):
        read(tree, power_control=["a", "d"])


def test_a_pdu_tells_its_own_metrics():
    pdus = f"{ROOT}/PowerEquipment/RackPDUs"
    tree = {
        pdus: listing(f"{pdus}/1"),
        f"{pdus}/1": {"SerialNumber": "29347ZT536", "Metrics": link(f"{pdus}/1/Metrics")},
        f"{pdus}/1/Metrics": {
            "PowerWatts": {"Reading": 6438},
            "EnergykWh": {"Reading": 56438, "LifetimeReading": 56438},
        },
    }

    reading = read(tree, source="rack_pdus")

    assert reading.energy_joules == 56438 * 3_600_000
    assert reading.power_watts == 6438.0
    assert reading.reset_marker == "1/29347ZT536/lifetime"


@pytest.fixture
def password(tmp_path):
    path = tmp_path / "password"
    path.write_text("hidden: 密\n")
    return str(path)


def test_a_password_is_sent_with_each_question(password):
    tree = service("1") | new_chassis("1", lifetime=1, power=1)
    expected = "Basic " + base64.b64encode("reader:hidden: 密".encode()).decode()

    def answer(method, path, headers, body):
        if headers.get("authorization") != expected:
            return 401, {}, b""
        return answering(tree)(method, path, headers, body)

    with web_server(answer) as peer:
        meter = RedfishMeter(RedfishConfig(url=peer.url, user="reader", password_file=password))
        assert meter.read().power_watts == 1.0
        meter.close()


def test_a_session_is_kept_begun_again_when_it_ended_and_ended_at_last(password):
    tree = service("1") | new_chassis("1", lifetime=1, power=1)
    tokens: list[str] = []

    def answer(method, path, headers, body):
        if method == "POST":
            assert json.loads(body) == {"UserName": "reader", "Password": "hidden: 密"}
            tokens.append(f"token{len(tokens)}")
            return 201, {"X-Auth-Token": tokens[-1], "Location": f"{path}/{len(tokens)}"}, b"{}"
        if headers.get("x-auth-token") != tokens[-1] or "authorization" in headers:
            return 401, {}, b""
        if method == "DELETE":
            return 204, {}, b""
        return answering(tree)(method, path, headers, body)

    with web_server(answer) as peer:
        meter = RedfishMeter(
            RedfishConfig(url=peer.url, user="reader", password_file=password, login="session")
        )
        meter.read()
        meter.read()
        assert len(tokens) == 1
        tokens.append("of somebody else")
        meter.read()
        assert len(tokens) == 3
        meter.close()
        assert peer.asked[-1][:2] == ("DELETE", f"{ROOT}/SessionService/Sessions/3")


@pytest.mark.parametrize("login", ["basic", "session"])
def test_a_refusal_says_what_to_check_and_shows_no_password(password, login):
    with web_server(lambda *_: (401, {}, b"")) as peer:
        meter = RedfishMeter(
            RedfishConfig(url=peer.url, user="reader", password_file=password, login=login)
        )
        with pytest.raises(ReadingUnavailable) as caught:
            meter.read()
        meter.close()
    assert "password_file" in caught.value.hint
    assert "hidden" not in repr(caught.value)


@pytest.mark.peer
def test_a_certificate_is_trusted_by_its_ca_or_its_fingerprint_and_not_otherwise(
    tmp_path, require_program
):
    certificate = make_certificate(tmp_path, require_program("openssl"))
    tree = service("1") | new_chassis("1", lifetime=1, power=1)
    der = ssl.PEM_cert_to_DER_cert(certificate[0].read_text())
    digest = hashlib.sha256(der).hexdigest()
    colons = ":".join(digest[index : index + 2] for index in range(0, 64, 2)).upper()

    with web_server(answering(tree), certificate=certificate) as peer:

        def ask(**settings):
            meter = RedfishMeter(RedfishConfig(url=peer.url, **settings))
            try:
                return meter.read().power_watts
            finally:
                meter.close()

        assert ask(ca_file=str(certificate[0])) == 1.0
        assert ask(fingerprint_sha256=colons) == 1.0
        asked = len(peer.asked)
        with pytest.raises(ReadingUnavailable, match="not trusted") as caught:
            ask()
        assert "ca_file" in caught.value.hint
        with pytest.raises(ReadingUnavailable, match="another fingerprint"):
            ask(fingerprint_sha256="0" * 64)
        assert len(peer.asked) == asked, "something was sent to a server that is not trusted"


def test_a_link_to_another_server_is_not_followed():
    tree = service("1") | {
        f"{CHASSIS}/1": {"EnvironmentMetrics": link("http://127.0.0.2/redfish/v1/x")}
    }

    with pytest.raises(ReadingUnavailable, match="no energy is told"):
        read(tree)


def test_a_redirect_is_not_followed():
    with web_server(lambda *_: (302, {"Location": "http://127.0.0.2/?secret=1"}, b"")) as peer:
        meter = RedfishMeter(RedfishConfig(url=peer.url))
        with pytest.raises(ReadingUnavailable, match="sends on to") as caught:
            meter.read()
        meter.close()
    assert "secret" not in caught.value.reason


def test_a_service_without_end_is_left():
    def answer(method, path, headers, body):
        below = [f"{path}/{index}" for index in range(60)]
        return (
            200,
            {},
            json.dumps(
                {
                    **listing(*below),
                    "EnvironmentMetrics": link(path + "/e"),
                    "PowerSubsystem": link(path + "/p"),
                    "PowerSupplies": link(path + "/s"),
                    "Metrics": link(path + "/m"),
                }
            ).encode(),
        )

    with web_server(answer) as peer:
        meter = RedfishMeter(RedfishConfig(url=peer.url))
        with pytest.raises(ReadingUnavailable, match="more than 300 questions"):
            meter.read()
        meter.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "not like https"),
        ({"url": "ftp://bmc"}, "not like https"),
        ({"url": "http://user:hidden@bmc"}, "holds a user"),
        ({"url": "https://bmc", "ca_file": "/nowhere"}, "/nowhere"),
        ({"url": "https://bmc", "fingerprint_sha256": "12"}, "64 hexadecimal"),
        ({"url": "https://bmc", "user": "a"}, "without a password"),
    ],
)
def test_what_is_missing_is_told_without_asking(settings, words):
    with pytest.raises(NotPresent, match=words) as caught:
        RedfishMeter(RedfishConfig(**settings)).probe()
    assert caught.value.hint
    assert "hidden" not in repr(caught.value)


NAMES = [
    "Members", "EnergykWh", "PowerWatts", "Reading", "LifetimeReading", "SensorResetTime",
    "PowerControl", "MemberId", "PowerConsumedWatts", "RelatedItem", "@odata.id",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6))
def test_whatever_a_service_sends_is_a_value_or_none(document):
    found = parse.resource(json.dumps(document).encode())

    energy = parse.energy(found)
    assert energy is None or 0 <= energy.joules < 2**63
    watts = parse.watts(found)
    assert watts is None or abs(watts) <= 1e12
    assert all(path.startswith("/") for path in parse.members(found))
    try:
        parse.control_watts(found, own="/1", chosen=())
    except ValueError:
        return


@given(st.binary(max_size=100))
def test_what_is_no_json_is_a_value_error(content):
    try:
        assert isinstance(parse.resource(content), dict)
    except ValueError:
        return
