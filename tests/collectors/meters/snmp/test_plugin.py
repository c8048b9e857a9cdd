"""The SNMP meter against net-snmp: both PDUs, both versions, and every way not to answer."""

from __future__ import annotations

import socket
import threading

import pytest

from agent.errors import NotPresent, ReadingUnavailable
from collectors.meters.snmp.plugin import SnmpConfig, SnmpMeter

APC = "1.3.6.1.4.1.318.1.1.26"
APC_VALUES = {
    f"{APC}.4.3.1.5.1": ("integer", 123),
    f"{APC}.4.3.1.9.1": ("integer", 170982),
    f"{APC}.4.3.1.10.1": ("string", "05/30/2011 00:12:17"),
    f"{APC}.2.1.9.1": ("string", "ZA1104"),
}
PX = "1.3.6.1.4.1.13742.6"
PX_VALUES = {
    f"{PX}.5.2.3.1.4.1.2.5": ("gauge", 2345),
    f"{PX}.5.2.3.1.2.1.2.5": ("integer", 1),
    f"{PX}.3.3.4.1.6.1.2.5": ("integer", 3),
    f"{PX}.3.3.4.1.7.1.2.5": ("gauge", 1),
    f"{PX}.5.2.3.1.4.1.2.8": ("gauge", 4294967295),
    f"{PX}.5.2.3.1.2.1.2.8": ("integer", 1),
    f"{PX}.3.3.4.1.6.1.2.8": ("integer", 5),
    f"{PX}.3.3.4.1.7.1.2.8": ("gauge", 0),
    f"{PX}.3.2.1.1.4.1": ("string", "PX-77"),
}

pytestmark = pytest.mark.peer


def meter(snmpd, **settings):
    return SnmpMeter(SnmpConfig(host="127.0.0.1", port=snmpd.port, **settings))


@pytest.fixture
def community(secret):
    return {"community_file": secret("secret-community")}


def test_an_apc_pdu_is_read_with_its_units(snmpd, community):
    snmpd.set(APC_VALUES)

    reading = meter(snmpd, **community).read()

    assert reading.energy_joules == 170982 * 360_000
    assert reading.power_watts == 1230.0
    assert reading.reset_marker == "05/30/2011 00:12:17/ZA1104"
    assert set(reading.unknown) == {"water_millilitres"}


def test_a_register_that_began_anew_or_another_unit_changes_the_marker(snmpd, community):
    snmpd.set(APC_VALUES)
    one = meter(snmpd, **community)
    markers = {one.read().reset_marker}
    snmpd.set({**APC_VALUES, f"{APC}.4.3.1.10.1": ("string", "01/01/2026 00:00:00")})
    markers.add(one.read().reset_marker)
    snmpd.set({**APC_VALUES, f"{APC}.2.1.9.1": ("string", "ZA2222")})
    markers.add(one.read().reset_marker)

    assert len(markers) == 3


@pytest.mark.parametrize("value", [-1, 0])
def test_a_value_that_stands_for_unsupported_is_unknown(snmpd, community, value):
    snmpd.set({**APC_VALUES, f"{APC}.4.3.1.9.1": ("integer", value)})

    reading = meter(snmpd, **community).read()

    assert reading.energy_joules is None
    assert "not supported" in reading.unknown["energy_joules"]
    assert reading.power_watts == 1230.0


def test_a_raritan_pdu_is_scaled_by_its_own_digits(snmpd, community):
    snmpd.set(PX_VALUES)
    one = meter(snmpd, profile="raritan-px2", inlet=2, **community)

    reading = one.read()

    assert reading.energy_joules == 4294967295 * 3600
    assert reading.power_watts == 234.5
    assert reading.reset_marker == "PX-77"
    assert one.traits().modulus == 2**32 * 3600
    assert one.traits().resolution == 3600


@pytest.mark.parametrize(
    ("oid", "value", "words"),
    [
        (f"{PX}.5.2.3.1.2.1.2.8", ("integer", 2), "is 2, not 1"),
        (f"{PX}.3.3.4.1.6.1.2.8", ("integer", 3), "is 3, not 5"),
        (f"{PX}.3.3.4.1.7.1.2.8", ("integer", 99), "not a number of digits"),
        (f"{PX}.5.2.3.1.4.1.2.8", ("string", "12"), 'is "12"'),
    ],
)
def test_a_sensor_that_is_not_what_the_profile_says_gives_no_value(
    snmpd, community, oid, value, words
):
    snmpd.set({**PX_VALUES, oid: value})

    reading = meter(snmpd, profile="raritan-px2", inlet=2, **community).read()

    assert reading.energy_joules is None
    assert words in reading.unknown["energy_joules"]


def test_a_device_without_the_objects_of_the_profile_is_an_error_with_a_hint(snmpd, community):
    snmpd.set(APC_VALUES)

    with pytest.raises(ReadingUnavailable, match="not there") as caught:
        meter(snmpd, pdu=2, **community).read()
    assert "profile" in caught.value.hint


def test_a_profile_of_the_operator_may_describe_any_device(snmpd, community, tmp_path):
    profile = tmp_path / "water.yaml"
    profile.write_text("water: {oid: '.1.3.6.1.4.1.99999.{pdu}', unit: m3, scale: 0.01}\n")
    snmpd.set({"1.3.6.1.4.1.99999.4": ("counter", 1234)})

    reading = meter(snmpd, profile=str(profile), pdu=4, **community).read()

    assert reading.water_millilitres == 12_340_000
    assert reading.reset_marker is None


@pytest.mark.parametrize(
    ("user", "settings"),
    [
        ("plain", {}),
        ("signed", {"auth": "a password of auth"}),
        ("md5", {"auth": "a password of auth", "auth_protocol": "md5"}),
        ("sealed", {"auth": "a password of auth", "priv": "a password of priv"}),
        (
            "des",
            {
                "auth": "a password of auth",
                "priv": "a password of priv",
                "priv_protocol": "des",
            },
        ),
    ],
)
def test_version_3_is_spoken_at_every_level(snmpd, secret, user, settings):
    snmpd.set(APC_VALUES)
    files = {
        f"{name}_password_file": secret(settings.pop(name))
        for name in ("auth", "priv")
        if name in settings
    }
    one = meter(snmpd, version="3", user=user, **files, **settings)

    assert one.read().power_watts == 1230.0
    assert one.read().energy_joules == 170982 * 360_000


def test_a_device_that_started_again_is_asked_in_a_new_session(snmpd, secret):
    snmpd.set(APC_VALUES)
    one = meter(
        snmpd,
        version="3",
        user="signed",
        auth_password_file=secret("a password of auth"),
    )
    one.read()

    snmpd.start(("1.3.6.1.4.1.318", "1.3.6.1.4.1.13742", "1.3.6.1.4.1.99999"))

    assert one.read().power_watts == 1230.0


def test_a_wrong_password_is_an_error_that_does_not_show_it(snmpd, secret):
    snmpd.set(APC_VALUES)
    one = meter(
        snmpd,
        version="3",
        user="signed",
        auth_password_file=secret("not the password"),
        timeout_seconds=0.2,
        retries=0,
    )

    with pytest.raises(ReadingUnavailable) as caught:
        one.read()
    assert "not the password" not in repr(caught.value) + str(caught.value.hint)


def test_a_wrong_community_is_not_answered_and_ends_by_its_deadline(snmpd):
    one = meter(snmpd, timeout_seconds=0.2, retries=1)

    with pytest.raises(ReadingUnavailable, match=r"did not answer within 0\.4 s") as caught:
        one.read()
    assert "community" in caught.value.hint


def test_nobody_at_the_port_is_told_at_once():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with pytest.raises(ReadingUnavailable, match="refused"):
        SnmpMeter(SnmpConfig(host="127.0.0.1", port=port, timeout_seconds=30.0)).read()


def test_an_answer_that_is_lost_is_asked_for_again(snmpd, community):
    snmpd.set(APC_VALUES)
    with Relay(snmpd.port, lost=1) as relay:
        one = SnmpMeter(
            SnmpConfig(host="127.0.0.1", port=relay.port, timeout_seconds=0.3, **community)
        )

        assert one.read().power_watts == 1230.0
    assert relay.seen == 2


@pytest.mark.parametrize(
    "answer", [b"", b"0", b"\x30\x82\xff\xff", b"\x30\x03\x02\x01", b"x" * 999]
)
def test_what_is_no_snmp_is_an_error(answer):
    with Relay(0, answer=answer) as relay:
        one = SnmpMeter(SnmpConfig(host="127.0.0.1", port=relay.port, retries=0))
        with pytest.raises(ReadingUnavailable):
            one.read()


def test_absence_is_told_without_asking_anybody(tmp_path):
    for settings, words in (
        ({}, "no host"),
        ({"host": "pdu", "profile": "apc-rpdu3"}, "no profile"),
        ({"host": "pdu", "version": "3"}, "takes a user"),
        ({"host": "pdu", "community_file": str(tmp_path / "none")}, "No such file"),
    ):
        with pytest.raises(NotPresent, match=words) as caught:
            SnmpMeter(SnmpConfig(**settings)).probe()
        assert caught.value.hint
    SnmpMeter(SnmpConfig(host="pdu")).probe()


class Relay:
    """Passes datagrams on to a device and loses the first ones, or answers by itself."""

    def __init__(self, port, *, lost=0, answer=None):
        self._target, self._lost, self._answer = ("127.0.0.1", port), lost, answer
        self.seen = 0

    def __enter__(self):
        self._line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._line.bind(("127.0.0.1", 0))
        self.port = self._line.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._line.sendto(b"end", ("127.0.0.1", self.port))
        self._thread.join(10)
        self._line.close()

    def _serve(self):
        while True:
            question, asker = self._line.recvfrom(65_535)
            if question == b"end":
                return
            self.seen += 1
            if self._answer is not None:
                self._line.sendto(self._answer, asker)
            elif self.seen > self._lost:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
                    line.settimeout(5)
                    line.sendto(question, self._target)
                    self._line.sendto(line.recv(65_535), asker)
