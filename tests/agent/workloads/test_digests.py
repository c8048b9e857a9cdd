"""Digests that are announced, computed and compared."""

from __future__ import annotations

import hashlib

import pytest

from agent.errors import PermanentError, RequestError
from agent.model.workloads import Digests
from agent.workloads import digests as digesting

ONE, TWO = "1" * 32, "2" * 32


def test_digests_are_brought_to_lower_case():
    assert digesting.normal(Digests(md5=" AB" + "0" * 30)) == Digests(md5="ab" + "0" * 30)


@pytest.mark.parametrize(
    "bad", [Digests(md5=""), Digests(md5="0" * 31), Digests(sha256="0" * 32), Digests(sm3="x" * 64)]
)
def test_what_is_no_digest_is_refused(bad):
    with pytest.raises(RequestError, match="hexadecimal"):
        digesting.normal(bad)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Digests(md5=ONE), Digests(md5=ONE), True),
        (Digests(md5=ONE), Digests(md5=TWO), False),
        (Digests(md5=ONE), Digests(sha256=ONE * 2), False),
        (Digests(md5=ONE, sha256=ONE * 2), Digests(md5=ONE), True),
        (Digests(md5=ONE, sha256=ONE * 2), Digests(md5=ONE, sha256=TWO * 2), False),
        (Digests(), Digests(), False),
    ],
)
def test_one_digest_in_common_and_none_against_it_is_one_file(one, other, same):
    assert digesting.are_of_one_file(one, other) is same


def test_an_openssl_without_sm3_is_said_in_words(monkeypatch):
    def new(name, **options):
        raise ValueError(name)

    monkeypatch.setattr(hashlib, "new", new)
    with pytest.raises(PermanentError, match="has no SM3: push without it"):
        digesting.new_hashes(Digests(sm3="0" * 64))
