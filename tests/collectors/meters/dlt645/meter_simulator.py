"""A small DL/T 645-2007 meter behind a gateway, written from the standard, apart from the agent."""

from __future__ import annotations

from dataclasses import dataclass, field

ENERGY = "00010000"
POWER = "02030000"


def frame(address: str, control: int, data: bytes) -> bytes:
    body = b"\x68" + bytes(reversed(bytes.fromhex(address))) + b"\x68"
    body += bytes([control, len(data)]) + bytes((byte + 0x33) % 256 for byte in data)
    return body + bytes([sum(body) % 256]) + b"\x16"


def decimal(number: int, count: int) -> bytes:
    return bytes(reversed(bytes.fromhex(f"{number:0{2 * count}d}")))


@dataclass
class MeterSimulator:
    """Answers questions as the meter of one address; unknown identifiers are refused."""

    address: str = "000000000161"
    data: dict[str, bytes] = field(
        default_factory=lambda: {ENERGY: decimal(12345678, 4), POWER: decimal(23456, 3)}
    )
    before: bytes = b""
    after: bytes = b""
    piece_bytes: int = 1000
    questions: list[bytes] = field(default_factory=list)

    def behave(self, connection, stopping) -> None:
        while received := connection.recv(4096):
            self.questions.append(received)
            sent = self.before + self.answer(received) + self.after
            for start in range(0, len(sent), self.piece_bytes):
                connection.sendall(sent[start : start + self.piece_bytes])

    def answer(self, received: bytes) -> bytes:
        question = received.lstrip(b"\xfe")
        assert question[0] == question[7] == 0x68
        assert question[-1] == 0x16
        assert question[-2] == sum(question[:-2]) % 256
        asked = bytes(reversed(question[1:7])).hex().upper()
        if any(want not in ("A", have) for want, have in zip(asked, self.address, strict=True)):
            return b""
        assert question[8] == 0x11
        assert question[9] == 4
        identifier = bytes((byte - 0x33) % 256 for byte in question[10:14])
        data = self.data.get(bytes(reversed(identifier)).hex())
        if data is None:
            return frame(self.address, 0xD1, b"\x02")
        return frame(self.address, 0x91, identifier + data)
