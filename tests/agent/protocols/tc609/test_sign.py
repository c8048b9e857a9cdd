"""What is signed holds, and whatever is changed, late or played again does not."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import subprocess
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import RequestError
from agent.model.secret import Secret
from agent.protocols.tc609 import nonces, sign
from agent.protocols.tc609.sign import Signer, SignMissing, SignRefused, Verifier
from agent.protocols.tc609.sign_options import (
    CanonicalForm,
    Encoding,
    Scheme,
    SignOptions,
    Sm2Form,
)
from agent.security import sm2, sm2_signature
from tests.agent.protocols.tc609.conftest import FakeClock

SCHEMES = [scheme for scheme in Scheme if scheme is not Scheme.NONE]
COVERING = [scheme for scheme in SCHEMES if scheme is not Scheme.SHA256_TIF]
EXAMPLES = 40
STAMP = {"timestamp": "1767225600000", "nonce": "n-1"}


KEY = sm2.generate_key_pair()


def options(**changes):
    keys = {"private_key": KEY, "public_key": KEY.public_key}
    return SignOptions(**{"secret": Secret("s3cret"), **keys, **changes})


def lookup(headers):
    folded = {name.lower(): value for name, value in headers.items()}
    return lambda name: folded.get(name.lower())


def pair(clock, **changes):
    made = options(**changes)
    return Signer(made, clock=clock), Verifier(made, clock=clock)


def canonical(query="", body=b"", stamp=None, **changes):
    return sign.signed_text(options(**changes), query=query, body=body, stamp=stamp or {}).decode()


def test_the_canonical_text_is_sorted_merged_and_unescaped():
    body = json.dumps(
        {
            "b": True,
            "Z": "x y",
            "none": None,
            "empty": "",
            "sign": "old",
            "list": [{"q": 1, "a": 2}],
        }
    ).encode()

    assert canonical("name=%E4%B8%AD+%E5%BF%83&a=1", body, stamp=STAMP) == (
        'Z=x y&a=1&b=true&list=[{"a":2,"q":1}]&name=中 心&nonce=n-1&timestamp=1767225600000'
    )


def test_numbers_keep_their_digits():
    body = b'{"a": 1.50, "b": 1e3, "c": 12345678901234567890123, "d": [2.0, null]}'

    assert canonical(body=body) == "a=1.50&b=1e3&c=12345678901234567890123&d=[2.0,null]"


def test_a_form_is_signed_as_its_parameters():
    text = sign.signed_text(
        options(), query="", body=b"b=2&a=1", stamp={},
        content_type="Application/x-www-form-urlencoded; charset=utf-8",
    )  # fmt: skip
    assert text == b"a=1&b=2"


def test_the_raw_body_is_signed_as_it_is():
    raw = CanonicalForm.RAW_BODY

    assert canonical(body=b'{ "a":1}', form=raw) == '{ "a":1}'
    assert canonical(body=b"{}", stamp=STAMP, form=raw) == "{}&nonce=n-1&timestamp=1767225600000"
    assert canonical("a=%31", form=raw) == "a=%31"
    with pytest.raises(RequestError):
        canonical("a=1", b"{}", form=raw)


def test_the_known_vectors_come_out():
    text, secret = b"abc", options(secret=Secret("key"))
    digest = "28e63256e7c5a087b1f073265dc53092163f7b82729735d06f28f10af9d52393"

    assert sign.signature(secret, text=text) == digest
    upper = options(secret=Secret("key"), encoding=Encoding.UPPER_HEX)
    assert sign.signature(upper, text=text) == digest.upper()
    base64 = options(secret=Secret("key"), encoding=Encoding.BASE64)
    assert sign.signature(base64, text=text) == "KOYyVufFoIex8HMmXcUwkhY/e4JylzXQbyjxCvnVI5M="
    # RFC 4231, test case 2.
    sha = options(scheme=Scheme.HMAC_SHA256, secret=Secret("Jefe"))
    assert sign.signature(sha, text=b"what do ya want for nothing?") == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )
    md5 = options(scheme=Scheme.MD5_SUFFIX, secret=Secret("k"))
    assert sign.signature(md5, text=b"a=1") == hashlib.md5(b"a=1&key=k").hexdigest()


def test_government_gateways_sign_time_secret_and_nonce(clock):
    made = options(
        scheme=Scheme.SHA256_TIF,
        sign_header="x-tif-signature",
        timestamp_header="x-tif-timestamp",
        nonce_header="x-tif-nonce",
    )
    headers = Signer(made, clock=clock, draw_nonce=lambda: "abc").headers(query="a=1")

    assert headers == {
        "x-tif-timestamp": "1767225600",
        "x-tif-nonce": "abc",
        "x-tif-signature": hashlib.sha256(b"1767225600s3cretabc1767225600").hexdigest(),
    }
    Verifier(made, clock=clock).check(query="a=1", body=b"", header=lookup(headers))


@pytest.mark.peer
def test_openssl_computes_the_same_signatures(require_program, tmp_path, clock):
    text = canonical("centerName=%E4%B8%AD%E5%BF%83&centerId=7", stamp=STAMP).encode()
    (tmp_path / "text").write_bytes(text)
    (tmp_path / "suffixed").write_bytes(text + b"&key=s3cret")

    def ask(*arguments):
        command = [require_program("openssl"), "dgst", "-r", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout.split()[0]

    mac = ("-mac", "HMAC", "-macopt", "key:s3cret", "text")
    for scheme, arguments in {
        Scheme.HMAC_SM3: ("-sm3", *mac),
        Scheme.HMAC_SHA256: ("-sha256", *mac),
        Scheme.SM3_SUFFIX: ("-sm3", "suffixed"),
        Scheme.MD5_SUFFIX: ("-md5", "suffixed"),
    }.items():
        assert sign.signature(options(scheme=scheme), text=text) == ask(*arguments)


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("form", list(CanonicalForm))
@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_one_side_signs_the_other_takes_once(clock, scheme, form, encoding):
    signer, verifier = pair(clock, scheme=scheme, form=form, encoding=encoding)
    for request in ({"query": "centerId=7", "body": b""}, {"query": "", "body": b'{"a":[1.0]}'}):
        header = lookup(signer.headers(**request))

        verifier.check(**request, header=header)
        with pytest.raises(SignRefused, match="before"):
            verifier.check(**request, header=header)


@pytest.mark.parametrize("form", list(Sm2Form))
def test_a_key_signs_and_the_other_half_checks(clock, form):
    ours = SignOptions(scheme=Scheme.SM2, private_key=KEY, sm2_form=form)
    theirs = SignOptions(scheme=Scheme.SM2, public_key=KEY.public_key)
    headers = Signer(ours, clock=clock).headers(query="a=1")

    assert len(bytes.fromhex(headers["sign"])) == 64 or form is Sm2Form.DER
    Verifier(theirs, clock=clock).check(query="a=1", body=b"", header=lookup(headers))
    stamp = {name: headers[name] for name in STAMP}
    text = sign.signed_text(ours, query="a=1", body=b"", stamp=stamp)
    assert sm2_signature.is_signed(KEY.public_key, text, bytes.fromhex(headers["sign"]))
    with pytest.raises(SignRefused):
        Verifier(theirs, clock=clock).check(query="a=2", body=b"", header=lookup(headers))


def test_each_direction_of_sm2_needs_its_key(clock):
    for make in (
        lambda: SignOptions(scheme=Scheme.SM2),
        lambda: Signer(SignOptions(scheme=Scheme.SM2, public_key=KEY.public_key), clock=clock),
        lambda: Verifier(SignOptions(scheme=Scheme.SM2, private_key=KEY), clock=clock),
    ):
        with pytest.raises(ValueError, match="key"):
            make()


def test_none_signs_nothing(clock):
    made = SignOptions(scheme=Scheme.NONE)

    assert Signer(made, clock=clock).headers(query="a=1") == {}
    with pytest.raises(ValueError, match="nothing to verify"):
        Verifier(made, clock=clock)


def test_a_scheme_without_a_secret_is_refused():
    with pytest.raises(ValueError, match="secret"):
        SignOptions()
    with pytest.raises(ValueError, match="timestamp"):
        options(scheme=Scheme.SHA256_TIF, has_timestamp=False)


def test_the_secret_is_not_shown():
    assert "s3cret" not in repr(options())


def test_a_missing_signature_is_told_from_a_wrong_one(clock):
    _, verifier = pair(clock)

    for headers in ({}, {"sign": " "}, STAMP):
        with pytest.raises(SignMissing):
            verifier.check(query="a=1", body=b"", header=lookup(headers))
    with pytest.raises(SignRefused):
        verifier.check(query="a=1", body=b"", header=lookup({"sign": "00", **STAMP}))


@pytest.mark.parametrize("missing", ["timestamp", "nonce"])
def test_timestamp_and_nonce_are_demanded(clock, missing):
    signer, verifier = pair(clock)
    headers = {**signer.headers(query="a=1")}
    del headers[missing]

    with pytest.raises(SignRefused, match=missing):
        verifier.check(query="a=1", body=b"", header=lookup(headers))


@pytest.mark.parametrize("header", ["sign", "timestamp", "nonce"])
@pytest.mark.parametrize(
    "value", ["中", "\x00", "-1", "9" * 5000, "é", "１７６７２２５６０００００", "a&b"]
)
def test_headers_that_are_nonsense_are_refused(clock, header, value):
    signer, verifier = pair(clock)
    headers = {**signer.headers(query="a=1"), header: value}

    with pytest.raises(SignRefused):
        verifier.check(query="a=1", body=b"", header=lookup(headers))


@pytest.mark.parametrize(("off_seconds", "is_taken"), [(299, True), (301, False)])
@pytest.mark.parametrize("direction", [1, -1])
def test_the_window_is_five_minutes_to_either_side(off_seconds, is_taken, direction):
    there, here = FakeClock(), FakeClock()
    there.advance(direction * off_seconds)
    headers = Signer(options(), clock=there).headers(query="a=1")
    verifier = Verifier(options(), clock=here)

    if is_taken:
        verifier.check(query="a=1", body=b"", header=lookup(headers))
    else:
        with pytest.raises(SignRefused, match="clock"):
            verifier.check(query="a=1", body=b"", header=lookup(headers))


def test_a_nonce_is_remembered_as_long_as_its_timestamp_may_be_right(clock):
    ahead = FakeClock()
    ahead.advance(299)
    headers = Signer(options(), clock=ahead).headers(query="a=1")
    verifier = Verifier(options(), clock=clock)
    verifier.check(query="a=1", body=b"", header=lookup(headers))

    clock.advance(598)
    with pytest.raises(SignRefused, match="before"):
        verifier.check(query="a=1", body=b"", header=lookup(headers))


def test_timestamp_and_nonce_can_be_left_out(clock):
    signer, verifier = pair(clock, has_timestamp=False)
    headers = signer.headers(query="a=1")

    assert list(headers) == ["sign"]
    verifier.check(query="a=1", body=b"", header=lookup(headers))


def test_other_header_names_serve_both_directions(clock):
    signer, verifier = pair(
        clock, sign_header="X-Signature", timestamp_header="X-Timestamp", nonce_header="X-Nonce"
    )
    headers = signer.headers(query="a=1")

    assert set(headers) == {"X-Signature", "X-Timestamp", "X-Nonce"}
    verifier.check(query="a=1", body=b"", header=lookup(headers))


def test_a_wrong_signature_uses_up_no_nonce(clock):
    signer, verifier = pair(clock)
    headers = signer.headers(query="a=1")
    with pytest.raises(SignRefused):
        verifier.check(query="a=2", body=b"", header=lookup(headers))

    verifier.check(query="a=1", body=b"", header=lookup(headers))


@pytest.mark.parametrize(
    ("signed", "sent"),
    [("a=1&b=2", "a=1%26b%3D2"), ("a=b%3D1", "a%3Db=1"), ("a=1&b=2", "a%3D1%26b=2")],
)
def test_parameters_that_share_a_canonical_text_with_others_are_refused(clock, signed, sent):
    signer, verifier = pair(clock)
    headers = signer.headers(query=signed)
    assert canonical(signed) == canonical(sent)

    with pytest.raises(SignRefused, match="cannot be told"):
        verifier.check(query=sent, body=b"", header=lookup(headers))


def test_a_parameter_that_comes_twice_is_refused(clock):
    signer, verifier = pair(clock)
    headers = signer.headers(query="a=1&b=2")

    for query in ("a=1&b=2&a=2", "a=2&b=2&a=1"):
        with pytest.raises(RequestError, match="twice"):
            verifier.check(query=query, body=b"", header=lookup(headers))


def test_a_parameter_may_hold_an_ampersand(clock):
    signer, verifier = pair(clock)
    query = urlencode({"centerName": "甲&乙中心"})

    verifier.check(query=query, body=b"", header=lookup(signer.headers(query=query)))


def test_a_timestamp_among_the_parameters_must_be_that_of_the_header(clock):
    signer, verifier = pair(clock)
    headers = signer.headers(query="a=1")
    query = f"a=1&timestamp={headers['timestamp']}"

    verifier.check(query=query, body=b"", header=lookup(headers))
    with pytest.raises(RequestError):
        verifier.check(query="a=1&timestamp=1", body=b"", header=lookup(signer.headers()))


OWN_NAMES = {"sign", *STAMP}
names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="&="), min_size=1
).filter(lambda name: name not in OWN_NAMES)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="&="), min_size=1)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
objects = st.dictionaries(names, values, max_size=6)


def shuffled(value, draw):
    if isinstance(value, dict):
        members = [(name, shuffled(each, draw)) for name, each in value.items()]
        draw.shuffle(members)
        return dict(members)
    if isinstance(value, list):
        return [shuffled(each, draw) for each in value]
    return value


@settings(max_examples=60)
@given(objects, st.randoms(use_true_random=False))
def test_order_never_matters(fields, draw):
    one = json.dumps(fields).encode()
    other = json.dumps(shuffled(fields, draw), ensure_ascii=False, indent=1).encode()

    assert canonical(body=one, stamp=STAMP) == canonical(body=other, stamp=STAMP)


@settings(max_examples=60)
@given(st.dictionaries(names, texts, min_size=1), st.data())
def test_the_query_and_the_body_may_share_the_parameters(fields, data):
    in_query = data.draw(st.sets(st.sampled_from(sorted(fields))))
    query = urlencode({name: fields[name] for name in in_query})
    body = json.dumps({name: fields[name] for name in fields if name not in in_query}).encode()

    assert canonical(query, body) == canonical(body=json.dumps(fields).encode())


@settings(max_examples=EXAMPLES)
@pytest.mark.parametrize("scheme", COVERING)
@given(
    fields=st.dictionaries(names, texts, min_size=1, max_size=4),
    data=st.data(),
)
def test_any_changed_parameter_is_refused(scheme, fields, data):
    signer, verifier = pair(FakeClock(), scheme=scheme)
    headers = signer.headers(query=urlencode(fields))
    name = data.draw(st.sampled_from(sorted(fields)))
    changed = dict(fields)
    match data.draw(st.sampled_from(["value", "name", "left out", "added"])):
        case "value":
            changed[name] = data.draw(texts.filter(lambda text: text != fields[name]))
        case "name":
            changed[data.draw(names.filter(lambda text: text not in fields))] = changed.pop(name)
        case "left out":
            del changed[name]
        case "added":
            new = names.filter(lambda text: text not in fields)
            changed[data.draw(new)] = data.draw(texts)

    with pytest.raises(RequestError):
        verifier.check(query=urlencode(changed), body=b"", header=lookup(headers))


@settings(max_examples=EXAMPLES)
@pytest.mark.parametrize("scheme", COVERING)
@given(body=st.binary(min_size=1, max_size=60), place=st.integers(0), change=st.integers(1, 255))
def test_any_changed_byte_of_a_raw_body_is_refused(scheme, body, place, change):
    signer, verifier = pair(FakeClock(), scheme=scheme, form=CanonicalForm.RAW_BODY)
    headers = signer.headers(body=body)
    changed = bytearray(body)
    changed[place % len(body)] ^= change

    with pytest.raises(SignRefused):
        verifier.check(query="", body=bytes(changed), header=lookup(headers))
    verifier.check(query="", body=body, header=lookup(headers))


@settings(max_examples=EXAMPLES)
@pytest.mark.parametrize("scheme", [each for each in SCHEMES if each is not Scheme.SM2])
@given(draw=st.randoms(use_true_random=False))
def test_any_changed_digit_of_signature_time_or_nonce_is_refused(scheme, draw: random.Random):
    made, clock = options(scheme=scheme), FakeClock()
    signer = Signer(made, clock=clock, draw_nonce=lambda: "0a1b2c3d4e5f")
    verifier = Verifier(made, clock=clock)
    headers = {**signer.headers(query="a=1")}
    name = draw.choice(["sign", "timestamp", "nonce"])
    place = draw.randrange(len(headers[name]))
    digit = headers[name][place]
    other = draw.choice([each for each in "0123456789" if each != digit])
    headers[name] = headers[name][:place] + other + headers[name][place + 1 :]

    with pytest.raises(SignRefused):
        verifier.check(query="a=1", body=b"", header=lookup(headers))


@settings(max_examples=100)
@given(query=st.text(st.characters(exclude_categories=["Cs"])), body=st.binary())
def test_whatever_comes_is_signed_or_refused(query, body):
    made = options()
    with contextlib.suppress(RequestError):
        sign.signed_text(made, query=query, body=body, stamp=STAMP)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"\\ud800"}',
        b'{"\\ud800":1}',
        b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b'{"a":NaN}',
        b'{"a":1,"a":2}',
        b"7",
        b"\xff",
    ],
)
def test_a_hostile_body_is_refused(body):
    with pytest.raises(RequestError):
        canonical(body=body)


def test_a_body_that_can_be_read_but_not_written_again_is_refused():
    depths = range(100, 1000, 25)

    for depth in depths:
        with contextlib.suppress(RequestError):
            canonical(body=b'{"a":' * depth + b"1" + b"}" * depth)


def test_a_cache_that_is_full_refuses_until_the_oldest_has_served_its_time(clock):
    cache = nonces.NonceCache(clock=clock, keep_seconds=600, maximum=3)
    assert [cache.take(str(number)) for number in range(4)] == [True, True, True, False]
    assert cache.is_full
    assert len(cache) == 3

    clock.advance(600)
    assert cache.take("4")
    assert not cache.is_full


def test_a_full_cache_says_so(clock, monkeypatch):
    signer, verifier = pair(clock)
    monkeypatch.setattr(verifier._nonces, "_maximum", 1)
    verifier.check(query="", body=b"", header=lookup(signer.headers()))

    with pytest.raises(SignRefused, match="too many"):
        verifier.check(query="", body=b"", header=lookup(signer.headers()))
