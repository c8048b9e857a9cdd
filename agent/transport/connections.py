"""Ties the connections of `requests` to exchanges, so that their deadlines can cut them."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from typing import Any

import requests.adapters
import urllib3
import urllib3.connection

from agent.transport.exchange import Exchange


class CurrentExchange(threading.local):
    """Is the exchange that the calling thread works for."""

    exchange: Exchange | None = None


Connect = Callable[[Exchange, str, int], Any]


def make_pool(
    *,
    host: str,
    port: int,
    ssl_context: ssl.SSLContext | None,
    current: CurrentExchange,
    connect: Connect,
) -> urllib3.HTTPConnectionPool:
    """Return a pool that keeps one connection and opens it through `connect`."""

    def of_thread() -> Exchange:
        exchange = current.exchange
        if exchange is None:
            raise RuntimeError("connections are made inside an exchange")
        return exchange

    class PlainConnection(urllib3.connection.HTTPConnection):
        def _new_conn(self) -> Any:
            return connect(of_thread(), host, port)

        def request(self, *arguments: Any, **options: Any) -> None:
            _use(self, of_thread())
            super().request(*arguments, **options)

    class TlsConnection(urllib3.connection.HTTPSConnection):
        def _new_conn(self) -> Any:
            exchange = of_thread()
            sock = connect(exchange, host, port)
            exchange.stage = "agreeing on TLS"
            return sock

        def request(self, *arguments: Any, **options: Any) -> None:
            _use(self, of_thread())
            super().request(*arguments, **options)

    if ssl_context is None:
        plain = urllib3.HTTPConnectionPool(host, port, maxsize=1, block=False)
        plain.ConnectionCls = PlainConnection
        return plain
    pool = urllib3.HTTPSConnectionPool(host, port, maxsize=1, block=False, ssl_context=ssl_context)
    pool.ConnectionCls = TlsConnection
    return pool


def _use(connection: Any, exchange: Exchange) -> None:
    if connection.sock is not None and not exchange.is_fresh:
        exchange.watch(connection.sock)
    exchange.stage = "waiting for the answer"


class PlatformAdapter(requests.adapters.HTTPAdapter):
    """Sends everything through one pool, whatever the address of a request says."""

    def __init__(self, pool: urllib3.HTTPConnectionPool) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1)
        self._pool = pool

    def get_connection_with_tls_context(self, *_arguments: Any, **_options: Any) -> Any:
        """Return the one pool."""
        return self._pool

    def cert_verify(self, *_arguments: Any, **_options: Any) -> None:
        """Leave TLS as the pool's own context has it: requests would bring its own list of CAs."""

    def close(self) -> None:
        """Close what is kept open."""
        super().close()
        self._pool.close()
