"""The centre's interface: does the agent listen where monitoring platforms ask?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.app.doctor import device_api
from agent.app.doctor.check import Check, Finding, failed, ok
from agent.config.centre_settings import CentreSettings
from agent.config.kinds import split_listen

NAME = "centre api"


def check(settings: CentreSettings, *, status: Mapping[str, Any] | None) -> Check:
    """Return the check; `status` is that of the running agent, None where none answers."""

    def look() -> Finding:
        _, port = split_listen(settings.listen)
        if status is None or port == 0:
            return device_api.port_of_nobody(port, key="centre.listen")
        is_taken, process_id = device_api.listener_of(port)
        if not is_taken or status.get("query_api") is None:
            return failed(
                f"the agent runs, and does not listen on port {port}",
                advice="systemctl reload computility-agent; journalctl -u computility-agent -n 50",
            )
        if process_id is not None and process_id != status.get("pid"):
            return failed(
                f"port {port} belongs to {device_api.process_name(process_id)}, not to the agent",
                advice="end that program, then restart the agent",
            )
        return ok(f"the agent listens on {settings.listen}")

    return Check(name=NAME, look=look)
