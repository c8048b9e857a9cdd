"""Meters behind one gateway take turns."""

from __future__ import annotations

import threading

import pytest

from agent.errors import ReadingUnavailable
from agent.model.clock import SystemClock
from collectors.meters.dlt645.plugin import Dlt645Config, Dlt645Meter
from collectors.meters.gateway_turn import GatewayTurn
from collectors.meters.modbus.plugin import ModbusConfig, ModbusMeter
from tests.collectors.meters.dlt645.meter_simulator import ENERGY, MeterSimulator, decimal
from tests.collectors.meters.peers import Peer

ADDRESSES = [f"{number:012d}" for number in range(1, 5)]


class TransparentGateway:
    """Passes questions on to one line, and counts those that met another on it."""

    def __init__(self) -> None:
        self.line = threading.Lock()
        self.collisions = 0
        self.simulators = [
            MeterSimulator(address=address, data={ENERGY: decimal(int(address), 4)})
            for address in ADDRESSES
        ]

    def behave(self, connection, stopping) -> None:
        while question := connection.recv(4096):
            if not self.line.acquire(blocking=False):
                self.collisions += 1
                continue
            try:
                stopping.wait(0.01)
                answers = b"".join(each.answer(question) for each in self.simulators)
            finally:
                self.line.release()
            connection.sendall(answers)


def test_questions_of_several_meters_never_meet_on_the_line():
    gateway = TransparentGateway()
    wrong = []

    def read(address: str, port: int) -> None:
        made = Dlt645Meter(
            Dlt645Config(host="127.0.0.1", port=port, address=address, timeout_seconds=60)
        )
        readings = [made.read().energy_joules for _ in range(5)]
        wrong.extend(each for each in readings if each != int(address) * 36_000)
        made.close()

    with Peer(gateway.behave) as peer:
        threads = [threading.Thread(target=read, args=(each, peer.port)) for each in ADDRESSES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()

    assert gateway.collisions == 0
    assert not wrong


@pytest.mark.parametrize("kind", ["dlt645", "modbus"])
def test_a_turn_that_never_comes_is_said_by_the_deadline(kind):
    where = {"host": "127.0.0.1", "port": 1, "timeout_seconds": 0.2}
    if kind == "dlt645":
        made = Dlt645Meter(Dlt645Config(address=ADDRESSES[0], **where))
    else:
        made = ModbusMeter(ModbusConfig(profile="sunspec", framing="rtu", **where))
    clock = SystemClock()
    with (
        GatewayTurn("127.0.0.1", port=1, clock=clock).take(deadline=clock.monotonic() + 30),
        pytest.raises(ReadingUnavailable, match=r"no turn at 127\.0\.0\.1:1"),
    ):
        made.read()
    with pytest.raises(ReadingUnavailable, match="refused"):
        made.read()


def test_a_connection_is_let_go_where_the_gateway_has_one_client():
    simulator = MeterSimulator()
    with Peer(simulator.behave) as peer:
        made = Dlt645Meter(
            Dlt645Config(
                host="127.0.0.1", port=peer.port, address=simulator.address, keep_connection=False
            )
        )
        for expected in (1, 2, 3):
            made.read()
            assert peer.connected == expected
