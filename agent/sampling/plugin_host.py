"""Runs one accelerator plugin, in a child process: `python -I -m agent.sampling.plugin_host NAME`.

The first line on standard input says which plugin (`child_messages` has the words), each later one
asks for a reading. Answers leave through what was standard output when the process began; from
then on file descriptor 1 is standard error, because vendors' libraries print. The process is
imported for one vendor's sake, so this file imports as little as it can.

It never outlives its parent: at the end of standard input it kills its own process group, vendor
tools that it started included.
"""

from __future__ import annotations

import gc
import os
import queue
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from agent.errors import ConfigError, NotPresent, ReadingUnavailable
from agent.sampling import child_messages, entry_points

if TYPE_CHECKING:
    from agent.contracts import AcceleratorPlugin

_PR_SET_PDEATHSIG = 1
_MAX_START_BYTES = 1 << 20


class Channel:
    """Is the way to the daemon; `receive` blocks, and only the main thread uses it."""

    def __init__(self) -> None:
        self._answers = os.dup(1)  # not inherited by vendor tools
        os.dup2(2, 1)
        self._requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="requests", daemon=True).start()

    def send(self, kind: str, **body: Any) -> None:
        """Send one message."""
        line = child_messages.encode_line({"version": child_messages.VERSION, "kind": kind, **body})
        while line:
            line = line[os.write(self._answers, line) :]

    def receive(self) -> dict[str, Any]:
        """Return the next request."""
        return self._requests.get()

    def _listen(self) -> None:
        """Pass requests on; at their end the daemon is gone or done with this process."""
        try:
            while line := sys.stdin.buffer.readline(_MAX_START_BYTES):
                self._requests.put(child_messages.decode_line(line))
        finally:
            _end()


def main() -> None:
    """Run the plugin until the daemon says `close`, or is gone."""
    # With systemd's default a stop signals the whole service. The daemon decides when this ends;
    # a handler, unlike SIG_IGN, is not handed on to vendor tools.
    signal.signal(signal.SIGTERM, lambda *_: None)
    channel = Channel()
    start = channel.receive()
    _die_with(start["parent"])
    sys.path += start["import_paths"]
    plugin = _open(channel, start)
    if plugin is not None:
        gc.collect()
        gc.freeze()  # what a start leaves lives on: no later collection needs to walk it
        _serve(channel, plugin)
    sys.stderr.flush()
    # Not sys.exit: a vendor's exit handlers and threads may hang.
    os._exit(0)


def _open(channel: Channel, start: dict[str, Any]) -> AcceleratorPlugin | None:
    """Import, build and probe the plugin, and say how it went; None where it cannot run."""
    try:
        plugin_type = entry_points.load(start["target"])
        config = _config(plugin_type.config_type, start["options"])
    except ConfigError as error:
        channel.send(child_messages.BROKEN, reason="; ".join(map(str, error.problems)))
        return None
    except BaseException as error:  # noqa: BLE001 - the border to code of somebody else
        channel.send(child_messages.BROKEN, reason=f"it cannot be loaded: {_described(error)}")
        return None
    try:
        plugin: AcceleratorPlugin = plugin_type(config)
        plugin.probe()
    except NotPresent as error:
        channel.send(child_messages.NOT_PRESENT, reason=error.reason, hint=error.hint)
        return None
    except BaseException as error:  # noqa: BLE001 - likewise
        channel.send(child_messages.UNAVAILABLE, **_failure(error))
        return None
    channel.send(child_messages.READY)
    return plugin


def _serve(channel: Channel, plugin: AcceleratorPlugin) -> None:
    while (request := channel.receive()).get("op") == child_messages.OP_READ:
        try:
            cards = child_messages.encode_cards(plugin.list_accelerators(), plugin.read())
            channel.send(child_messages.CARDS, id=request["id"], **cards)
        except NotPresent as error:
            channel.send(
                child_messages.NOT_PRESENT, id=request["id"], reason=error.reason, hint=error.hint
            )
            break
        except BaseException as error:  # noqa: BLE001 - likewise
            channel.send(child_messages.UNAVAILABLE, id=request["id"], **_failure(error))
    plugin.close()


def _config(config_type: type[Any], options: dict[str, Any]) -> Any:
    """Return the plugin's own configuration.

    Raises:
        ConfigError: the section does not fit; with the place of every problem.
    """
    if not options["values"]:
        return config_type()  # all defaults: the checker and its imports are not needed
    from agent.config.kinds import RawSection
    from agent.config.plugin_config import build_plugin_config

    return build_plugin_config(config_type, RawSection.from_json(options))


def _failure(error: BaseException) -> dict[str, str | None]:
    if isinstance(error, ReadingUnavailable):
        return {"reason": error.reason, "hint": error.hint}
    return {"reason": _described(error), "hint": None}


def _described(error: BaseException) -> str:
    """Return an unexpected error in one line, with the place where it was raised."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        place = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
        trace = trace.tb_next
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - its own __str__ may be broken too
        text = ""
    return f"{type(error).__name__}: {text}"[: child_messages.MAX_REASON_CHARACTERS] + place


def _die_with(parent: int) -> None:
    """Let the kernel end this process some seconds after its parent's death.

    The end of standard input does so at once, and takes vendor tools along, but needs the
    interpreter; a driver that hangs may hold that for ever. The signal's handler is the C function
    `alarm`, which is called with the signal's number as the seconds to live.
    """
    import ctypes

    libc = ctypes.CDLL(None)
    libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    libc.signal.restype = ctypes.c_void_p
    libc.signal(signal.SIGUSR1.value, ctypes.cast(libc.alarm, ctypes.c_void_p))
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1.value, 0, 0, 0)
    if os.getppid() != parent:  # it died before it was asked for
        _end()


def _end() -> None:
    """End now, with all that this process started; the main thread may be in a dead driver."""
    if os.getpgrp() == os.getpid():  # not so where somebody tries this module by hand
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
