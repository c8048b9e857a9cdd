"""The messages of clause 7: golden bodies, and what is accepted of others."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import PlatformRejected, TransientError
from agent.protocols.acsmp import wire

CODE = "11010800005020000001"
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["Code", "code", "Message", "Data", "data", "Token"]) | st.text(), inner
        )
    ),
    max_leaves=20,
)


def in_order(encoded):
    return json.loads(encoded, object_pairs_hook=list)


def test_register_request_is_table_b1(golden):
    encoded = wire.encode_register_request(
        computility_code=CODE,
        node_type="AI_BOX",
        address="192.0.2.7",
        port=8123,
        username="admin",
        password_text="04ab…",
        supports_algorithm_services=False,
    )

    assert json.loads(encoded) == golden("register_request")
    assert [name for name, _ in in_order(encoded)] == list(golden("register_request"))


def test_keepalive_request_is_table_b5(golden):
    encoded = wire.encode_keepalive_request(computility_code=CODE)

    assert json.loads(encoded) == golden("keepalive_request")


def test_unregister_request_is_table_b4(golden):
    encoded = wire.encode_unregister_request(
        computility_code=CODE, username="admin", password_text="04ab…"
    )

    assert json.loads(encoded) == golden("unregister_request")


def test_a_failure_is_table_a2(golden):
    encoded = wire.encode_failure(code=404, message="no such path: /x", request_id="r-1")

    assert json.loads(encoded) == golden("failure")


def test_a_message_is_cut_to_its_length():
    encoded = wire.encode_failure(code=400, message="长" * 5000, request_id="r")

    assert len(json.loads(encoded)["Message"]) == 1024


@given(
    code=st.text(max_size=20),
    address=st.text(max_size=15),
    port=st.integers(1, 65535),
    username=st.text(max_size=32),
    password=st.text(max_size=300),
    supports=st.booleans(),
)
def test_whatever_the_texts_hold_the_register_request_stays_json(
    code, address, port, username, password, supports
):
    encoded = wire.encode_register_request(
        computility_code=code,
        node_type="CAP",
        address=address,
        port=port,
        username=username,
        password_text=password,
        supports_algorithm_services=supports,
    )

    sent = json.loads(encoded)
    assert (sent["Code"], sent["Username"], sent["Password"]) == (code, username, password)
    assert (sent["IP"], sent["Port"]) == (address, port)
    assert sent["SupportAlgoService"] is supports


def test_the_example_of_annex_b_gives_its_token(golden):
    body = json.dumps(golden("register_response")).encode()

    assert wire.decode_register_response(body, status=200) == "xxx"
    assert wire.decode_keepalive_response(body, status=200) == "xxx"
    wire.decode_empty_response(json.dumps(golden("empty_response")).encode(), status=200)


@pytest.mark.parametrize(
    "body",
    [
        {"code": 0, "message": "success", "data": {"token": "xxx"}},
        {"Code": "0", "Message": "success", "Data": {"Token": "xxx"}},
        {"CODE": 0, "DATA": {"TOKEN": "xxx"}},
        {"Code": 0.0, "Message": None, "Data": {"Token": "xxx", "More": 1}, "More": []},
    ],
)
def test_other_spellings_of_a_success_are_accepted(body):
    encoded = b"\xef\xbb\xbf" + json.dumps(body).encode()

    assert wire.decode_register_response(encoded, status=200) == "xxx"


@pytest.mark.parametrize("code", [1, -1, 500, "1", 40401])
@pytest.mark.parametrize("status", [200, 201, 400, 404, 409])
def test_a_code_that_is_not_zero_is_a_refusal_and_keeps_its_message(code, status):
    body = json.dumps({"Code": code, "Message": "已存在\nline"}).encode()

    with pytest.raises(PlatformRejected) as caught:
        wire.decode_keepalive_response(body, status=status)

    assert (caught.value.code, caught.value.status) == (int(code), status)
    assert caught.value.message == "已存在 line"
    assert caught.value.standard == "T/BAX 0006.5"


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"Code": 0, "Message": "ok"}'])
def test_401_and_403_are_refusals_whatever_the_body_says(status, body):
    with pytest.raises(PlatformRejected) as caught:
        wire.decode_register_response(body, status=status)

    assert caught.value.status == status
    assert caught.value.code is None


@pytest.mark.parametrize("status", [100, 302, 304, 429, 500, 503, 599])
def test_trouble_is_no_decision_even_in_an_envelope(status):
    with pytest.raises(TransientError, match=f"HTTP {status}: busy"):
        wire.decode_register_response(b'{"Code": 9, "Message": "busy"}', status=status)


@pytest.mark.parametrize("token", ["a" * 256, "!", "a.b-c_d~e+/="])
def test_a_printable_token_of_up_to_256_characters_is_taken(token):
    body = json.dumps({"Code": 0, "Message": "", "Data": {"Token": token}}).encode()

    assert wire.decode_register_response(body, status=200) == token


@pytest.mark.parametrize("token", ["a" * 257, "a b", "a\r\nSet: b", "\x00", "令牌", "\x7f", 5, []])
def test_a_token_that_no_header_can_carry_is_no_answer(token):
    body = json.dumps({"Code": 0, "Message": "", "Data": {"Token": token}}).encode()

    with pytest.raises(TransientError, match="Token"):
        wire.decode_keepalive_response(body, status=200)


def test_a_long_message_is_cut_for_the_log():
    body = json.dumps({"Code": 1, "Message": "x" * 100_000}).encode()

    with pytest.raises(PlatformRejected) as caught:
        wire.decode_empty_response(body, status=200)

    assert len(str(caught.value)) < 400


@given(
    body=st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()),
    status=st.integers(100, 599),
)
def test_any_answer_ends_in_a_result_or_in_one_of_our_errors(body, status):
    for decode in (
        wire.decode_register_response,
        wire.decode_keepalive_response,
        wire.decode_empty_response,
    ):
        try:
            token = decode(body, status=status)
        except (PlatformRejected, TransientError):
            continue
        assert token is None or token.isprintable()
        assert 200 <= status < 300
