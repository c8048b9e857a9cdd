"""Whom the commands talk to, and as whom."""

from __future__ import annotations

import pytest

from agent.app import platforms
from agent.config.settings import AcsmpSettings, DeviceApiSettings, NodeSettings, Settings
from agent.errors import BadInput, PermanentError, TransientError
from agent.model.secret import Secret

NODE = NodeSettings(code="11010800005020000001", type="AI_BOX")
DEVICE_API = DeviceApiSettings(listen="[::]:8123", password=Secret("open sesame"))
CITY = AcsmpSettings(name="city", url="http://127.0.0.1:1/", sm2_public_key_file="/missing")
REGION = AcsmpSettings(
    name="region",
    url="http://127.0.0.1:2",
    sm2_public_key_file="/missing",
    code="11010800005020000002",
    username="region",
    password=Secret("another"),
)


def settings(*acsmp, device_api=DEVICE_API):
    return Settings(node=NODE, device_api=device_api, acsmp=acsmp)


def test_each_platform_knows_the_node_by_its_own_settings():
    city, region = platforms.identities(settings(CITY, REGION))
    assert (city.platform, city.computility_code, city.username) == (
        "city",
        NODE.code,
        "admin",
    )
    assert (region.computility_code, region.username, region.password.reveal()) == (
        "11010800005020000002",
        "region",
        "another",
    )
    assert (city.port, region.port) == (8123, 8123)


def test_the_port_that_is_really_listened_on_is_told():
    (told,) = platforms.identities(settings(CITY), listen_port=40001)
    assert told.port == 40001


def test_a_device_api_without_platforms_has_one_identity_and_none_has_none():
    (alone,) = platforms.identities(settings())
    assert (alone.platform, alone.username) == ("", "admin")
    assert platforms.identities(settings(device_api=None)) == ()


def test_no_name_means_every_platform_and_a_name_twice_means_once():
    both = settings(CITY, REGION)
    assert platforms.chosen(both, []) == (CITY, REGION)
    assert platforms.chosen(both, ["region"]) == (REGION,)
    assert platforms.chosen(both, ["region", "city", "region"]) == (REGION, CITY)


def test_a_wrong_name_is_bad_input_and_no_platform_at_all_is_not():
    with pytest.raises(BadInput, match="no platform called City; the configuration has city"):
        platforms.chosen(settings(CITY), ["city", "City"])
    with pytest.raises(PermanentError, match="add an acsmp section"):
        platforms.chosen(settings(), ["city"])


@pytest.mark.parametrize("failing", [set(), {"city"}, {"region"}, {"city", "region"}])
def test_one_that_fails_does_not_keep_the_next_from_its_turn(failing):
    told = []

    def act(session):
        if session.identity.platform in failing:
            raise TransientError("no answer")
        return "done"

    succeeded = platforms.each_platform(
        settings(CITY, REGION),
        [],
        act=act,
        tell=lambda name, error, text: told.append((name, error is None, text)),
    )
    assert succeeded is (not failing)
    assert told == [
        (name, name not in failing, "no answer" if name in failing else "done")
        for name in ("city", "region")
    ]
