"""The messages about services: golden bodies, every spelling, and any JSON at all."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.workloads import DesiredService, EnvironmentVariable, Service, ServiceState
from agent.protocols.acsmp import wire, wire_services
from agent.protocols.acsmp.tolerant import WireError

CODE = "11010800005020000001"
PACKAGE = "1101150192508600000120231012203630000102"
SERVICE = "76079e21-1b8b-4151-b904-6c56a4635d58"
SHANGHAI = timezone(timedelta(hours=8))
ADDRESS = EnvironmentVariable(name="AUTH_SERVER_ADDR", value="127.0.0.1:8088")
FIELDS = ["AlgoFilePackageID", "ComputilityCode", "Env", "Name", "Value", "LicenseFile", "Replicas",
          "AlgoServiceID", "Status", "PageNumber", "PageSize", "PageRequest"]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner),
    max_leaves=6,
)


def load(**fields):
    return wire_services.decode_load({"AlgoFilePackageID": PACKAGE, **fields})


def unload(**fields):
    return wire_services.decode_unload({"AlgoFilePackageID": PACKAGE, **fields})


def service(state=ServiceState.RUNNING):
    return Service(
        desired=DesiredService(
            service_id=SERVICE,
            package_id=PACKAGE,
            generation="g",
            env=(ADDRESS,),
            replicas=2,
            created_at=datetime(2023, 4, 24, 15, 15, 22, 123000, tzinfo=timezone.utc),
        ),
        state=state,
    )


def test_the_order_to_load_is_table_f6(golden):
    order = wire_services.decode_load(golden("algo_service_install_request"))
    assert (order.package_id, order.computility_code) == (PACKAGE, CODE)
    assert order.env == (ADDRESS,)
    assert order.licence_url == "http://127.0.0.1:9000/licences/a.lic"
    assert order.replicas == 2


def test_without_a_number_there_is_one_replica():
    assert load().replicas == load(Replicas=None).replicas == 1
    assert load(Replicas="3").replicas == 3
    for wrong in (0, -1, 1.5, "x", True):
        with pytest.raises(WireError, match="Replicas"):
            load(Replicas=wrong)


def test_one_variable_may_do_without_its_list_and_numbers_are_texts():
    assert load(Env={"Name": "LOG_LEVEL", "Value": "info"}).env == (
        EnvironmentVariable(name="LOG_LEVEL", value="info"),
    )
    assert load(Env=[{"name": "PORT", "value": 8080}, {"Name": "EMPTY"}]).env == (
        EnvironmentVariable(name="PORT", value="8080"),
        EnvironmentVariable(name="EMPTY", value=""),
    )
    assert load(Env=None).env == ()


def test_a_long_list_of_addresses_is_no_value_too_long():
    value = ",".join(["192.0.2.1:8088"] * 100)
    assert load(Env=[{"Name": "AUTH_SERVER_ADDR", "Value": value}]).env[0].value == value


@pytest.mark.parametrize(
    "env",
    [
        "text",
        ["text"],
        [{}],
        [{"Name": "A=B", "Value": ""}],
        [{"Name": "A\nB", "Value": ""}],
        [{"Name": "A", "Value": "a\0b"}],
        [{"Name": "A", "Value": True}],
        [{"Name": "A", "Value": []}],
        [{"Name": "A", "Value": "x" * 4097}],
        [{"Name": "A"}, {"Name": "A"}],
        [{"Name": f"N{number}"} for number in range(257)],
    ],
)
def test_what_can_be_no_environment_is_refused(env):
    with pytest.raises(WireError, match=r"Env|Name|Value"):
        load(Env=env)


def test_an_order_shows_no_password():
    order = load(LicenseFile="http://u:secret@h/l", Env=[{"Name": "KEY", "Value": "secret"}])
    assert "secret" not in repr(order)


def test_the_order_to_unload_is_table_f9(golden):
    order = wire_services.decode_unload(golden("algo_service_uninstall_request"))
    assert (order.package_id, order.computility_code) == (PACKAGE, CODE)
    assert order.service_ids == (SERVICE,)


def test_without_an_id_every_service_of_the_package_is_meant():
    assert unload().service_ids == unload(AlgoServiceID=None).service_ids == ()


def test_the_list_of_ids_that_the_remark_speaks_of_is_read():
    assert unload(AlgoServiceIDs=["a", "b", "a"]).service_ids == ("a", "b")
    assert unload(AlgoServiceID=["a"]).service_ids == ("a",)


@pytest.mark.parametrize("wrong", ["", [], [""], [None], {}, 7, False])
def test_what_is_no_id_never_means_every_service(wrong):
    with pytest.raises(WireError, match="AlgoServiceID"):
        unload(AlgoServiceID=wrong)
    with pytest.raises(WireError, match="AlgoServiceID"):
        unload(algoserviceids=wrong)


def test_the_query_is_table_f10(golden):
    query = wire_services.decode_service_query(golden("algo_service_list_request"))
    assert (query.computility_code, query.package_id) == (CODE, PACKAGE)
    assert query.state is ServiceState.RUNNING
    assert (query.page_number, query.page_size) == (1, 1)


@pytest.mark.parametrize(
    ("fields", "page"),
    [
        ({}, (1, 10)),
        ({"PageNumber": "2", "PageSize": 5}, (2, 5)),
        ({"PageRequest": {"PageNumber": 3, "PageSize": 4}}, (3, 4)),
        ({"PageReqest": {}}, (1, 10)),
    ],
)
def test_paging_is_read_flat_and_nested(fields, page):
    query = wire_services.decode_service_query(fields)
    assert (query.page_number, query.page_size) == page


def test_the_status_of_a_query_is_one_of_the_words():
    assert wire_services.decode_service_query({"Status": "error"}).state is ServiceState.ERROR
    assert wire_services.decode_service_query({"Status": ""}).state is None
    for wrong in ("STOPPED", 1):
        with pytest.raises(WireError, match="Status"):
            wire_services.decode_service_query({"Status": wrong})


def test_the_answers_are_tables_f8_and_f11_to_f14(golden):
    record = wire_services.algo_service(service(), zone=SHANGHAI, xpu_type="NVIDIA-T4")
    query = wire_services.ServiceQuery(page_size=1)
    page = wire_services.search_data([record, record], query=query)

    def compact(name):
        return json.dumps(golden(name), separators=(",", ":")).encode()

    assert wire.encode_data(page, request_id="r-1") == compact("algo_service_list_response")
    assert wire.encode_data(record, request_id="r-1") == compact("algo_service_detail_response")
    assert wire.encode_data(SERVICE, request_id="r-1") == compact("algo_service_install_response")


@given(count=st.integers(0, 40), size=st.integers(1, 12))
def test_the_pages_of_services_together_are_all_of_them(count, size):
    record = wire_services.algo_service(service(), zone=SHANGHAI, xpu_type=None)
    found = []
    for number in range(1, count + 2):
        query = wire_services.ServiceQuery(page_number=number, page_size=size)
        page = wire_services.search_data([record] * count, query=query)
        assert page.total_size == count
        assert len(page.records) <= size
        found += page.records
    assert len(found) == count


def test_a_service_without_accelerators_has_no_xpu_type():
    record = wire_services.algo_service(service(), zone=SHANGHAI, xpu_type=None)
    assert b"XpuType" not in wire.encode_data(record, request_id="r")


def test_logs_are_asked_for_by_replica_and_lines():
    query = wire_services.decode_logs_query({"Replica": "1", "TailLines": "99999999"})
    assert (query.replica, query.tail_lines) == (1, 10000)
    assert wire_services.decode_logs_query({}).tail_lines == 200
    for wrong in ({"Replica": "-1"}, {"TailLines": "0"}, {"TailLines": "x"}):
        with pytest.raises(WireError, match=next(iter(wrong))):
            wire_services.decode_logs_query(wrong)


@given(fields=st.dictionaries(st.sampled_from(FIELDS) | st.text(), JSON))
def test_any_json_is_read_or_refused_about_services(fields):
    for decode in (
        wire_services.decode_load,
        wire_services.decode_unload,
        wire_services.decode_service_query,
        wire_services.decode_logs_query,
    ):
        with contextlib.suppress(WireError):
            decode(fields)
