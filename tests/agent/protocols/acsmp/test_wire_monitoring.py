"""The messages of annex G: golden bodies, tolerance towards the query, and paging."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.protocols.acsmp import tolerant
from agent.protocols.acsmp.device_info import device_info
from agent.protocols.acsmp.tolerant import WireError
from agent.protocols.acsmp.wire_monitoring import (
    ComputilityInfo,
    ComputilityQuery,
    DeviceInfo,
    Order,
    decode_computility_query,
    encode_computility_list,
)

CODE = "11010800005020000001"
NAMES = ["ComputilityCode", "Type", "PageRequest", "PageNumber", "PageSize", "OrderList"]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*NAMES, "Property"]) | st.text(), inner)
    ),
    max_leaves=20,
)


def decode(text):
    return decode_computility_query(tolerant.decode_object(text.encode()))


def infos(count):
    return [
        ComputilityInfo(computility_code=f"{n:020}", device_infos=[DeviceInfo(device_id=f"{n}")])
        for n in range(count)
    ]


def test_the_example_of_annex_g_is_understood(golden):
    assert decode_computility_query(golden("computility_list_request")) == ComputilityQuery(
        computility_code="11010800005050000001",
        node_type="CCP",
        page_number=1,
        page_size=20,
        orders=(Order(by="ID", direction="desc"),),
    )


def test_the_answer_is_tables_g2_to_g4_and_the_example(golden, view):
    info = device_info(
        view,
        computility_code=CODE,
        address="192.0.2.7",
        identify=lambda card: card.product_name and "NVIDIA-T4",
    )
    query = decode_computility_query({**golden("computility_list_request"), "Type": None})

    encoded = encode_computility_list(
        [ComputilityInfo(computility_code=CODE, device_infos=[info])], query=query, request_id="r-1"
    )

    assert json.loads(encoded) == golden("computility_list_response")


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("{}", (1, 10)),
        ('{"PageRequest": null}', (1, 10)),
        ('{"PageRequest": {}}', (1, 10)),
        ('{"PageRequest": {"PageNumber": 3, "PageSize": 7}}', (3, 7)),
        ('{"PageReqest": {"PageNumber": 3, "PageSize": 7}}', (3, 7)),
        ('{"PageNumber": 3, "PageSize": 7}', (3, 7)),
        ('{"pageRequest": {"pageNumber": "3", "pageSize": "7"}}', (3, 7)),
        ('{"PageRequest": {"PageNumber": 3.0, "PageSize": null}}', (3, 10)),
        ('{"PageRequest": {"PageSize": 2147483647}}', (1, 2147483647)),
        ('{"More": {"unknown": []}}', (1, 10)),
    ],
)
def test_paging_is_read_in_every_spelling(text, page):
    query = decode(text)

    assert (query.page_number, query.page_size) == page


@pytest.mark.parametrize("name", ["ComputilityCode", "Code", "DeviceID", "computilityCode"])
def test_the_code_is_read_under_each_of_its_names(name):
    assert decode(json.dumps({name: CODE})).computility_code == CODE


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_filter_is_no_filter(empty):
    query = decode(json.dumps({"ComputilityCode": empty, "Type": empty}))

    assert (query.computility_code, query.node_type) == (None, None)


def test_the_misprint_of_table_g1_is_understood():
    assert decode('{"Type": "FRONT_END_DEVIE"}').node_type == "FRONT_END_DEVICE"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"ComputilityCode": 5}', "ComputilityCode is a number, expected text (table G.1)"),
        (f'{{"ComputilityCode": "{"1" * 21}"}}', "has 21 characters, table G.1 allows 20"),
        ('{"Type": ["CAP"]}', "Type is a list, expected text (table G.1)"),
        ('{"Type": "BOX"}', "Type is 'BOX', table G.1 has AI_BOX"),
        ('{"PageRequest": []}', "PageRequest is a list, expected an object (table G.1)"),
        ('{"PageRequest": {"PageNumber": 0}}', "PageNumber is 0, table A.8 allows 1 to"),
        ('{"PageSize": -1}', "PageSize is -1"),
        ('{"PageSize": 2147483648}', "PageSize is 2147483648"),
        ('{"PageSize": 1e99}', "table A.8 allows 1 to"),
        ('{"PageSize": true}', "PageSize is a boolean, expected an integer (table A.8)"),
        ('{"PageSize": "ten"}', "PageSize is text 'ten', expected an integer"),
        ('{"PageSize": 1.5}', "PageSize is a number, expected an integer"),
        ('{"OrderList": [1]}', "OrderList is a number, expected a list of objects (table A.8)"),
        ('{"OrderList": [{"Property": 1}]}', "Property is a number, expected text (table A.9)"),
        ('{"OrderList": [{"Direction": "upwards"}]}', "table A.9 allows 4"),
    ],
)
def test_a_wrong_value_is_named_with_its_field_and_table(text, words):
    with pytest.raises(WireError) as caught:
        decode(text)

    assert words in caught.value.reason
    assert caught.value.field in caught.value.reason


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "byte 1"),
        (b'{"a": tru}', "byte"),
        (b"\xff", "byte"),
        (b"[]", "a list"),
        (b'"text"', "text"),
        (b"1", "a number"),
        (b"null", "null"),
        (b"[" * 100_000, "nested"),
        (b'{"a": NaN}', "byte"),
    ],
)
def test_a_body_that_is_no_object_is_refused_with_the_place(body, words):
    with pytest.raises(WireError, match=words):
        tolerant.decode_object(body)


def test_one_order_stands_for_a_list_of_one():
    assert decode('{"OrderList": {"Property": "ID"}}').orders == (Order(by="ID", direction=None),)


@given(body=st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_query_or_one_of_our_errors(body):
    try:
        query = decode_computility_query(tolerant.decode_object(body))
    except WireError:
        return
    assert query.page_number >= 1
    assert query.page_size >= 1
    assert len(query.computility_code or "") <= 20


@given(count=st.integers(0, 8), number=st.integers(1, 2**31 - 1), size=st.integers(1, 2**31 - 1))
def test_pages_cut_the_list_and_count_all_of_it(count, number, size):
    query = ComputilityQuery(page_number=number, page_size=size)

    data = json.loads(encode_computility_list(infos(count), query=query, request_id="r"))["Data"]

    assert data["Total"] == count
    assert data["TotalPages"] == -(-count // size)
    assert len(data["PageContent"]) == max(0, min(size, count - (number - 1) * size))
    assert data["PageRequest"] == data["PageReqest"] == {"PageNumber": number, "PageSize": size}


def test_the_pages_together_are_the_list():
    pages = [
        json.loads(
            encode_computility_list(
                infos(5), query=ComputilityQuery(page_number=n, page_size=2), request_id="r"
            )
        )["Data"]["PageContent"]
        for n in (1, 2, 3)
    ]

    assert [each["ComputilityCode"] for page in pages for each in page] == [
        f"{n:020}" for n in range(5)
    ]


def test_what_is_unknown_has_no_key():
    assert json.loads(msgspec.json.encode(DeviceInfo(device_id=CODE))) == {
        "DeviceID": CODE,
        "IsOnline": True,
        "AlgoServiceMonitors": [],
    }
