"""The files and secrets that a configuration leads to, in whatever section."""

from __future__ import annotations

import pytest

from agent.app.doctor import named
from agent.config.load import load

TEXT = """\
node: {code: "11010800005020000001", type: AI_BOX}
device_api: {password_file: device.password}
acsmp:
  - name: city
    url: https://acsmp.example
    sm2_public_key_file: city.pem
    password: ${CITY}
    client_certificate: client.pem
    client_private_key: client.key
centre:
  id: 7
  users: [{username: city, password_file: user.password}]
  sign: {mode: hmac-sm3, secret_file: sign.secret}
meters:
  - {name: pdu, kind: snmp, role: it, host: 192.0.2.1, community_file: snmp.community}
  - {name: web, kind: prometheus, role: it, ca_file: ca.pem, authorization_file: web.auth,
     community: in-the-file}
"""
KEY = """\
-----BEGIN PRIVATE KEY-----
MEcCAQAwEwYHKoZIzj0CAQ
line-two-of-it==
-----END PRIVATE KEY-----
"""


@pytest.fixture
def loaded(tmp_path):
    for name, text in {
        "device.password": "device-secret\n",
        "city.pem": "x",
        "client.pem": "x",
        "client.key": KEY,
        "snmp.community": "snmp-secret\n",
        "web.auth": "Bearer web-secret\n",
        "ca.pem": "x",
        "user.password": "user-secret\n",
        "sign.secret": "sign-secret\n",
    }.items():
        (tmp_path / name).write_text(text)
    path = tmp_path / "config.yaml"
    path.write_text(TEXT)
    return load(path, environment={"CITY": "city-secret"})


def test_every_named_file_is_found_and_told_apart(loaded, tmp_path):
    found = named.files(loaded)
    assert {each.relative_to(tmp_path).name for each in found.secrets} == {
        *("device.password", "client.key", "snmp.community", "web.auth"),
        *("user.password", "sign.secret"),
    }
    assert {each.relative_to(tmp_path).name for each in found.others} == {
        *("city.pem", "client.pem", "ca.pem")
    }


def test_every_secret_is_found_wherever_it_comes_from(loaded):
    assert set(named.secrets(loaded, environment={"CITY": "city-secret"})) == {
        "device-secret",
        "city-secret",
        "snmp-secret",
        "Bearer web-secret",
        "in-the-file",
        "user-secret",
        "sign-secret",
        "MEcCAQAwEwYHKoZIzj0CAQ",
        "line-two-of-it==",
    }


def test_a_secret_file_that_went_away_is_no_fault(loaded, tmp_path):
    (tmp_path / "web.auth").unlink()
    assert "in-the-file" in named.secrets(loaded, environment={})


@pytest.mark.parametrize("name", ["password", "secret_file", "snmp.auth_password", "private_key"])
def test_names_of_secrets_are_known(name):
    assert named.is_secret_name(name)


@pytest.mark.parametrize("name", ["sm2_public_key_file", "ca_file", "host", "certificate"])
def test_other_names_are_none(name):
    assert not named.is_secret_name(name)
