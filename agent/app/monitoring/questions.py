"""The questions of the command `monitoring`."""

from __future__ import annotations

LIST = "monitoring"
SYNC = "monitoring sync"
REPORT = "monitoring report"
FATE = "monitoring fate"
RELEASE = "monitoring release"
VERIFY = "monitoring verify"
NAMES = (LIST, SYNC, REPORT, FATE, RELEASE, VERIFY)
