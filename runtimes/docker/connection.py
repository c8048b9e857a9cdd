"""The docker SDK's client, made when it is first needed and anew after a fault.

The version of the API is never pinned: the client asks the engine once and takes the newest that
both know.
"""

from __future__ import annotations

import socket as socket_module
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from agent.errors import AgentError, PermanentError, TransientError

if TYPE_CHECKING:
    import docker

_Answer = TypeVar("_Answer")
_MESSAGE_CHARACTERS = 600
_CHAIN_LENGTH = 16


class EngineRefusal(AgentError):  # noqa: N818 - the engine's decision, not a fault of ours
    """Says that the engine understood a call and refused it; never leaves this package.

    `status` is the HTTP status, `message` the engine's own text, cut to a length fit for a log.
    """

    def __init__(self, *, status: int, message: str) -> None:
        self.status = status
        self.message = short(message)
        super().__init__(f"the engine answered {status}: {self.message}")

    def as_error(self, *, doing: str) -> TransientError | PermanentError:
        """Return the error that a caller of the runtime gets."""
        text = f"{doing}: the engine answered {self.status}: {self.message}"
        # 409: it is at something else with the same container; 429: it is busy.
        if self.status >= 500 or self.status in (408, 409, 429):
            return TransientError(text)
        return PermanentError(text)


def short(message: str) -> str:
    """Return a text of the engine on one line, cut."""
    line = " ".join(message.split())
    return line if len(line) <= _MESSAGE_CHARACTERS else line[:_MESSAGE_CHARACTERS] + "…"


def unreachable(error: BaseException, *, socket: str) -> TransientError:
    """Return an error that says what is wrong with the way to the engine, and what to do."""
    for cause in _chain(error):
        if isinstance(cause, FileNotFoundError):
            return TransientError(
                f"no engine listens at {socket}: is docker installed and running "
                "(systemctl status docker), and is runtime.socket right?"
            )
        if isinstance(cause, PermissionError):
            return TransientError(
                f"this user may not open {socket}: run the agent as root, or add its user to the "
                "group that owns the socket (usermod -aG docker USER)"
            )
        if isinstance(cause, ConnectionRefusedError):
            return TransientError(
                f"nothing answers at {socket}: start docker (systemctl start docker)"
            )
        if isinstance(cause, TimeoutError):
            return TransientError(
                f"the engine at {socket} did not answer in time: it hangs or is overloaded "
                "(journalctl -u docker)"
            )
    return TransientError(f"the connection to the engine at {socket} broke: {short(repr(error))}")


class EngineConnection:
    """Holds the client for calls that are answered at once; safe in every thread.

    `socket` is an address such as unix:///var/run/docker.sock. Each wait for the engine ends after
    `timeout_seconds`.
    """

    def __init__(self, socket: str, *, timeout_seconds: float) -> None:
        self._socket = socket
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._client: docker.APIClient | None = None
        self._closed = threading.Event()

    def call(self, action: Callable[[docker.APIClient], _Answer]) -> _Answer:
        """Return what the engine answers to a call.

        Raises:
            EngineRefusal: the engine refused.
            TransientError: it could not be reached, did not answer, or this was closed.
        """
        import docker.errors

        self._knock()
        client = self._connected()
        try:
            return action(client)
        except docker.errors.APIError as error:
            refusal = _refusal(error)
            if refusal.status != 400:
                raise refusal from error
        except _transport_faults() as error:
            self._forget(client)
            raise unreachable(error, socket=self._socket) from error
        # An engine that was replaced by another version meanwhile says 400 to everything.
        self._forget(client)
        fresh = self._connected()
        if fresh.api_version == client.api_version:
            raise refusal
        try:
            return action(fresh)
        except docker.errors.APIError as error:
            raise _refusal(error) from error
        except _transport_faults() as error:
            self._forget(fresh)
            raise unreachable(error, socket=self._socket) from error

    def close(self) -> None:
        """Close the client; later calls raise TransientError."""
        with self._lock:
            self._closed.set()
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _knock(self) -> None:
        """Raise TransientError where nobody listens.

        The SDK leaves its socket open each time that it cannot connect.
        """
        with socket_module.socket(socket_module.AF_UNIX, socket_module.SOCK_STREAM) as probe:
            probe.settimeout(self._timeout_seconds)
            try:
                probe.connect(self._socket.removeprefix("unix://"))
            except OSError as error:
                raise unreachable(error, socket=self._socket) from error

    def _connected(self) -> docker.APIClient:
        import docker
        import docker.errors

        with self._lock:
            if self._closed.is_set():
                raise TransientError("the runtime was closed")
            if self._client is not None:
                return self._client
        # Outside the lock: an engine that hangs must not hold up close().
        try:
            client = docker.APIClient(base_url=self._socket, timeout=self._timeout_seconds)  # type: ignore[arg-type]  # the stubs say int; requests takes both
        except docker.errors.InvalidVersion as error:
            raise TransientError(
                f"the engine at {self._socket} is too old for this program: install docker 20.10 "
                "or newer"
            ) from error
        except _transport_faults() as error:
            raise unreachable(error, socket=self._socket) from error
        # Nothing of the environment (a proxy, a .netrc) is meant for a socket of this node.
        client.trust_env = False
        with self._lock:
            if not self._closed.is_set():
                # Of two threads that came here together, the later one's client is kept.
                self._client = client
        return client

    def _forget(self, client: docker.APIClient) -> None:
        with self._lock:
            if self._client is client:
                self._client = None
        client.close()


def _transport_faults() -> tuple[type[Exception], ...]:
    """Return what the SDK raises where the engine did not answer properly.

    The SDK lets its transport's own errors through, and those of empty bodies (ValueError); over
    an answer that is JSON of another shape it trips.
    """
    import http.client

    import docker.errors
    import requests.exceptions
    import urllib3.exceptions

    return (
        docker.errors.DockerException,
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    )


def _refusal(error: docker.errors.APIError) -> EngineRefusal:
    explanation: object = error.explanation
    if isinstance(explanation, bytes):
        explanation = explanation.decode("utf-8", errors="replace")
    return EngineRefusal(status=error.status_code or 500, message=str(explanation or error))


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and what caused it; urllib3 and requests hide causes among arguments.

    A time-out of theirs stands for TimeoutError.
    """
    import requests.exceptions
    import urllib3.exceptions

    found: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting and len(found) < _CHAIN_LENGTH:
        current = waiting.pop()
        if any(current is seen for seen in found):
            continue
        if isinstance(current, (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError)):
            found.append(TimeoutError())
        found.append(current)
        following = [current.__cause__, current.__context__, *current.args]
        waiting.extend(item for item in following if isinstance(item, BaseException))
    return found
