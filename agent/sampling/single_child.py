"""Asks one accelerator plugin a few questions in a child process, for a command, and ends it.

Unlike `AcceleratorHost` nothing is tried again and no thread is needed: whoever asks waits.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from agent.errors import AgentError, ReadingUnavailable
from agent.model.accelerator import ContainerGrant
from agent.model.view import PluginState
from agent.sampling import child_messages, child_process, file_messages, grant_messages
from agent.sampling.child_messages import Cards
from agent.sampling.child_process import ChildEnded, ChildProcess, DeadlineMissed
from agent.sampling.hosts import HostOptions
from agent.sampling.plugins import PluginPlan

RECORD_SECONDS = 60.0
_CLOSE_SECONDS = 1.0

_STATES = {
    child_messages.NOT_PRESENT: PluginState.ABSENT,
    child_messages.BROKEN: PluginState.BROKEN,
    child_messages.UNAVAILABLE: PluginState.FAILING,
}


class PluginFailed(AgentError):  # noqa: N818 - named by what the caller has to show
    """Says that a plugin gave no answer: show it in this state, for this reason."""

    def __init__(self, state: PluginState, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


class SingleChild:
    """Is one plugin in a child process of its own, from `with` to the end of the block.

    Entering starts the child and lets the plugin probe; with `replayed` the plugin reads these
    files in place of the machine. With `stays` one that finds nothing to read may be asked all the
    same, and `probed` says what it said. Every method, and entering, raises `PluginFailed`.
    """

    def __init__(
        self,
        plan: PluginPlan,
        *,
        options: HostOptions,
        replayed: Mapping[str, str] | None = None,
        stays: bool = False,
    ) -> None:
        self._plan = plan
        self._options = options
        self._replayed = replayed
        self._stays = stays
        self._requests = 0
        self._child: ChildProcess | None = None
        self._pipe: tuple[int, int] | None = None
        self.probed: PluginFailed | None = None

    def __enter__(self) -> SingleChild:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def read(self) -> Cards:
        """Return one pass over all cards."""
        with self._conversation(self._options.read_seconds) as deadline:
            self._ask({"op": child_messages.OP_READ}, deadline=deadline)
            answer = self._answer(child_messages.CARDS, deadline=deadline)
            return child_messages.decode_cards(answer, vendor=self._plan.name)

    def grant(self, uuids: Sequence[str]) -> ContainerGrant:
        """Return what a container needs to use these chips."""
        with self._conversation(self._options.read_seconds) as deadline:
            self._ask({"op": child_messages.OP_GRANT, "uuids": list(uuids)}, deadline=deadline)
            return grant_messages.decode(self._answer(child_messages.GRANT, deadline=deadline))

    def record(self, *, timeout_seconds: float = RECORD_SECONDS) -> dict[str, str]:
        """Return the vendor's raw answers as texts by file name, nothing redacted."""
        with self._conversation(timeout_seconds) as deadline:
            self._ask({"op": child_messages.OP_RECORD}, deadline=deadline)
            received = file_messages.ReceivedFiles()
            kinds = (file_messages.FILE, file_messages.FILES_END)
            while (answer := self._answer(*kinds, deadline=deadline))["kind"] == file_messages.FILE:
                received.add(answer)
            return received.files()

    def _start(self) -> None:
        # The child is told through a pipe that nobody waits any more. A command waits to its end.
        self._pipe = os.pipe()
        with self._conversation(self._options.probe_seconds) as deadline:
            pieces = None
            if self._replayed is not None:
                pieces = list(file_messages.pieces(self._replayed))
            self._child = ChildProcess(
                [self._plan.name],
                environment=child_process.environment({**os.environ, **self._options.environment}),
                interrupt_fd=self._pipe[0],
            )
            self._child.send(
                {
                    "target": self._plan.target,
                    "options": self._plan.options.to_json(),
                    "import_paths": self._options.import_paths,
                    "parent": os.getpid(),
                    "replays": pieces is not None,
                    "stays": self._stays,
                },
                deadline=deadline,
            )
            if pieces is not None:
                for piece in pieces:
                    self._child.send({"op": file_messages.FILE, **piece}, deadline=deadline)
                self._child.send({"op": file_messages.FILES_END}, deadline=deadline)
            try:
                self._answer(child_messages.READY, deadline=deadline)
            except PluginFailed as failed:
                if not self._stays or failed.state is PluginState.BROKEN:
                    raise
                self.probed = failed

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end(polite_seconds=_CLOSE_SECONDS)
        if self._pipe is not None:
            os.close(self._pipe[0])
            os.close(self._pipe[1])
            self._pipe = None

    def _ask(self, message: Mapping[str, Any], *, deadline: float) -> None:
        self._requests += 1
        self._running().send({**message, "id": self._requests}, deadline=deadline)

    def _answer(self, *kinds: str, deadline: float) -> dict[str, Any]:
        """Return the next message, which is of one of these kinds.

        Raises:
            PluginFailed: it says instead that there is no answer.
            ReadingUnavailable: it is of no kind that makes sense here.
        """
        answer = self._running().receive(deadline=deadline)
        given = answer.get("kind")
        state = _STATES.get(given) if isinstance(given, str) else None
        if state is not None:
            reason = child_messages.clean_text(answer.get("reason")) or "no reason given"
            hint = child_messages.clean_text(answer.get("hint"))
            raise PluginFailed(state, f"{reason}; {hint}" if hint else reason)
        if given not in kinds or (self._requests and answer.get("id") != self._requests):
            raise ReadingUnavailable("the plugin's process answered what was not asked")
        return answer

    def _running(self) -> ChildProcess:
        if self._child is None:
            raise PluginFailed(PluginState.FAILING, "the plugin's process has ended")
        return self._child

    @contextlib.contextmanager
    def _conversation(self, timeout_seconds: float) -> Iterator[float]:
        """Give the deadline of an exchange, and turn what may go wrong into a state."""
        try:
            yield time.monotonic() + timeout_seconds
        except DeadlineMissed as error:
            raise PluginFailed(
                PluginState.STALLED, f"no answer within {timeout_seconds:g} s"
            ) from error
        except ReadingUnavailable as error:
            raise PluginFailed(PluginState.FAILING, error.reason) from error
        except (ChildEnded, OSError) as error:
            raise PluginFailed(PluginState.FAILING, str(error)) from error
