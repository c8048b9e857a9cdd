"""Who this node is for each platform, and how its password travels."""

from __future__ import annotations

import pytest

from agent.config.settings import AcsmpSettings, DeviceApiSettings, NodeSettings, Sm2Settings
from agent.errors import PermanentError
from agent.model.secret import Secret
from agent.protocols.acsmp.identity import device_identity
from agent.protocols.acsmp.password import PasswordSealer
from agent.security import sm2

NODE = NodeSettings(code="11010800005020000001", type="AI_BOX")
DEVICE_API = DeviceApiSettings(password=Secret("Passw0rd"))


def platform(**changes):
    return AcsmpSettings(**{"name": "city", "url": "https://acsmp.example", **changes})


def test_a_platform_without_settings_of_its_own_gets_the_nodes():
    identity = device_identity(NODE, device_api=DEVICE_API, platform=platform(), listen_port=8123)

    assert (identity.computility_code, identity.node_type) == (NODE.code, "AI_BOX")
    assert (identity.address, identity.port) == ("auto", 8123)
    assert (identity.username, identity.password) == ("admin", Secret("Passw0rd"))
    assert identity.token_header == "Authorization: Bearer {token}"


def test_a_platforms_own_settings_come_first():
    own = platform(
        code="11010800005020000002",
        type="CAD",
        address="127.0.0.1",
        username="city",
        password=Secret("another"),
        token_header="Token: {token}",
    )

    identity = device_identity(NODE, device_api=DEVICE_API, platform=own, listen_port=8123)

    assert identity.computility_code == "11010800005020000002"
    assert (identity.node_type, identity.address) == ("CAD", "127.0.0.1")
    assert (identity.username, identity.password) == ("city", Secret("another"))
    assert identity.token_header == "Token: {token}"


def test_the_advertised_port_is_what_the_platform_is_told():
    behind_nat = DeviceApiSettings(password=Secret("Passw0rd"), advertise_port=443)

    for each in (platform(), None):
        identity = device_identity(NODE, device_api=behind_nat, platform=each, listen_port=8123)
        assert identity.port == 443


def test_an_identity_shows_no_password():
    identity = device_identity(NODE, device_api=DEVICE_API, platform=None, listen_port=1)

    assert "Passw0rd" not in repr(identity)


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"order": "c1c2c3"},
        {"point_prefix": False, "encoding": "HEX"},
        {"der": True, "encoding": "base64"},
    ],
)
def test_the_platform_can_open_what_is_sealed(tmp_path, layout):
    private_key = sm2.generate_key_pair()
    key_file = tmp_path / "city.pem"
    key_file.write_text(private_key.public_key.to_pem())
    seal = PasswordSealer(platform(sm2_public_key_file=str(key_file), sm2=Sm2Settings(**layout)))

    sealed = [seal(Secret("Passw0rd")) for _ in range(2)]

    assert sealed[0] != sealed[1]
    for text in sealed:
        opened = sm2.decrypt(private_key, text, layouts=[sm2.Layout(**layout)])
        assert opened.plaintext == b"Passw0rd"


def test_a_key_that_was_replaced_on_disk_is_used_without_a_restart(tmp_path):
    old, new = sm2.generate_key_pair(), sm2.generate_key_pair()
    key_file = tmp_path / "city.pem"
    seal = PasswordSealer(platform(sm2_public_key_file=str(key_file)))

    for key in (old, new):
        key_file.write_text(key.public_key.to_pem())
        assert sm2.decrypt(key, seal(Secret("Passw0rd"))).plaintext == b"Passw0rd"
    key_file.unlink()
    with pytest.raises(PermanentError, match=r"city\.pem"):
        seal(Secret("Passw0rd"))


def test_the_length_of_the_table_bounds_the_password_and_not_the_ciphertext(tmp_path):
    key = sm2.generate_key_pair()
    key_file = tmp_path / "city.pem"
    key_file.write_text(key.public_key.to_pem())
    seal = PasswordSealer(platform(sm2_public_key_file=str(key_file)))

    assert len(seal(Secret("a" * 32))) == 2 * (65 + 32 + 32)
    with pytest.raises(PermanentError, match="33 bytes"):
        seal(Secret("a" * 33))


def test_plain_needs_its_permission():
    plain = {"password_format": "plain"}

    assert PasswordSealer(platform(**plain, allow_plain_password=True))(Secret("p")) == "p"
    with pytest.raises(PermanentError, match="allow_plain_password"):
        PasswordSealer(platform(**plain))(Secret("p"))
