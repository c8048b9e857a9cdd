"""A meter that speaks Modbus TCP: functions 3 and 4 of the specification, V1.1b3, read only.

The frames are the Messaging on TCP/IP Implementation Guide's: transaction, protocol 0, length,
unit, and the message.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping

from agent.simulator.meters.tcp_server import TcpServer, receive_exactly

UNIT = 1
_HEADER = struct.Struct(">HHHB")
_LONGEST_MESSAGE = 253
_READ_FUNCTIONS = (3, 4)
_MOST_REGISTERS = 125
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE = 1, 2, 3
_NO_SUCH_UNIT = 11

# Words by wire address; None while the meter does not answer.
Registers = Mapping[int, int]


class ModbusServer:
    """Serves what `registers` returns at each question; see `Registers`; it may raise `Gone`."""

    def __init__(
        self, registers: Callable[[], Registers | None], *, listen: tuple[str, int], name: str
    ) -> None:
        self._registers = registers
        self._server = TcpServer(self._serve, listen=listen, name=name)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._server.port

    def start(self) -> None:
        """Listen; raises PermanentError where it cannot."""
        self._server.start()

    def stop(self) -> None:
        """Close everything."""
        self._server.stop()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            header = receive_exactly(connection, _HEADER.size)
            transaction, protocol, length, unit = _HEADER.unpack(header)
            if protocol != 0 or not 2 <= length <= _LONGEST_MESSAGE + 1:
                return
            message = receive_exactly(connection, length - 1)
            registers = self._registers()
            if registers is None:
                continue
            reply = answer(message, unit=unit, registers=registers)
            connection.sendall(_HEADER.pack(transaction, 0, len(reply) + 1, unit) + reply)


def answer(message: bytes, *, unit: int, registers: Registers) -> bytes:
    """Return the answer to one message of a unit."""
    function = message[0]
    if unit != UNIT:
        return _exception(function, _NO_SUCH_UNIT)
    if function not in _READ_FUNCTIONS:
        return _exception(function, _ILLEGAL_FUNCTION)
    if len(message) != 5:
        return _exception(function, _ILLEGAL_VALUE)
    address, count = struct.unpack(">HH", message[1:])
    if not 1 <= count <= _MOST_REGISTERS:
        return _exception(function, _ILLEGAL_VALUE)
    wanted = range(address, address + count)
    if any(each not in registers for each in wanted):
        return _exception(function, _ILLEGAL_ADDRESS)
    words = struct.pack(f">{count}H", *(registers[each] for each in wanted))
    return bytes([function, len(words)]) + words


def _exception(function: int, code: int) -> bytes:
    return bytes([function & 0x7F | 0x80, code])
