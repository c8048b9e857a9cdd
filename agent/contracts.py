"""What a plugin must be.

The contracts are structural: a plugin inherits from nothing. It imports `agent.contracts`,
`agent.model` and `agent.errors` and no other module of the agent, and is found through an entry
point of the group named with each contract; the entry point's name is its name in the
configuration. More ability is another small contract, never a method that raises "not supported".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from agent.model.accelerator import Accelerator, AcceleratorReading, ContainerGrant
from agent.model.readings import Reading

COLLECTORS = "computility_agent.collectors"
ACCELERATORS = "computility_agent.accelerators"


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
