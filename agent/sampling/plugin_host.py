"""Runs one accelerator plugin, in a child process: `python -I -m agent.sampling.plugin_host NAME`.

The first line on standard input says which plugin (`child_messages` has the words), each later one
asks for a reading, a recording or a container grant. Answers leave through what was standard
output when the process began; from then on file descriptor 1 is standard error, because vendors'
libraries print. The process is imported for one vendor's sake, so this file imports as little as
it can.

It never outlives its parent: at the end of standard input it kills its own session, vendor
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

from agent.errors import ConfigError, NotPresent, PermanentError, ReadingUnavailable
from agent.sampling import child_messages, entry_points
from agent.sampling.sessions import kill_session

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
    """Import, build and probe the plugin, and say how it went; None where it cannot run.

    With `replays` in the start message a recording follows it, and the plugin reads that. With
    `stays` it may be asked on though nothing is there to read: for a recording of just that.
    """
    try:
        plugin_type = entry_points.load(start["target"])
        config = _config(plugin_type.config_type, start["options"])
    except ConfigError as error:
        channel.send(child_messages.BROKEN, reason="; ".join(map(str, error.problems)))
        return None
    except BaseException as error:  # noqa: BLE001 - the border to code of somebody else
        channel.send(child_messages.BROKEN, reason=f"it cannot be loaded: {_described(error)}")
        return None
    plugin: AcceleratorPlugin | None = None
    try:
        if start.get("replays"):
            plugin = _replayed(channel, plugin_type, config)
        else:
            plugin = plugin_type(config)
        plugin.probe()
    except NotPresent as error:
        channel.send(child_messages.NOT_PRESENT, reason=error.reason, hint=error.hint)
        return plugin if start.get("stays") else None
    except BaseException as error:  # noqa: BLE001 - likewise
        channel.send(child_messages.UNAVAILABLE, **_failure(error))
        return plugin if start.get("stays") else None
    channel.send(child_messages.READY)
    return plugin


def _serve(channel: Channel, plugin: AcceleratorPlugin) -> None:
    answers = {
        child_messages.OP_READ: _read,
        child_messages.OP_GRANT: _grant,
        child_messages.OP_RECORD: _record,
    }
    while (answer := answers.get((request := channel.receive()).get("op", ""))) is not None:
        try:
            answer(channel, plugin, request)
        except NotPresent as error:
            channel.send(
                child_messages.NOT_PRESENT, id=request["id"], reason=error.reason, hint=error.hint
            )
            break
        except BaseException as error:  # noqa: BLE001 - likewise
            channel.send(child_messages.UNAVAILABLE, id=request["id"], **_failure(error))
    plugin.close()


def _read(channel: Channel, plugin: AcceleratorPlugin, request: dict[str, Any]) -> None:
    cards = child_messages.encode_cards(plugin.list_accelerators(), plugin.read())
    channel.send(child_messages.CARDS, id=request["id"], **cards)


def _grant(channel: Channel, plugin: AcceleratorPlugin, request: dict[str, Any]) -> None:
    from agent.contracts import GrantsToContainers
    from agent.sampling import grant_messages

    if not isinstance(plugin, GrantsToContainers):
        raise ReadingUnavailable("this plugin cannot hand its cards to a container")
    grant = grant_messages.encode(plugin.grant(request["uuids"]))
    channel.send(child_messages.GRANT, id=request["id"], **grant)


def _record(channel: Channel, plugin: AcceleratorPlugin, request: dict[str, Any]) -> None:
    from agent.contracts import Records
    from agent.sampling import file_messages

    if not isinstance(plugin, Records):
        raise ReadingUnavailable("this plugin cannot record")
    # All pieces are checked before the first is sent: half a recording would be taken for one.
    for piece in list(file_messages.pieces(plugin.record())):
        channel.send(file_messages.FILE, id=request["id"], **piece)
    channel.send(file_messages.FILES_END, id=request["id"])


def _replayed(channel: Channel, plugin_type: type[Any], config: Any) -> AcceleratorPlugin:
    """Take the recording that follows the start, and return the plugin that reads it.

    Raises:
        ReadingUnavailable: the plugin cannot, or the files are no recording of it.
    """
    from agent.sampling import file_messages

    received = file_messages.ReceivedFiles()
    while (message := channel.receive()).get("op") == file_messages.FILE:
        received.add(message)
    if not hasattr(plugin_type, "replay"):
        raise ReadingUnavailable("this plugin cannot read recordings")
    try:
        plugin: AcceleratorPlugin = plugin_type.replay(config, received.files())
    except PermanentError as error:
        raise ReadingUnavailable(error.reason) from error
    return plugin


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
    if os.getsid(0) == os.getpid():  # not so where somebody tries this module by hand
        kill_session(os.getpid())
    os._exit(1)


if __name__ == "__main__":
    main()
