"""Answers that are cut, garbled, or to another question never become a wrong value."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import ReadingUnavailable
from agent.model.clock import SystemClock
from collectors.meters.modbus.session import RefusedError, Session
from collectors.meters.tcp_line import TcpLine
from tests.collectors.meters.peers import Peer

VALUE = (0x0102, 0x0304)
COUNT = 2


def crc(data: bytes) -> bytes:
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


def rtu_answer(*, unit=1, function=3, registers=VALUE) -> bytes:
    data = b"".join(word.to_bytes(2, "big") for word in registers)
    body = bytes([unit, function, len(data)]) + data
    return body + crc(body)


def tcp_answer(question: bytes, *, transaction=None, unit=None, function=3, registers=VALUE):
    data = b"".join(word.to_bytes(2, "big") for word in registers)
    body = bytes([question[6] if unit is None else unit, function, len(data)]) + data
    return (transaction or question[:2]) + b"\0\0" + len(body).to_bytes(2, "big") + body


def ask(framing, answer, *, seconds=0.15):
    """Ask a peer that answers with these pieces, and give up soon."""

    def behave(connection, stopping):
        question = connection.recv(4096)
        for piece in answer(question):
            connection.sendall(piece)
        stopping.wait(60)

    clock = SystemClock()
    with Peer(behave) as peer:
        line = TcpLine("127.0.0.1", port=peer.port, clock=clock)
        session = Session(line, unit=1, framing=framing)
        try:
            return session.read(10, count=COUNT, function=3, deadline=clock.monotonic() + seconds)
        finally:
            line.close()


def whole(framing, question):
    return tcp_answer(question) if framing == "tcp" else rtu_answer()


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_an_answer_may_come_byte_by_byte(framing):
    def pieces(question):
        return [bytes([byte]) for byte in whole(framing, question)]

    assert ask(framing, pieces, seconds=30) == VALUE


@settings(max_examples=25)
@given(cut=st.integers(min_value=0, max_value=8), framing=st.sampled_from(["tcp", "rtu"]))
def test_an_answer_that_is_cut_is_none(framing, cut):
    with pytest.raises(ReadingUnavailable):
        ask(framing, lambda question: [whole(framing, question)[:cut]], seconds=0.05)


@settings(max_examples=60)
@given(
    place=st.integers(min_value=0, max_value=8),
    flip=st.integers(min_value=1, max_value=255),
)
def test_a_garbled_rtu_answer_never_gives_a_wrong_value(place, flip):
    def garbled(_):
        answer = bytearray(rtu_answer())
        answer[place] ^= flip
        return [bytes(answer)]

    with pytest.raises(ReadingUnavailable):
        ask("rtu", garbled, seconds=0.05)


@settings(max_examples=40)
@given(
    place=st.integers(min_value=0, max_value=8),
    flip=st.integers(min_value=1, max_value=255),
)
def test_a_garbled_header_of_tcp_gives_no_value_or_the_right_one(place, flip):
    def garbled(question):
        answer = bytearray(tcp_answer(question))
        answer[place] ^= flip
        return [bytes(answer)]

    with contextlib.suppress(ReadingUnavailable):
        assert ask("tcp", garbled, seconds=0.05) == VALUE


@given(noise=st.binary(max_size=400), framing=st.sampled_from(["tcp", "rtu"]))
@settings(max_examples=60)
def test_noise_is_no_value(noise, framing):
    with pytest.raises(ReadingUnavailable):
        ask(framing, lambda _: [noise] if noise else [], seconds=0.05)


@pytest.mark.parametrize(
    "other", [{"transaction": b"\x77\x77", "registers": (9, 9)}, {"unit": 2, "registers": (9, 9)}]
)
def test_an_answer_to_somebody_else_is_passed_over(other):
    def answers(question):
        return [tcp_answer(question, **other), tcp_answer(question)]

    assert ask("tcp", answers, seconds=30) == VALUE


@pytest.mark.parametrize("other", [{"function": 4}, {"registers": (9,)}, {"registers": (9, 9, 9)}])
@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_an_answer_to_another_question_is_refused(framing, other):
    def answers(question):
        return [tcp_answer(question, **other) if framing == "tcp" else rtu_answer(**other)]

    with pytest.raises(ReadingUnavailable, match="another question"):
        ask(framing, answers, seconds=30)


@pytest.mark.parametrize(
    ("code", "said", "is_absent"),
    [(1, "function", True), (2, "register", True), (6, "busy", False), (11, "no answer", False)],
)
@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_exceptions_are_said_in_words(framing, code, said, is_absent):
    def refuse(question):
        body = bytes([1, 0x83, code])
        if framing == "rtu":
            return [body + crc(body)]
        return [question[:4] + b"\0\x03" + body]

    with pytest.raises(RefusedError, match=said) as caught:
        ask(framing, refuse, seconds=30)
    assert caught.value.is_absent is is_absent
    assert "register 10 (function 3) of unit 1" in caught.value.reason
