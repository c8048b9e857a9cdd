"""What a plugin must be.

The contracts are structural: a plugin inherits from nothing. It imports `agent.contracts`,
`agent.model` and `agent.errors` and no other module of the agent, and is found through an entry
point of the group named with each contract; the entry point's name is its name in the
configuration. More ability is another small contract, never a method that raises "not supported".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from agent.model.accelerator import Accelerator, AcceleratorReading, ContainerGrant
from agent.model.metering import MeterReading, RegisterTraits
from agent.model.readings import Reading
from agent.model.workloads import Container, ContainerSpec, ContainerUsage

COLLECTORS = "computility_agent.collectors"
ACCELERATORS = "computility_agent.accelerators"
METERS = "computility_agent.meters"
RUNTIMES = "computility_agent.runtimes"


class Plugin(Protocol):
    """Is what every plugin offers.

    It is built with one argument, an instance of `config_type`: a frozen dataclass, each field
    with a default, made from the plugin's own section of the configuration.
    """

    name: ClassVar[str]
    config_type: ClassVar[type[Any]]

    def probe(self) -> None:
        """Return if what the plugin reads is on this machine.

        Cheap and without side effects.

        Raises:
            NotPresent: it is not here; with a hint where an operator could mend it.
        """

    def close(self) -> None:
        """Release everything; may be called twice."""


class Collector(Plugin, Protocol):
    """Reads one aspect of this node (group `computility_agent.collectors`).

    It runs in a thread of its own in the daemon; it must not hang on a dead device.
    """

    def collect(self) -> Sequence[Reading]:
        """Return the readings of now.

        Raises:
            ReadingUnavailable: nothing could be read this time.
        """


class AcceleratorPlugin(Plugin, Protocol):
    """Reads all cards of one vendor (group `computility_agent.accelerators`).

    It runs in a child process of its own and may block, hang or crash there: the agent gives each
    pass a deadline, kills the child that misses it, and starts it again with backoff.
    """

    def list_accelerators(self) -> Sequence[Accelerator]:
        """Return every chip in the tool's own order, sick ones included.

        Raises:
            ReadingUnavailable: the vendor's interface gave no list.
        """

    def read(self) -> Sequence[AcceleratorReading]:
        """Return one reading of each chip, in one pass over all cards.

        A value that cannot be read is None with its reason in `unknown`; it never costs another
        value, another card, or the list.

        Raises:
            ReadingUnavailable: the vendor's interface as a whole did not answer.
        """


@runtime_checkable
class GrantsToContainers(Protocol):
    """Is the ability to hand accelerators to a container."""

    def grant(self, uuids: Sequence[str]) -> ContainerGrant:
        """Return what a container needs to use these chips; [] gives an empty grant.

        Raises:
            ReadingUnavailable: a chip of these is not there, or what it needs cannot be told.
        """


@runtime_checkable
class Records(Protocol):
    """Is the ability to write down the vendor's raw answers for a bug report."""

    def record(self) -> Mapping[str, str]:
        """Return raw answers as texts by file name, nothing redacted; one pass over everything.

        Raises:
            ReadingUnavailable: neither tool nor library answered.
        """


class Replays(Protocol):
    """Is the ability to read such a recording in place of the machine."""

    @classmethod
    def replay(cls, config: Any, files: Mapping[str, str]) -> AcceleratorPlugin:
        """Return a plugin that reads these files and touches nothing of this machine.

        Raises:
            PermanentError: the files are no recording of this plugin.
        """


class Meter(Plugin, Protocol):
    """Reads one meter (group `computility_agent.meters`, by the kind of meter).

    It runs in a thread of its own and may block, to deadlines of its own; its `config_type` holds
    what finds the meter.
    """

    def read(self) -> MeterReading:
        """Return what the meter says now; the register first, the power if it tells it.

        Raises:
            ReadingUnavailable: the meter did not answer, or answered nothing that can be believed.
        """


@runtime_checkable
class HasTraits(Protocol):
    """Is the ability of a meter to tell what its register is like."""

    def traits(self) -> RegisterTraits:
        """Return what is known of the register; may know more after a reading."""


@runtime_checkable
class RemembersReadings(Protocol):
    """Is the ability of a meter to tell earlier readings too, as a file of them can."""

    def read_all(self) -> Sequence[MeterReading]:
        """Return every reading, by time; the same object until one of them is new.

        Raises:
            ReadingUnavailable: there is none.
        """


class Runtime(Plugin, Protocol):
    """Runs containers (group `computility_agent.runtimes`).

    Every method may block, to a deadline of its own, and may be called from several threads.
    Every method is idempotent: called again after a crash in the middle, it ends in the same
    state. A container of others, one without the label `computility-agent.service`, is never
    listed and never touched.

    All methods raise TransientError where the engine cannot be reached, or did not answer in
    time, or says that it cannot now; and PermanentError where it refuses what it was given.
    """

    def has_image(self, reference: str) -> bool:
        """Tell whether the engine has an image under this reference; never asks a registry."""

    def load_image(self, archive: Iterable[bytes], *, reference: str) -> None:
        """Load a docker archive whose one image is tagged `reference`; return once it is there.

        The chunks are read once. An engine that goes on after a time-out of ours is waited for.
        """

    def remove_image(self, reference: str) -> None:
        """Take the reference away, and the image with it where nothing else uses it."""

    def start(self, spec: ContainerSpec) -> str:
        """Make and start a container; return its id.

        Where one of this name with these labels is there, it is started and its id returned; one
        that was made and could not be started is removed before the error is raised. The engine
        itself starts it again after a crash, with a backoff, and after its own restart.
        """

    def recover(self, container_id: str) -> None:
        """Start a container that is there and does not run.

        Raises:
            PermanentError: it is gone or dead, or cannot be started as it is: make another.
        """

    def inspect(self, container_id: str) -> Container | None:
        """Return what a container does now, None where it is gone."""

    def list_owned(self) -> Sequence[Container]:
        """Return every container with the label `computility-agent.service`, stopped ones too."""

    def stop(self, container_id: str, *, timeout_seconds: float) -> None:
        """Stop a container, after the timeout by force, and remove it; one that is gone is fine."""

    def logs(self, container_id: str, *, tail_lines: int, follow: bool) -> Iterator[bytes]:
        """Yield the last lines of output and of errors, in their order, as chunks of bytes.

        With `follow`, whatever is written later too, until the container ends or the iterator is
        closed.
        """

    def usage(self, container_id: str) -> ContainerUsage:
        """Return what a container uses now, without waiting for the engine to measure."""

    def changes(self) -> Iterator[None]:
        """Yield each time that something may have changed with containers of ours, or with images.

        Ends without an error when the engine's stream ends or the runtime is closed; whoever
        listens then looks at everything and calls it again.
        """

    def describe(self, spec: ContainerSpec) -> Mapping[str, Any]:
        """Return, as JSON, exactly what the engine would be sent; asks nobody."""
