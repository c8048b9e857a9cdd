"""Runs checks: chains beside each other, each check under a deadline of its own.

A check that hangs in the kernel or in the resolver cannot be ended: its thread is left behind, and
the result says that no answer came.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from agent.app.doctor.check import Check, Finding, Result, State, failed, skipped
from agent.errors import AgentError
from agent.model.clock import Clock

# With what is asked before the first check, the whole ends within a minute.
OVERALL_SECONDS = 45.0
_LATE = "look at what it waits for: the machine, the network or the device is stuck or overloaded"

Chain = Sequence[Check]
OnResult = Callable[[Result], None]


def run(
    chains: Sequence[Chain],
    *,
    clock: Clock,
    overall_seconds: float = OVERALL_SECONDS,
    on_result: OnResult = lambda _: None,
) -> list[Result]:
    """Return the results of every check, in the order of the chains.

    `on_result` is told each as it comes, from any thread, one at a time.
    """
    ends_seconds = clock.monotonic() + overall_seconds
    runs = [_ChainRun(chain, clock=clock, ends_seconds=ends_seconds) for chain in chains]
    lock = threading.Lock()

    def tell(result: Result) -> None:
        with lock:
            on_result(result)

    threads = [threading.Thread(target=each.run, args=(tell,), daemon=True) for each in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, ends_seconds - clock.monotonic()) + 1.0)
    return [result for each in runs for result in each.results()]


class _ChainRun:
    """Runs one chain in the thread that calls `run`."""

    def __init__(self, chain: Chain, *, clock: Clock, ends_seconds: float) -> None:
        self._chain = chain
        self._clock = clock
        self._ends_seconds = ends_seconds
        self._lock = threading.Lock()
        self._done: list[list[Result]] = []

    def run(self, tell: OnResult) -> None:
        """Run every check in its turn."""
        bad: dict[str, State] = {}
        for check in self._chain:
            missing = next((name for name in check.needs if name in bad), None)
            started = self._clock.monotonic()
            if missing is None:
                findings = self._look(check)
            else:
                findings = (skipped(f"needs {missing}, which is {bad[missing].value}"),)
            seconds = self._clock.monotonic() - started
            results = [_result(check, each, seconds=seconds) for each in findings]
            if any(each.state in {State.FAILED, State.SKIPPED} for each in findings):
                bad[check.name] = findings[0].state
            with self._lock:
                self._done.append(results)
            for result in results:
                tell(result)

    def results(self) -> list[Result]:
        """Return what is there by now, and for the rest that its turn did not come."""
        with self._lock:
            done = list(self._done)
        late = failed("its turn did not come in time", advice=_LATE)
        rest = [_result(check, late, seconds=0.0) for check in self._chain[len(done) :]]
        return [result for results in done for result in results] + rest

    def _look(self, check: Check) -> Sequence[Finding]:
        found: list[Sequence[Finding]] = []

        def work() -> None:
            found.append(_findings(check))

        thread = threading.Thread(target=work, name=f"doctor-{check.name}", daemon=True)
        seconds = min(check.deadline_seconds, self._ends_seconds - self._clock.monotonic())
        if seconds <= 0:
            return (failed("its turn did not come in time", advice=_LATE),)
        thread.start()
        thread.join(seconds)
        return found[0] if found else (failed(f"no answer within {seconds:.0f} s", advice=_LATE),)


def _findings(check: Check) -> Sequence[Finding]:
    try:
        found = check.look()
    except AgentError as error:
        return (failed(str(error), advice=getattr(error, "hint", None)),)
    except Exception as error:  # noqa: BLE001 - one check must not end the others
        advice = "this is a fault of the check itself: please report it with --bundle"
        return (failed(f"{type(error).__name__}: {error}", advice=advice),)
    return (found,) if isinstance(found, Finding) else tuple(found)


def _result(check: Check, finding: Finding, *, seconds: float) -> Result:
    return Result(
        name=check.name,
        subject=check.subject if finding.subject is None else finding.subject,
        state=finding.state,
        found=finding.found,
        advice=finding.advice,
        seconds=round(seconds, 2),
    )
