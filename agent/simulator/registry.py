"""The register of computing nodes: who is there, with which token, and who fell silent.

One lock guards everything; every change is on the disk before it is answered. Silence is measured
on the monotonic clock, since a corrected wall clock must not lose a node.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from agent.simulator.events import Event, EventKind, EventLog
from agent.simulator.refusal import Refusal, ResultCode
from agent.simulator.store import Node, ReadBack, Store

_logger = logging.getLogger(__name__)

_TOKEN_BYTES = 32
_SWEEP_SECONDS_MINIMUM, _SWEEP_SECONDS_MAXIMUM = 0.05, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """Holds the two clocks: `monotonic` in seconds, `now` aware and in UTC."""

    monotonic: Callable[[], float]
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Is an accepted table B.1, with its password in clear."""

    code: str
    type: str
    address: str
    port: int
    username: str
    password: str
    password_layout: str
    support_algo_service: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Is the outcome of a keepalive.

    `new_token` is None unless the token was renewed; `gap_seconds` is the time since the contact
    before, on the monotonic clock.
    """

    gap_seconds: float
    new_token: str | None = None


class Registry:
    """Holds the nodes; safe in every thread.

    A contact is an accepted Register or Keepalive (clause B.3 counts what the node sends; that the
    platform reads the device does not keep it alive). `lost_after_seconds` without one loses a
    node, and the next one brings it back. What the file knew at the start gets the whole time
    again.
    """

    def __init__(
        self,
        store: Store,
        events: EventLog,
        *,
        clocks: Clocks,
        lost_after_seconds: float,
        nodes_maximum: int,
        require_token: bool,
    ) -> None:
        self._store = store
        self._events = events
        self._clocks = clocks
        self._lost_after_seconds = lost_after_seconds
        self._nodes_maximum = nodes_maximum
        self._require_token = require_token
        self._lock = threading.RLock()
        self._nodes = {node.code: node for node in store.nodes()}
        self._contacts = dict.fromkeys(self._nodes, clocks.monotonic())

    def nodes(self) -> list[Node]:
        """Return every node, in the order of the codes."""
        with self._lock:
            return [self._nodes[code] for code in sorted(self._nodes)]

    def silence_seconds(self, code: str) -> float:
        """Return how long a node has been silent; KeyError for an unknown one."""
        with self._lock:
            return self._clocks.monotonic() - self._contacts[code]

    def register(self, registration: Registration) -> Node:
        """Register a node and return it with its new token; a known one is replaced.

        Raises:
            Refusal: there is no room for another node.
        """
        with self._lock:
            known = self._nodes.get(registration.code)
            if known is None and len(self._nodes) >= self._nodes_maximum:
                raise Refusal(
                    f"the platform holds {self._nodes_maximum} nodes, which is all it takes",
                    code=ResultCode.PLATFORM_FULL,
                )
            now = self._now()
            node = Node(
                code=registration.code,
                type=registration.type,
                address=registration.address,
                port=registration.port,
                username=registration.username,
                password=registration.password,
                password_layout=registration.password_layout,
                support_algo_service=registration.support_algo_service,
                token=secrets.token_urlsafe(_TOKEN_BYTES),
                registered_at=now,
                last_contact_at=now,
                registrations=1 if known is None else known.registrations + 1,
                keepalives=0 if known is None else known.keepalives,
                worst_gap_seconds=0.0 if known is None else known.worst_gap_seconds,
                read_back=ReadBack() if known is None else known.read_back,
            )
            self._contact(node, known=known)
            return self._nodes[node.code]

    def keepalive(self, code: str, *, token: str | None, rotate: bool) -> Kept:
        """Note that a node is alive; `token` is the one that was sent, None if none was.

        `rotate` issues a new token: the old one ends with it.

        Raises:
            Refusal: the node is unknown, or the token is not its own.
        """
        with self._lock:
            node = self._known(code)
            self._check_token(node, token)
            gap_seconds = self.silence_seconds(code)
            new_token = secrets.token_urlsafe(_TOKEN_BYTES) if rotate else None
            changed = replace(node, keepalives=node.keepalives + 1, token=new_token or node.token)
            self._contact(changed, known=node)
            return Kept(gap_seconds=gap_seconds, new_token=new_token)

    def unregister(self, code: str, *, username: str, password: str) -> None:
        """Remove a node.

        Raises:
            Refusal: the node is unknown, or these are not the credentials that it registered.
        """
        with self._lock:
            node = self._known(code)
            given, own = (username, password), (node.username, node.password)
            if not all(
                hmac.compare_digest(left.encode(), right.encode())
                for left, right in zip(given, own, strict=True)
            ):
                raise Refusal(
                    "Username and Password are not those of the registration (table B.4)",
                    code=ResultCode.CREDENTIALS_REFUSED,
                )
            self._drop(code)

    def forget(self, code: str) -> bool:
        """Remove a node without a word; return whether there was one."""
        with self._lock:
            return self._drop(code)

    def expire_token(self, code: str) -> bool:
        """Make a node's token invalid; return whether there is such a node."""
        with self._lock:
            node = self._nodes.get(code)
            if node is None:
                return False
            self._save(replace(node, token=None))
            return True

    def node(self, code: str) -> Node:
        """Return a node.

        Raises:
            Refusal: none of this code is registered.
        """
        with self._lock:
            return self._known(code)

    def check_any_token(self, token: str | None) -> None:
        """Let pass who shows the token of any node, and everybody where no token is required.

        Raises:
            Refusal: a token is required and this is none.
        """
        if not self._require_token:
            return
        shown = b"" if token is None else token.encode("utf-8", "replace")
        tokens = [node.token.encode() for node in self.nodes() if node.token is not None]
        if not any(hmac.compare_digest(shown, each) for each in tokens):
            raise Refusal(
                "files are for registered nodes: send the token of the registration in the header "
                "Authorization: Bearer, or Token",
                code=ResultCode.TOKEN_REFUSED,
            )

    def sweep(self) -> float | None:
        """Mark as lost who has been silent too long.

        Returns the seconds until the next node may be lost; None if none is in danger.
        """
        with self._lock:
            rest: list[float] = []
            for node in self.nodes():
                if node.is_lost:
                    continue
                silence_seconds = self.silence_seconds(node.code)
                if silence_seconds <= self._lost_after_seconds:
                    rest.append(self._lost_after_seconds - silence_seconds)
                    continue
                self._save(replace(node, is_lost=True))
                self._events.add(
                    Event(
                        kind=EventKind.LOST,
                        code=node.code,
                        text=f"LOST {node.code}: silent for {silence_seconds:.1f} s",
                        details={"silence_seconds": round(silence_seconds, 3)},
                    )
                )
            return min(rest) if rest else None

    def sweep_until(self, stopping: threading.Event) -> None:
        """Mark as lost who falls silent, until `stopping` is set; for a thread of its own."""
        rest_seconds: float | None = 0.0
        while not stopping.wait(
            _SWEEP_SECONDS_MAXIMUM
            if rest_seconds is None
            else min(max(rest_seconds, _SWEEP_SECONDS_MINIMUM), _SWEEP_SECONDS_MAXIMUM)
        ):
            try:
                rest_seconds = self.sweep()
            except Exception:
                _logger.exception("the search for lost nodes failed")
                rest_seconds = None

    def note_read_back(self, node: Node, read_back: ReadBack) -> None:
        """Keep what the device of `node` said; ignored if it has gone or registered anew since."""
        with self._lock:
            current = self._nodes.get(node.code)
            if current is not None and current.registered_at == node.registered_at:
                self._save(replace(current, read_back=read_back))

    def _known(self, code: str) -> Node:
        node = self._nodes.get(code)
        if node is None:
            raise Refusal(
                f"{code} is not registered: register it first", code=ResultCode.UNKNOWN_DEVICE
            )
        return node

    def _check_token(self, node: Node, token: str | None) -> None:
        if token is None:
            if self._require_token:
                raise Refusal(
                    "no token was sent: put the one of the registration in the header "
                    "Authorization: Bearer, or Token",
                    code=ResultCode.TOKEN_REFUSED,
                )
            return
        own = node.token
        if own is None or not hmac.compare_digest(token.encode("utf-8", "replace"), own.encode()):
            raise Refusal(
                "the token is not, or no longer, the one of this node",
                code=ResultCode.TOKEN_REFUSED,
            )

    def _contact(self, node: Node, *, known: Node | None) -> None:
        gap_seconds = 0.0 if known is None else self.silence_seconds(node.code)
        self._contacts[node.code] = self._clocks.monotonic()
        self._save(
            replace(
                node,
                last_contact_at=self._now(),
                is_lost=False,
                worst_gap_seconds=max(node.worst_gap_seconds, gap_seconds),
            )
        )
        if known is not None and known.is_lost:
            self._events.add(
                Event(
                    kind=EventKind.BACK,
                    code=node.code,
                    text=f"BACK {node.code}: heard of again after {gap_seconds:.1f} s",
                    details={"silence_seconds": round(gap_seconds, 3)},
                )
            )

    def _save(self, node: Node) -> None:
        self._store.save_node(node)
        self._nodes[node.code] = node

    def _drop(self, code: str) -> bool:
        self._store.delete_node(code)
        self._contacts.pop(code, None)
        return self._nodes.pop(code, None) is not None

    def _now(self) -> str:
        return self._clocks.now().isoformat(timespec="milliseconds")
