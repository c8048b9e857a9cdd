"""The names and labels that our containers carry, and how they are read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.model.workloads import AcceleratorAssignment

PACKAGE = "computility-agent.package"
SERVICE = "computility-agent.service"
REPLICA = "computility-agent.replica"
AGENT = "computility-agent.agent"
GENERATION = "computility-agent.generation"
ACCELERATORS = "computility-agent.accelerators"


def container_name(service_id: str, *, replica: int) -> str:
    """Return the name of a replica's container, unique on this node."""
    return f"computility-{service_id}-{replica}"


def join_accelerators(accelerators: Sequence[AcceleratorAssignment]) -> str:
    """Return the value of the label `ACCELERATORS`."""
    return ",".join(f"{each.vendor}:{each.uuid}" for each in accelerators)


def accelerators_of(labels: Mapping[str, str]) -> tuple[AcceleratorAssignment, ...]:
    """Return the chips that a container was given; what is no chip's name is left out."""
    words = labels.get(ACCELERATORS, "").split(",")
    pairs = (word.partition(":") for word in words)
    return tuple(
        AcceleratorAssignment(vendor=vendor, uuid=uuid) for vendor, _, uuid in pairs if uuid
    )


def replica_of(labels: Mapping[str, str]) -> int | None:
    """Return which replica a container is, None where its label does not say."""
    text = labels.get(REPLICA, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
