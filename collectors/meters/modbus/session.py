"""Questions and answers of Modbus, framed and matched by pymodbus."""

from __future__ import annotations

import logging
import struct
from typing import Any, Literal

from agent.errors import ReadingUnavailable
from collectors.meters.tcp_line import TcpLine

_ILLEGAL_FUNCTION = 1
_ILLEGAL_ADDRESS = 2
_EXCEPTIONS = {
    _ILLEGAL_FUNCTION: ("does not know this function", "use the other function, 3 or 4"),
    _ILLEGAL_ADDRESS: ("has no such register", "check that the profile is of this very model"),
    3: ("refuses the number of registers", "check that the profile is of this very model"),
    4: ("reports a fault of its own", "look at the meter's display"),
    5: ("needs longer for this", None),
    6: ("is busy", None),
    10: ("has no path to the unit", "check unit, and the gateway's table of units"),
    11: ("gets no answer from the unit", "check unit, and the wiring behind the gateway"),
}
# The longest frame has 260 bytes; whatever comes beside an answer has to end some time.
_MOST_BYTES = 8192


class RefusedError(ReadingUnavailable):
    """Says that the meter answered with an exception; `is_absent`: it has no such register."""

    def __init__(self, reason: str, *, hint: str | None, is_absent: bool) -> None:
        super().__init__(reason, hint=hint)
        self.is_absent = is_absent


class Session:
    """Asks one unit, one question at a time.

    pymodbus frames the questions and checks the answers: transaction and unit with Modbus TCP, unit
    and checksum with RTU. Its client is not used, because its deadline starts anew with each part
    of an answer. A fault closes the connection, so that an answer that is late meets no question.
    """

    def __init__(self, line: TcpLine, *, unit: int, framing: Literal["tcp", "rtu"]) -> None:
        from pymodbus.framer import FramerRTU, FramerSocket
        from pymodbus.pdu import DecodePDU

        # A peer that sends what nobody asked for would fill the log; a reason is given anyway.
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
        self._line = line
        self._unit = unit
        framer = FramerSocket if framing == "tcp" else FramerRTU
        self._framer: Any = framer(DecodePDU(False))  # noqa: FBT003 - pymodbus's own: no server
        self._transaction = 0

    def open(self, *, deadline: float) -> bool:
        """Connect where there is no connection; tell whether it is a new one.

        Raises:
            ReadingUnavailable: nobody can be reached.
        """
        return self._line.open(deadline=deadline)

    def read(self, address: int, *, count: int, function: int, deadline: float) -> tuple[int, ...]:
        """Return registers, words of 16 bits, by wire address.

        Raises:
            RefusedError: the meter answered that it will not.
            ReadingUnavailable: no answer, or none that can be understood.
        """
        self._transaction = self._transaction % 0xFFFF + 1
        what = f"register {address} (function {function}) of unit {self._unit} at "
        what += self._line.place
        try:
            self._line.open(deadline=deadline)
            self._line.send(self._question(address, count, function), deadline=deadline)
            answer = self._answer(what, deadline=deadline)
            self._check(answer, what, count=count, function=function)
        except RefusedError:
            raise
        except ReadingUnavailable:
            self._line.close()
            raise
        return tuple(answer.registers)

    def _question(self, address: int, count: int, function: int) -> bytes:
        from pymodbus.pdu.register_message import (
            ReadHoldingRegistersRequest,
            ReadInputRegistersRequest,
        )

        message = ReadHoldingRegistersRequest if function == 3 else ReadInputRegistersRequest
        packet: bytes = self._framer.buildFrame(
            message(
                dev_id=self._unit, transaction_id=self._transaction, address=address, count=count
            )
        )
        return packet

    def _answer(self, what: str, *, deadline: float) -> Any:
        from pymodbus.exceptions import ModbusException

        received = 0
        buffer = b""
        while received < _MOST_BYTES:
            data = self._line.receive(deadline=deadline)
            if not data:
                break
            received += len(data)
            buffer += data
            try:
                used, answer = self._framer.handleFrame(buffer, self._unit, self._transaction)
            except (ModbusException, IndexError, ValueError, struct.error) as error:
                raise ReadingUnavailable(
                    f"the answer to {what} cannot be understood: {error}",
                    hint="check framing: tcp or rtu",
                ) from error
            buffer = buffer[used:]
            if answer is not None:
                return answer
        if received:
            raise ReadingUnavailable(
                f"no whole answer to {what}: {received} bytes came that are none",
                hint="check framing: tcp or rtu, and the gateway's line settings",
            )
        raise ReadingUnavailable(
            f"no answer to {what}", hint="check unit and framing, and the wiring behind a gateway"
        )

    @staticmethod
    def _check(answer: Any, what: str, *, count: int, function: int) -> None:
        if answer.function_code == function | 0x80:
            words, hint = _EXCEPTIONS.get(answer.exception_code, ("refuses", None))
            raise RefusedError(
                f"asked for {what}, the meter {words} (exception {answer.exception_code})",
                hint=hint,
                is_absent=answer.exception_code in (_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS),
            )
        if answer.function_code != function or len(answer.registers) != count:
            raise ReadingUnavailable(
                f"the answer to {what} is one to another question",
                hint="does another program use the same gateway?",
            )
