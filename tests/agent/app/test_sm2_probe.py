"""The probe of a platform's key, against keys of other kinds and builds that do not work."""

from __future__ import annotations

import pytest

from agent.app import sm2_probe
from agent.config.settings import AcsmpSettings, Sm2Settings
from agent.errors import PermanentError
from agent.security import sm2


@pytest.fixture
def key():
    return sm2.generate_key_pair()


@pytest.fixture
def platform(key, tmp_path):
    """Return a function that writes the key in a spelling, and gives the platform's settings."""

    def make(text=None, **layout):
        path = tmp_path / "city.pem"
        path.write_text(key.public_key.to_pem() if text is None else text)
        return AcsmpSettings(
            name="city",
            url="https://h",
            sm2_public_key_file=str(path),
            sm2=Sm2Settings(**layout),
        )

    return make


def test_every_spelling_of_a_key_is_the_same_key(key, platform, tmp_path):
    private = tmp_path / "private"
    bare = key.public_key.to_hex()
    base64 = "".join(key.public_key.to_pem().splitlines()[1:-1])
    for public_text in (key.public_key.to_pem(), base64, bare, bare[2:], bare.upper()):
        for private_text in (key.to_pkcs8_pem(), key.to_sec1_pem(), key.to_hex()):
            private.write_text(private_text)
            found = sm2_probe.probe(platform(public_text), private_key=private)
            assert found.decrypted == sm2_probe.SAMPLE
            assert found.fingerprint == key.public_key.fingerprint


def test_two_probes_never_print_the_same_ciphertext(platform):
    one = platform()
    first, second = (sm2_probe.probe(one, private_key=None) for _ in range(2))
    assert first.ciphertext != second.ciphertext
    assert first.decrypted is None


def test_a_build_that_cannot_open_its_own_ciphertext_is_refused(platform, monkeypatch):
    right = sm2.encrypt

    def wrong(public_key, plaintext, *, layout):
        return right(public_key, plaintext[::-1], layout=layout)

    monkeypatch.setattr(sm2, "encrypt", wrong)
    with pytest.raises(PermanentError, match="do not use this build"):
        sm2_probe.probe(platform(), private_key=None)


def test_a_build_that_mistakes_the_layout_is_refused(platform, monkeypatch):
    right = sm2.encrypt

    def wrong(public_key, plaintext, *, layout):
        return right(public_key, plaintext, layout=sm2.Layout(der=True))

    monkeypatch.setattr(sm2, "encrypt", wrong)
    with pytest.raises(PermanentError, match="do not use this build"):
        sm2_probe.probe(platform(), private_key=None)
