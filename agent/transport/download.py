"""Fetches files from servers that break off, lie, drip or redirect."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from agent.errors import AgentError, PermanentError, TransientError
from agent.transport import addresses
from agent.transport import exchange as exchanges
from agent.transport.addresses import Address, Origin
from agent.transport.cancellation import Cancellation
from agent.transport.exchange import Exchange
from agent.transport.failures import describe
from agent.transport.paced_socket import Pace
from agent.transport.transfer import (
    Beginning,
    OriginAccess,
    OtherVersion,
    Resume,
    Sink,
    Transfer,
)

__all__ = ["Beginning", "Cancellation", "Downloader", "OriginAccess", "Pace", "Resume", "Sink"]

_MAXIMUM_REDIRECTS = 5
_LOOKUP_SECONDS = 30.0
# Threads that hang in the resolver and cannot be woken; another would only join them.
_MAXIMUM_LOOKUPS = 16


class Downloader:
    """Fetches files over http and https; safe in several threads.

    Follows redirects, but takes no credentials along to another server, and never leaves TLS.
    Reads neither proxies nor passwords from environment or .netrc. `credentials_for` is asked with
    "scheme://host:port" and gives what a known server wants, None for all others. User name and
    password in a URL are sent as Basic, instead of the headers of `credentials_for`, and shown
    nowhere.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        credentials_for: Callable[[str], OriginAccess | None],
        pace: Pace | None = None,
        resolver: exchanges.Resolver = exchanges.resolve,
    ) -> None:
        self._user_agent = user_agent
        self._credentials_for = credentials_for
        self._pace = pace or Pace()
        self._resolver = resolver
        self._lock = threading.Lock()
        self._lookups: list[threading.Thread] = []

    def fetch(
        self, url: str, *, resume: Resume | None, sink: Sink, cancellation: Cancellation
    ) -> None:
        """Give a file, or what lacks of it, to the sink; returns when the server sent all of it.

        Where the server has another version by now, or does not know parts, the sink begins anew.

        Raises:
            TransientError: it broke off, or was cancelled; what the sink has stays good.
            PermanentError: the server will not give the file, or the address is none.
        """
        address = addresses.parse(url)
        if resume is not None and resume.offset_bytes > 0:
            try:
                self._follow(address, resume, sink, cancellation, whole_seconds=None)
                return
            except OtherVersion:
                pass
        self._follow(address, None, sink, cancellation, whole_seconds=None)

    def fetch_small(
        self,
        url: str,
        *,
        maximum_bytes: int,
        deadline_seconds: float,
        cancellation: Cancellation | None = None,
    ) -> bytes:
        """Return a whole small file, such as a licence.

        Raises:
            TransientError: it did not arrive within the deadline, or not whole.
            PermanentError: it is larger than `maximum_bytes`, or the server will not give it.
        """
        sink = _SmallSink(maximum_bytes)
        self._follow(
            addresses.parse(url),
            None,
            sink,
            cancellation or Cancellation(),
            whole_seconds=deadline_seconds,
        )
        return bytes(sink.content)

    def _follow(
        self,
        address: Address,
        resume: Resume | None,
        sink: Sink,
        cancellation: Cancellation,
        *,
        whole_seconds: float | None,
    ) -> None:
        first = address.origin
        may_authorize = True
        whole = None if whole_seconds is None else Exchange(deadline_seconds=whole_seconds)
        for _ in range(_MAXIMUM_REDIRECTS + 1):
            head_seconds = self._pace.head_seconds
            if whole is not None:
                head_seconds = whole.remaining_seconds
            exchange = Exchange(deadline_seconds=head_seconds)
            transfer = Transfer(
                address=address,
                resume=resume,
                access=self._access(address, may_authorize=may_authorize),
                user_agent=self._user_agent,
                pace=self._pace,
                is_whole=whole is not None,
            )
            location = self._run(transfer, exchange, sink, cancellation)
            if location is None:
                return
            following = addresses.redirected(address, location)
            if following.origin == address.origin and following.authorization is None:
                following = replace(following, authorization=address.authorization)
            address = following
            # Whoever it led through another server comes back as a stranger.
            may_authorize = may_authorize and address.origin == first
        raise PermanentError(f"more than {_MAXIMUM_REDIRECTS} redirects, from {first.authority}")

    def _access(self, address: Address, *, may_authorize: bool) -> OriginAccess:
        origin = address.origin
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        access = self._credentials_for(f"{origin.scheme}://{host}:{origin.port}") or OriginAccess()
        if not may_authorize:
            return OriginAccess(ca_file=access.ca_file)
        if address.authorization is not None:
            return replace(access, headers={}, is_renewed=False)
        return access

    def _run(
        self, transfer: Transfer, exchange: Exchange, sink: Sink, cancellation: Cancellation
    ) -> str | None:
        """Ask one server; return where it redirects to, None when the sink has the file."""
        origin = transfer.address.origin

        def work(exchange: Exchange) -> str | None:
            exchange.stage = f"resolving {origin.host}"
            found = self._resolve(origin, exchange, cancellation)
            return transfer.ask(exchange, found, sink)

        with cancellation.over(exchange):
            exchange.run(work)
            try:
                location: str | None = exchange.result()
            except (AgentError, OtherVersion):
                raise
            except Exception as error:
                raise TransientError(
                    describe(error, host=origin.host, port=origin.port, stage=exchange.stage)
                ) from error
        return location

    def _resolve(self, origin: Origin, exchange: Exchange, cancellation: Cancellation) -> Any:
        """Resolve in a thread that can be left behind: nothing wakes it."""
        seconds = min(_LOOKUP_SECONDS, exchange.remaining_seconds)
        lookup = Exchange(deadline_seconds=seconds)
        lookup.stage = f"resolving {origin.host}"
        thread = threading.Thread(
            target=lookup.run,
            args=(lambda _: list(self._resolver(origin.host, origin.port)),),
            name=f"lookup-{origin.host}",
            daemon=True,
        )
        with self._lock:
            self._lookups = [known for known in self._lookups if known.is_alive()]
            if len(self._lookups) >= _MAXIMUM_LOOKUPS:
                raise TransientError(
                    f"{len(self._lookups)} earlier lookups still hang in the resolver of this "
                    "machine: check its DNS servers"
                )
            try:
                thread.start()
            except RuntimeError as error:
                raise TransientError(f"no thread for the resolver: {error}") from error
            self._lookups.append(thread)
        with cancellation.over(lookup):
            return lookup.result()


class _SmallSink:
    """Keeps a small file in memory."""

    def __init__(self, maximum_bytes: int) -> None:
        self._maximum_bytes = maximum_bytes
        self.content = bytearray()

    def begin(self, beginning: Beginning) -> None:
        self.content.clear()
        self._check(beginning.total_bytes or 0)

    def write(self, piece: bytes) -> None:
        self._check(len(self.content) + len(piece))
        self.content += piece

    def _check(self, size_bytes: int) -> None:
        if size_bytes > self._maximum_bytes:
            raise PermanentError(f"the file is larger than {self._maximum_bytes} bytes")
