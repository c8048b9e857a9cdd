"""What an SNMP agent of version 2c answers (RFC 3416): Get, GetNext and GetBulk, read only."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.simulator.meters import ber
from agent.simulator.meters.ber import Oid, Reader

_VERSION_2C = 1
_GET, _GET_NEXT, _RESPONSE, _SET, _GET_BULK = 0xA0, 0xA1, 0xA2, 0xA3, 0xA5
_NO_SUCH_OBJECT, _END_OF_VIEW = 0x80, 0x82
_NOT_WRITABLE, _TOO_BIG = 17, 1
_MOST_QUESTIONS = 64
_LARGEST_ANSWER = 1472

# Objects with their values, as elements of BER.
Objects = Mapping[Oid, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Is one message of a manager; `repeats` and `singles` are those of GetBulk."""

    community: bytes
    kind: int
    number: int
    singles: int
    repeats: int
    oids: tuple[Oid, ...]


def read_question(data: bytes) -> Question:
    """Return what a datagram asks.

    Raises:
        ValueError: it is no question of version 2c.
    """
    message = Reader(data).sequence()
    if message.integer() != _VERSION_2C:
        raise ValueError("another version than 2c")
    community = message.expect(ber.OCTET_STRING)[1]
    kind, content = message.expect(_GET, _GET_NEXT, _SET, _GET_BULK)
    body = Reader(content)
    number, singles, repeats = body.integer(), body.integer(), body.integer()
    bindings = body.sequence()
    oids: list[Oid] = []
    while not bindings.is_at_end:
        oids.append(bindings.sequence().oid())
        if len(oids) > _MOST_QUESTIONS:
            raise ValueError(f"more than {_MOST_QUESTIONS} objects")
    return Question(
        community=community,
        kind=kind,
        number=number,
        singles=singles,
        repeats=repeats,
        oids=tuple(oids),
    )


def write_answer(question: Question, objects: Objects) -> bytes:
    """Return the datagram that answers a question."""
    if question.kind == _SET:
        bindings = [_binding(oid, ber.encode(ber.NULL, b"")) for oid in question.oids]
        return _response(question, bindings, status=_NOT_WRITABLE, index=1)
    ordered = sorted(objects)
    if question.kind == _GET:
        missing = ber.encode(_NO_SUCH_OBJECT, b"")
        bindings = [_binding(oid, objects.get(oid, missing)) for oid in question.oids]
    elif question.kind == _GET_NEXT:
        bindings = [_next(oid, objects, ordered)[1] for oid in question.oids]
    else:
        bindings = _bulk(question, objects, ordered)
    answer = _response(question, bindings)
    while question.kind == _GET_BULK and len(answer) > _LARGEST_ANSWER and len(bindings) > 1:
        bindings = bindings[: len(bindings) // 2]
        answer = _response(question, bindings)
    if len(answer) > _LARGEST_ANSWER:
        return _response(question, [], status=_TOO_BIG)
    return answer


def _bulk(question: Question, objects: Objects, ordered: Sequence[Oid]) -> list[bytes]:
    singles = max(0, question.singles)
    bindings = [_next(oid, objects, ordered)[1] for oid in question.oids[:singles]]
    walked = list(question.oids[singles:])
    for _ in range(min(max(0, question.repeats), _MOST_QUESTIONS)):
        for place, oid in enumerate(walked):
            walked[place], binding = _next(oid, objects, ordered)
            bindings.append(binding)
    return bindings


def _next(oid: Oid, objects: Objects, ordered: Sequence[Oid]) -> tuple[Oid, bytes]:
    place = bisect_right(ordered, oid)
    if place == len(ordered):
        return oid, _binding(oid, ber.encode(_END_OF_VIEW, b""))
    found = ordered[place]
    return found, _binding(found, objects[found])


def _binding(oid: Oid, value: bytes) -> bytes:
    return ber.encode(ber.SEQUENCE, ber.encode_oid(oid) + value)


def _response(
    question: Question, bindings: Sequence[bytes], *, status: int = 0, index: int = 0
) -> bytes:
    body = b"".join(ber.encode_integer(each) for each in (question.number, status, index))
    body += ber.encode(ber.SEQUENCE, b"".join(bindings))
    message = ber.encode_integer(_VERSION_2C)
    message += ber.encode(ber.OCTET_STRING, question.community) + ber.encode(_RESPONSE, body)
    return ber.encode(ber.SEQUENCE, message)
