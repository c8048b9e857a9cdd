"""The header `sign`: what holds, what does not, and that both sides read the standard alike."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.secret import Secret
from agent.protocols.tc609 import sign as agent_sign
from agent.protocols.tc609.sign import Signer, Verifier
from agent.protocols.tc609.sign_options import CanonicalForm, Encoding, Scheme, SignOptions
from agent.security import hmac_sm3, sm2
from agent.simulator.monitoring import canonical
from agent.simulator.monitoring.codes import Code, Refused
from agent.simulator.monitoring.settings import SignEncoding, SignScheme, SignSettings
from agent.simulator.monitoring.signing import Signing
from tests.agent.simulator.monitoring.conftest import PROJECT, WallClock

KEY = sm2.generate_key_pair()
STAMP = {"timestamp": "1767225600000", "nonce": "n-1"}
BODY = json.dumps({**PROJECT, "none": None, "empty": "", "on": True}, ensure_ascii=False).encode()
QUERY = "centerName=%E4%B8%AD+%E5%BF%83&id=1"


class Now:
    """Is a wall clock to turn by hand."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.at


def signing(now: Any, scheme: SignScheme = SignScheme.HMAC_SM3, **changed: Any) -> Signing:
    keys = {"public_key": KEY.public_key, "private_key": KEY} if scheme is SignScheme.SM2 else {}
    return Signing(SignSettings(scheme=scheme, secret="geheim", **keys, **changed), now=now)


def code_of(signing: Signing, headers: dict[str, str], **request: Any) -> Code | None:
    folded = {name.lower(): value for name, value in headers.items()}
    sent = {"query": QUERY, "body": BODY, **request}
    try:
        signing.check(header=lambda name: folded.get(name.lower()), **sent)
    except Refused as refused:
        return refused.code
    return None


def test_the_canonical_text_is_sorted_merged_and_unescaped() -> None:
    body = b'{"b":true,"Z":"x y","n":null,"e":"","sign":"s","l":[{"q":1.50,"a":2}],"i":{}}'
    text = canonical.sorted_parameters(query="name=%E4%B8%AD+x&a=1", body=body, stamp=STAMP)
    assert text.decode() == (
        'Z=x y&a=1&b=true&i={}&l=[{"a":2,"q":1.50}]&name=中 x&nonce=n-1&timestamp=1767225600000'
    )


def test_a_signature_is_made_of_text_and_secret_as_documented() -> None:
    text = canonical.sorted_parameters(query="a=1", body=b"", stamp=STAMP)
    headers = {**STAMP, "sign": hmac_sm3.digest(b"geheim", text).hex()}
    assert code_of(signing(Now()), headers, query="a=1", body=b"") is None
    headers["sign"] = hmac.new(b"geheim", text, hashlib.sha256).hexdigest().upper()
    other = signing(Now(), SignScheme.HMAC_SHA256, encoding=SignEncoding.UPPER_HEX)
    assert code_of(other, headers, query="a=1", body=b"") is None
    headers["sign"] = hashlib.md5(text + b"&key=geheim", usedforsecurity=False).hexdigest()
    assert code_of(signing(Now(), SignScheme.MD5_SUFFIX), headers, query="a=1", body=b"") is None
    headers |= {"timestamp": "1767225600"}
    text = b"1767225600geheimn-11767225600"
    headers["sign"] = hashlib.sha256(text).hexdigest()
    assert code_of(signing(Now(), SignScheme.SHA256_TIF), headers) is None


@pytest.mark.peer
def test_openssl_makes_the_same_signature(require_program: Callable[[str], str]) -> None:
    text = canonical.sorted_parameters(query=QUERY, body=BODY, stamp=STAMP)
    command = [require_program("openssl"), "dgst", "-sm3", "-hmac", "geheim"]
    told = subprocess.run(command, input=text, capture_output=True, check=True).stdout.decode()
    (digest,) = re.findall(r"[0-9a-f]{64}", told)
    assert code_of(signing(Now()), {**STAMP, "sign": digest}) is None


@pytest.mark.parametrize("encoding", list(SignEncoding))
@pytest.mark.parametrize("scheme", list(SignScheme))
@pytest.mark.parametrize("covers_raw_body", [False, True])
def test_the_agent_and_the_platform_sign_alike(
    scheme: SignScheme, encoding: SignEncoding, covers_raw_body: bool
) -> None:
    clock = WallClock()
    ours = SignOptions(
        scheme=Scheme(scheme.value),
        encoding=Encoding(encoding.value),
        form=CanonicalForm.RAW_BODY if covers_raw_body else CanonicalForm.SORTED_PARAMS,
        secret=Secret("geheim"),
        private_key=KEY,
        public_key=KEY.public_key,
    )
    theirs = signing(clock.now, scheme, encoding=encoding, covers_raw_body=covers_raw_body)
    for request in ({"query": QUERY, "body": b""}, {"query": "", "body": BODY}):
        sent = dict(Signer(ours, clock=clock).headers(**request))
        assert code_of(theirs, sent, **request) is None
        answered = {name.lower(): value for name, value in theirs.headers(**request).items()}
        Verifier(ours, clock=clock).check(
            header=lambda name, headers=answered: headers.get(name.lower()), **request
        )


@settings(max_examples=100)
@given(
    message=st.dictionaries(
        st.text(min_size=1, max_size=4),  # none is as long as timestamp or nonce
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
            max_leaves=8,
        ),
        max_size=5,
    )
)
def test_both_sides_make_the_same_text_of_any_message(message: dict[str, Any]) -> None:
    body = json.dumps(message).encode()
    theirs = agent_sign.signed_text(
        SignOptions(secret=Secret("s")), query="", body=body, stamp=STAMP
    )
    assert canonical.sorted_parameters(query="", body=body, stamp=STAMP) == theirs


@pytest.mark.parametrize("scheme", list(SignScheme))
def test_a_signature_holds_for_one_request_alone(scheme: SignScheme) -> None:
    now = Now()
    one = signing(now, scheme)
    headers = dict(one.headers(query=QUERY, body=BODY))
    if scheme is not SignScheme.SHA256_TIF:
        assert code_of(one, headers, body=BODY.replace(b"440000", b"110000")) is Code.OTHER
        assert code_of(one, headers, query="id=2") is Code.OTHER
    for name in ("timestamp", "nonce"):
        assert code_of(one, {**headers, name: headers[name][:-1] + "x"}) is Code.OTHER
    assert code_of(one, headers) is None
    assert code_of(one, headers) is Code.OTHER


def test_a_request_without_sign_is_10006_and_one_with_half_a_stamp_other() -> None:
    one = signing(Now())
    headers = dict(one.headers(query=QUERY, body=BODY))
    for name, code in (
        ("sign", Code.SIGN_MISSING),
        ("timestamp", Code.OTHER),
        ("nonce", Code.OTHER),
    ):
        less = {each: headers[each] for each in headers if each != name}
        assert code_of(one, less) is code


@pytest.mark.parametrize(
    ("seconds", "holds"), [(-301, False), (-299, True), (299, True), (301, False)]
)
def test_a_timestamp_may_be_five_minutes_off(seconds: int, holds: bool) -> None:
    now = Now()
    headers = dict(signing(now).headers(query=QUERY, body=BODY))
    now.at += timedelta(seconds=seconds)
    assert (code_of(signing(now), headers) is None) == holds


def test_a_nonce_counts_as_long_as_its_timestamp_could_be_right() -> None:
    now = Now()
    one = signing(now)
    now.at += timedelta(seconds=299)
    headers = dict(one.headers(query=QUERY, body=BODY))
    now.at -= timedelta(seconds=299)
    assert code_of(one, headers) is None
    for _ in range(2):
        now.at += timedelta(seconds=298)
        assert code_of(one, headers) is Code.OTHER


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"\xff", b'{"a": "\\ud800"}', b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}"],
)
def test_what_cannot_be_read_cannot_be_checked(body: bytes) -> None:
    one = signing(Now())
    headers = {**STAMP, "sign": "00"}
    assert code_of(one, headers, query="", body=body) is Code.OTHER


def test_a_platform_that_wants_signatures_refuses_in_the_right_order(platform, caller_of):
    settings = SignSettings(secret="geheim")
    caller = caller_of(platform(sign=settings))
    clock = WallClock()

    assert caller.get("project")["code"] == 10006
    assert caller.call("GET", "project", headers={"Authorization": "Bearer x"})["code"] == 10002
    headers = dict(Signing(settings, now=clock.now).headers(query="id=1", body=b""))
    assert caller.call("GET", "project?id=1", headers=headers)["code"] == 200
    answer = caller.call("GET", "project?id=1", headers=headers)
    assert (answer["code"], "again" in answer["msg"]) == (99999, True)


def test_the_login_is_signed_where_that_is_wanted(platform, caller_of):
    settings = SignSettings(secret="geheim", signs_login=True)
    caller = caller_of(platform(sign=settings))
    assert caller.log_in()["code"] == 10006

    body = json.dumps(caller.login).encode()
    headers = {"Content-Type": "application/json"}
    headers |= Signing(settings, now=WallClock().now).headers(query="", body=body)
    url = f"{caller.simulator.url}/api/token"
    assert requests.post(url, data=body, headers=headers, timeout=5).json()["code"] == 200
