"""Sets up the log of the daemon: standard error, as text or as one JSON document a line."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import datetime, timezone

from agent.config.settings import LogSettings

# Levels of syslog(3), which the journal reads from the start of a line (sd-daemon(3)).
_SYSLOG_LEVELS = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}


class TextFormatter(logging.Formatter):
    """Writes a line that a person reads; for the journal, which stamps the time, without it."""

    def __init__(self, *, to_journal: bool) -> None:
        super().__init__("%(levelname)s %(name)s %(message)s" if to_journal else None)
        self._to_journal = to_journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        if self._to_journal:
            level = _SYSLOG_LEVELS.get(record.levelno, 6)
            # Every line of a traceback needs the level, or the journal files it as information.
            return "\n".join(f"<{level}>{line}" for line in super().format(record).splitlines())
        time = datetime.fromtimestamp(record.created, tz=timezone.utc).astimezone()
        text = super().format(record)
        return f"{time:%Y-%m-%d %H:%M:%S} {record.levelname:<7} {record.name} {text}"


class JsonFormatter(logging.Formatter):
    """Writes one JSON document a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the document."""
        document = {
            "time": datetime.fromtimestamp(record.created, tz=timezone.utc).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False)


def configure(settings: LogSettings) -> None:
    """Send the log to standard error as the settings say; may be called again on a reload."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(TextFormatter(to_journal="JOURNAL_STREAM" in os.environ))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    # These tell at information level what the agent itself says better.
    for name in ("urllib3", "waitress"):
        logging.getLogger(name).setLevel(logging.WARNING)
