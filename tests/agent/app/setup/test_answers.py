"""What is accepted as an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.app.setup import answers
from agent.errors import BadInput
from agent.security import sm2


@pytest.mark.parametrize(
    ("question", "good", "bad", "says"),
    [
        (answers.CODE, "1" * 20, "1" * 19, "expected 20 digits; it has 19 digits"),
        (answers.TYPE, "AI_CLOUD", "AI_BOXX", "expected EDGE_COMPUTE_DEVICE, FRONT_END_DEVICE"),
        (answers.PLATFORM, "city-1", "a b", "expected 1 to 64 letters"),
        (
            answers.URL,
            "https://x.example:8443/a",
            "x.example",
            "expected an http:// or https:// URL",
        ),
        (answers.USERNAME, "admin", "a:b", "without a colon"),
        (answers.LISTEN, "[::]:1", "8123", "write 0.0.0.0:8123"),
        (answers.STATE_DIR, "/srv/x", "", "the path of a folder"),
    ],
    ids=lambda each: getattr(each, "name", None),
)
def test_an_answer_is_checked_as_the_loader_checks_it(question, good, bad, says):
    assert question.accept(good) == good
    with pytest.raises(BadInput, match=says):
        question.accept(bad)


def test_a_key_is_taken_as_file_hex_or_pem(tmp_path):
    key = sm2.generate_key_pair().public_key
    path = tmp_path / "city.pem"
    path.write_text(key.to_pem())
    for text in (str(path), key.to_hex(), key.to_hex()[2:].upper(), key.to_pem()):
        assert answers.public_key(text) == key
    for text in ("", "city", str(tmp_path / "none"), "04" + "00" * 64):
        with pytest.raises(BadInput):
            answers.public_key(text)


def test_a_file_that_is_not_there_is_named():
    for accept in (answers.public_key, answers.ca_certificates):
        with pytest.raises(BadInput, match=r"city\.pem: no such file"):
            accept("city.pem")


def test_a_private_key_is_never_taken_for_the_platforms_key():
    pem = sm2.generate_key_pair().public_key.to_pem().replace("PUBLIC", "PRIVATE")
    with pytest.raises(BadInput, match="private key"):
        answers.public_key(pem)


def test_a_certificate_is_taken_as_file_or_pem(certificates, tmp_path):
    pem = Path(certificates.ca).read_text()
    assert answers.ca_certificates(certificates.ca) == pem
    assert answers.ca_certificates(pem.rstrip()) == pem
    (tmp_path / "no.pem").write_text("hello")
    for text in (str(tmp_path / "no.pem"), "-----BEGIN CERTIFICATE-----\nx\n", "/nowhere"):
        with pytest.raises(BadInput):
            answers.ca_certificates(text)


@pytest.mark.parametrize("text", ["", "x" * 33, "密" * 11, "a\tb"])
def test_a_password_that_no_platform_can_be_told_is_refused(text):
    with pytest.raises(BadInput) as raised:
        answers.password(text)
    assert not text or text not in str(raised.value)


def test_a_password_of_a_file_loses_its_one_newline(tmp_path):
    path = tmp_path / "password"
    path.write_text(" with blanks \r\n")
    assert answers.password_of_file(path).reveal() == " with blanks "
    with pytest.raises(BadInput):
        answers.password_of_file(tmp_path / "none")


def test_generated_passwords_are_good_and_never_the_same():
    made = {answers.generated_password().reveal() for _ in range(50)}
    assert len(made) == 50
    assert all(len(answers.password(each).reveal()) == 24 for each in made)
