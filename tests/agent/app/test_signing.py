"""How the settings of `sign` become what signs and checks."""

from __future__ import annotations

import pytest

from agent.app import signing
from agent.config.sign_settings import SignSettings
from agent.errors import PermanentError
from agent.model.clock import SystemClock
from agent.model.secret import Secret
from agent.protocols.tc609.sign import Signer, Verifier
from agent.protocols.tc609.sign_options import CanonicalForm, Encoding, Scheme, Sm2Form
from agent.security import sm2


@pytest.fixture
def key_pair(tmp_path):
    """Return the files of a private key and of its public key."""
    key = sm2.generate_key_pair()
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    private.write_text(key.to_pkcs8_pem())
    public.write_text(key.public_key.to_pem())
    return str(private), str(public)


def test_without_settings_nothing_is_signed():
    assert signing.options(SignSettings(), section="centre.sign").scheme is Scheme.NONE


def test_a_secret_alone_means_hmac_sm3():
    options = signing.options(SignSettings(secret=Secret("s")), section="centre.sign")
    assert options.scheme is Scheme.HMAC_SM3
    assert options.secret == Secret("s")


def test_every_setting_reaches_what_signs():
    options = signing.options(
        SignSettings(
            mode="md5-suffix",
            secret=Secret("s"),
            form="raw-body",
            encoding="upper-hex",
            timestamp=False,
            sign_header="X-Sign",
            timestamp_header="X-Time",
            nonce_header="X-Nonce",
            sm2_form="raw",
        ),
        section="centre.sign",
    )
    assert options.scheme is Scheme.MD5_SUFFIX
    assert options.form is CanonicalForm.RAW_BODY
    assert options.encoding is Encoding.UPPER_HEX
    assert not options.has_timestamp
    assert (options.sign_header, options.timestamp_header, options.nonce_header) == (
        "X-Sign",
        "X-Time",
        "X-Nonce",
    )
    assert options.sm2_form is Sm2Form.RAW


def test_what_one_side_signs_with_a_key_file_the_other_checks_with_its_half(key_pair):
    private, public = key_pair
    ours = signing.options(
        SignSettings(mode="sm2", private_key_file=private), section="monitoring[0].sign"
    )
    theirs = signing.options(
        SignSettings(mode="sm2", public_key_file=public), section="centre.sign"
    )
    headers = Signer(ours, clock=SystemClock()).headers(query="centerId=7")
    Verifier(theirs, clock=SystemClock()).check(query="centerId=7", body=b"", header=headers.get)


@pytest.mark.parametrize("name", ["private_key_file", "public_key_file"])
def test_a_key_that_cannot_be_used_is_named_with_its_setting_and_its_file(name, tmp_path):
    file = tmp_path / "broken.pem"
    file.write_text("no key")
    settings = SignSettings(mode="sm2", **{name: str(file)})
    with pytest.raises(PermanentError) as raised:
        signing.options(settings, section="centre.sign")
    assert raised.value.reason.startswith(f"centre.sign.{name}: {file}: ")
    ((named, read),) = signing.key_files(settings)
    assert named == name
    with pytest.raises(PermanentError, match=r"broken\.pem"):
        read()


def test_a_mode_without_what_it_needs_is_refused_with_its_section():
    with pytest.raises(PermanentError, match=r"^centre\.sign: the scheme sm2 needs"):
        signing.options(SignSettings(mode="sm2"), section="centre.sign")
