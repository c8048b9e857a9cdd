"""The daemon's side of one accelerator plugin: keeps its child process, asks it, ends it.

Nothing here happens by itself: each request makes one pass, and a child that has to be started
again, or looked for again, waits for the first request after its time. So a plugin that rests
costs no wake-up, and one that hangs blocks nobody but its own thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.errors import ReadingUnavailable
from agent.model.clock import Clock
from agent.model.view import PluginState, PluginStatus
from agent.sampling import child_messages, child_process
from agent.sampling.backoff import Backoff
from agent.sampling.child_messages import Cards
from agent.sampling.child_process import ChildEnded, ChildProcess, DeadlineMissed, Interrupted
from agent.sampling.plugins import PluginPlan
from agent.sampling.status import StatusKeeper
from agent.sampling.worker import Worker

# Longer than a vendor's tool gets (10 s): a plugin that has ended its tool can still say so.
PROBE_SECONDS = 15.0
READ_SECONDS = 15.0
# A search is a process, for each of a dozen vendors: changed hardware is the reason for one, and
# the clock only for a tool that was installed beside a driver that was there already.
SEARCH_SECONDS = 1800.0
SEARCH_MOST_SECONDS = 6 * 3600.0
_CLOSE_SECONDS = 1.0

# A driver that was loaded anew is seen only by a new process.
_FAILURES_UNTIL_RESTART = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorSnapshot:
    """Holds what a plugin last gave; `cards` is None where there are none to speak of.

    `measured_monotonic_seconds` is when the values were asked for: none of them is older.
    `took_seconds` is how long the answer took.
    """

    status: PluginStatus
    cards: Cards | None
    measured_monotonic_seconds: float
    took_seconds: float = 0.0


class AcceleratorHost:
    """Runs one accelerator plugin in a child process; every method returns at once but `stop`.

    Each exchange with the child has a deadline. Missing it costs the child its life, with all
    that it started; it is started again after a backoff. `import_paths` is appended to the
    child's module search path: an installed agent needs none, since the child runs the same
    interpreter, isolated from PYTHONPATH like the daemon itself. A plugin whose card is not here is
    looked for again once the mark that `hardware` gives has changed, and otherwise after half an
    hour at first, after six hours in the end. `starting` bounds how many children start at once.
    """

    def __init__(
        self,
        plan: PluginPlan,
        *,
        clock: Clock,
        on_done: Callable[[], None] = lambda: None,
        import_paths: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        probe_seconds: float = PROBE_SECONDS,
        read_seconds: float = READ_SECONDS,
        hardware: Callable[[], int] = lambda: 0,
        starting: threading.Semaphore | None = None,
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._import_paths = tuple(import_paths)
        self._environment = child_process.environment({**os.environ, **(environment or {})})
        self._probe_seconds = probe_seconds
        self._read_seconds = read_seconds
        self._keeper = StatusKeeper(group=plan.group, name=plan.name, clock=clock)
        self._cards: Cards | None = None
        self._measured_monotonic_seconds = clock.monotonic()
        self._took_seconds = 0.0
        self._snapshot = AcceleratorSnapshot(
            status=self._keeper.status,
            cards=None,
            measured_monotonic_seconds=self._measured_monotonic_seconds,
        )
        self._interrupted_fd = self._interrupt_fd = -1
        self._child: ChildProcess | None = None
        self._stuck: ChildProcess | None = None
        self._requests = 0
        self._not_before = clock.monotonic()
        self._retry = Backoff(first_seconds=2.0, most_seconds=120.0)
        self._search = Backoff(first_seconds=SEARCH_SECONDS, most_seconds=SEARCH_MOST_SECONDS)
        self._hardware = hardware
        self._absent_on: int | None = None
        self._starting = starting or threading.Semaphore()
        self._worker = Worker(
            name=f"accelerators-{plan.name}",
            clock=clock,
            work=self._pass,
            clean_up=self._clean_up,
            on_done=on_done,
        )

    @property
    def plan(self) -> PluginPlan:
        """Is what this host was started with."""
        return self._plan

    def start(self) -> None:
        """Start the thread; the child starts with the first request."""
        self._interrupted_fd, self._interrupt_fd = os.pipe()
        self._worker.start()

    def request(self) -> None:
        """Ask for new values."""
        self._worker.request()

    def is_busy(self) -> bool:
        """Return whether a request is not done yet."""
        return self._worker.busy_seconds() is not None

    def snapshot(self) -> AcceleratorSnapshot:
        """Return the last values and the state of now."""
        return self._snapshot

    def stop(self, *, timeout_seconds: float) -> None:
        """End the child and the thread; may be called twice."""
        if self._interrupt_fd >= 0:
            os.close(self._interrupt_fd)  # the other end becomes readable for good
            self._interrupt_fd = -1
        self._worker.stop(timeout_seconds=timeout_seconds)

    def _clean_up(self) -> None:
        if self._child is not None:
            self._child.end(polite_seconds=_CLOSE_SECONDS)
            self._child = None
        os.close(self._interrupted_fd)

    def _pass(self) -> None:
        if self._stuck is not None and self._stuck.is_gone():
            self._stuck = None
        if self._stuck is not None or self._is_resting():
            return
        try:
            if self._child is not None or self._open():
                self._read()
        except Interrupted:
            self._drop_child()
        except DeadlineMissed:
            waited_seconds = self._probe_seconds if self._requests == 0 else self._read_seconds
            self._fail(PluginState.STALLED, f"no answer within {waited_seconds:g} s")
        except (ChildEnded, ReadingUnavailable, OSError) as error:
            self._fail(PluginState.FAILING, str(error))

    def _is_resting(self) -> bool:
        if self._clock.monotonic() >= self._not_before:
            return False
        return self._absent_on is None or self._absent_on == self._hardware()

    def _open(self) -> bool:
        """Start the child and let it probe; return whether it is ready to be read.

        A dozen interpreters that start at one time would starve a small box; one that waits too
        long for its turn takes it.

        Raises:
            DeadlineMissed, ChildEnded, Interrupted, ReadingUnavailable: see `ChildProcess`.
            OSError: no process can be started.
        """
        self._requests = 0
        self._absent_on = None
        has_turn = self._starting.acquire(timeout=self._probe_seconds)
        try:
            return self._start_and_probe()
        finally:
            if has_turn:
                self._starting.release()

    def _start_and_probe(self) -> bool:
        self._child = ChildProcess(
            [self._plan.name],
            environment=self._environment,
            interrupt_fd=self._interrupted_fd,
        )
        start = {
            "target": self._plan.target,
            "options": self._plan.options.to_json(),
            "import_paths": self._import_paths,
            "parent": os.getpid(),
        }
        answer = self._child.exchange(start, timeout_seconds=self._probe_seconds)
        if answer.get("version") != child_messages.VERSION:
            raise ReadingUnavailable(
                "the plugin's process is of another version: restart the agent"
            )
        return self._is_kind(answer, child_messages.READY)

    def _read(self) -> None:
        """Read the cards once.

        Raises:
            As `_open`.
        """
        if self._child is None:
            return
        self._requests += 1
        asked = self._clock.monotonic()
        answer = self._child.exchange(
            {"op": child_messages.OP_READ, "id": self._requests},
            timeout_seconds=self._read_seconds,
        )
        if answer.get("id") != self._requests:
            raise ReadingUnavailable("the plugin's process answered what was not asked")
        if self._is_kind(answer, child_messages.CARDS):
            cards = child_messages.decode_cards(answer, vendor=self._plan.name)
            self._retry.reset()
            self._search.reset()
            self._cards, self._measured_monotonic_seconds = cards, asked
            self._took_seconds = self._clock.monotonic() - asked
            self._enter(PluginState.ACTIVE, None)

    def _is_kind(self, answer: Mapping[str, object], kind: str) -> bool:
        """Return whether the answer is of this kind; act on one that says it cannot be.

        Raises:
            ReadingUnavailable: it is of no kind that makes sense here.
        """
        given = answer.get("kind")
        if given == kind:
            return True
        detail = child_messages.clean_text(answer.get("reason")) or "no reason given"
        hint = child_messages.clean_text(answer.get("hint"))
        if hint:
            detail += f"; {hint}"
        if given == child_messages.NOT_PRESENT:
            self._absent(detail)
        elif given == child_messages.BROKEN:
            self._drop_child()
            self._not_before = float("inf")
            self._enter(PluginState.BROKEN, detail)
        elif given == child_messages.UNAVAILABLE:
            self._unavailable(detail, probing=kind == child_messages.READY)
        else:
            raise ReadingUnavailable("the plugin's process sent a message of no known kind")
        return False

    def _absent(self, detail: str) -> None:
        self._drop_child()
        self._cards = None
        self._not_before = self._clock.monotonic() + self._search.next_seconds()
        self._absent_on = self._hardware()
        if self._plan.enabled is True:
            # The operator insists that it is here, so its absence is a fault.
            self._enter(PluginState.FAILING, f"enabled is true, but {detail}")
        else:
            self._enter(PluginState.ABSENT, detail)

    def _unavailable(self, detail: str, *, probing: bool) -> None:
        """Note that the plugin itself said that it cannot read; its process may be sound."""
        self._not_before = self._clock.monotonic() + self._retry.next_seconds()
        if probing or self._retry.failures >= _FAILURES_UNTIL_RESTART:
            self._drop_child()
        self._enter(PluginState.FAILING, detail)

    def _fail(self, state: PluginState, detail: str) -> None:
        """End the child and try again later."""
        child = self._child
        complaint = child.complaint() if child and state is PluginState.STALLED else None
        self._drop_child()
        self._not_before = self._clock.monotonic() + self._retry.next_seconds()
        if complaint:
            detail += f": {complaint}"
        if self._stuck is not None:
            state = PluginState.STALLED
            detail += f"; its process {self._stuck.pid} hangs in the kernel and cannot be killed"
        self._enter(state, detail)

    def _drop_child(self) -> None:
        child, self._child = self._child, None
        if child is not None and not child.end():
            self._stuck = child

    def _enter(self, state: PluginState, detail: str | None) -> None:
        self._keeper.set(state, detail)
        self._snapshot = AcceleratorSnapshot(
            status=self._keeper.status,
            cards=self._cards,
            measured_monotonic_seconds=self._measured_monotonic_seconds,
            took_seconds=self._took_seconds,
        )
