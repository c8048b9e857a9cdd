#!/bin/sh
# -I: neither PYTHON* variables nor a user's own modules reach the agent; -B: it writes no .pyc.
exec /opt/computility-agent/python/bin/python3.13 -I -B -m agent "$@"
