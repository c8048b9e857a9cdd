"""What every kind of meter owes to `agent.contracts.Meter`, asked of each entry point."""

from __future__ import annotations

import socket
import threading
from importlib.metadata import EntryPoint, entry_points

import pytest

from agent import contracts
from agent.config.kinds import RawSection
from agent.config.plugin_config import build_plugin_config
from agent.errors import ConfigError, NotPresent, ReadingUnavailable
from agent.model.metering import MeterReading, RegisterTraits
from tests.collectors.meters import peers
from tests.contract.meter_benches import BENCHES, MeterBench

FOUND = sorted(entry_points(group=contracts.METERS), key=lambda each: each.name)
# Far beyond every deadline that a bench sets: a read that is over by then kept one.
PATIENCE_SECONDS = 45


def every(*transports: str):
    return pytest.mark.parametrize(
        "entry_point",
        [
            pytest.param(each, id=each.name)
            for each in FOUND
            if each.name in BENCHES
            and (not transports or BENCHES[each.name].transport in transports)
        ],
    )


def bench(entry_point: EntryPoint) -> MeterBench:
    return BENCHES[entry_point.name]


def build(entry_point: EntryPoint, *, port: int, folder, **more):
    meter_class = entry_point.load()
    values = {**bench(entry_point).options(port, folder), **more}
    return meter_class(build_plugin_config(meter_class.config_type, RawSection(values=values)))


def outcome(meter):
    """Return what one read gave, a reading or an error; fail if it does not end."""
    given = []

    def read() -> None:
        try:
            given.append(meter.read())
        except Exception as error:  # noqa: BLE001 - whatever it raises is judged by the test
            given.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive(), "the read does not end"
    return given[0]


def probed(meter) -> NotPresent | None:
    try:
        meter.probe()
    except NotPresent as missing:
        return missing
    return None


def assert_unavailable(error) -> None:
    assert isinstance(error, ReadingUnavailable), error
    assert len(error.reason) > 10, "it says too little"
    assert "object at 0x" not in error.reason
    assert "Traceback" not in error.reason


def test_there_are_meters_and_each_has_a_bench():
    assert {each.name for each in FOUND} == set(BENCHES)


@every()
def test_it_is_named_as_its_entry_point(entry_point):
    assert entry_point.load().name == entry_point.name


@every()
def test_it_can_be_built_of_nothing_and_then_says_what_is_missing(entry_point):
    meter_class = entry_point.load()
    meter = meter_class(meter_class.config_type())
    missing = probed(meter)
    result = outcome(meter)
    meter.close()

    assert missing is None or len(missing.reason) > 10
    if not isinstance(result, MeterReading):
        assert_unavailable(result)


@every()
def test_its_options_are_checked(entry_point, tmp_path):
    with pytest.raises(ConfigError, match="surely_not_an_option"):
        build(entry_point, port=1, folder=tmp_path, surely_not_an_option="1")


@every()
def test_it_may_be_closed_twice_before_and_after_a_read(entry_point, tmp_path):
    with peers.closed_port() as port:
        meter = build(entry_point, port=port, folder=tmp_path)
        meter.close()
        meter.close()
        assert_unavailable(outcome(meter))
        meter.close()
        meter.close()


@every()
def test_probing_asks_nobody_and_says_what_is_missing(entry_point, tmp_path):
    with peers.closed_port() as port:
        meter = build(entry_point, port=port, folder=tmp_path)
        missing = probed(meter)
        meter.close()

    if bench(entry_point).transport == "none":
        assert missing is None or len(missing.reason) > 10
    else:
        assert missing is None


@every()
def test_its_traits_are_traits(entry_point, tmp_path):
    meter = build(entry_point, port=1, folder=tmp_path)
    if hasattr(meter, "traits"):
        traits = meter.traits()
        assert isinstance(traits, RegisterTraits)
        assert traits.modulus is None or traits.modulus > (traits.resolution or 0)
    meter.close()


@every("tcp")
def test_a_refused_connection_is_a_reading_that_is_unavailable(entry_point, tmp_path):
    with peers.closed_port() as port:
        meter = build(entry_point, port=port, folder=tmp_path)
        error = outcome(meter)
        meter.close()

    assert_unavailable(error)
    assert str(port) in error.reason, "it does not say where"


@every("tcp")
@pytest.mark.parametrize(
    "behave",
    [
        peers.silent,
        peers.garbage,
        peers.dripping,
        peers.flooding,
        peers.hanging_up,
        peers.resetting,
    ],
    ids=lambda each: each.__name__,
)
def test_whatever_a_peer_does_a_read_ends_and_says_why(entry_point, behave, tmp_path):
    with peers.Peer(behave) as peer:
        meter = build(entry_point, port=peer.port, folder=tmp_path)
        errors = [outcome(meter), outcome(meter)]
        meter.close()

    for error in errors:
        assert_unavailable(error)


@every("udp")
def test_a_peer_that_is_silent_over_udp_ends_a_read(entry_point, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        meter = build(entry_point, port=silent.getsockname()[1], folder=tmp_path)
        assert_unavailable(outcome(meter))
        meter.close()


@every("udp")
def test_garbage_over_udp_is_no_reading(entry_point, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(PATIENCE_SECONDS)

        def answer() -> None:
            _, address = peer.recvfrom(65536)
            peer.sendto(b"\x30\x84\xff\xff\xff\xff garbage", address)

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        meter = build(entry_point, port=peer.getsockname()[1], folder=tmp_path)
        assert_unavailable(outcome(meter))
        meter.close()
        answering.join(PATIENCE_SECONDS)
