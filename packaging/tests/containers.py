# ruff: noqa: INP001, T201 - a script, no module
"""Prints or removes the containers of an agent; runs on the Python of the package itself.

containers.py list|remove SOCKET INSTANCE
"""

from __future__ import annotations

import sys

import docker


def main(action: str, socket: str, instance: str) -> None:
    """Print id, state and time of the start of each container, or remove each with its image."""
    client = docker.APIClient(base_url=f"unix://{socket}")
    label = f"computility-agent.agent={instance}"
    for each in client.containers(all=True, filters={"label": label}):
        found = client.inspect_container(each["Id"])
        if action == "list":
            print(found["Id"], found["State"]["Status"], found["State"]["StartedAt"])
        else:
            client.remove_container(found["Id"], force=True)
            client.remove_image(found["Image"], force=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
