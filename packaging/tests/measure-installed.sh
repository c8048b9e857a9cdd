# Runs in a booted root: start and memory of the installed service.
. /tests/checks.sh
. /tests/site.sh
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
dpkg --install /repository/*.deb >/dev/null 2>&1
start_simulator
write_configuration
PYTHONPATH=/bench $platform/agent/python/bin/python3.13 -B /tests/measure.py "installed service" systemctl $unit
