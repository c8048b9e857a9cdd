# Runs in an arm64 root, emulated.
. /tests/checks.sh
agent=/usr/bin/computility-agent
python=/opt/computility-agent/python/bin/python3.13

check "the interpreter is of this machine" test "$($python -I -c 'import os; print(os.uname().machine)')" = aarch64
check "--version" $agent --version
mkdir -p /etc/computility-agent/conf.d
echo secret >/etc/computility-agent/device-api.password
chmod 0600 /etc/computility-agent/device-api.password
echo 'node: {code: "11010800005020000001"}' >/etc/computility-agent/conf.d/10-site.yaml
check "a configuration is checked" $agent check-config
check "one sample of everything" sh -c "$agent collect --json >/tmp/sample 2>/tmp/said"
check "it has CPU, memory and every collector" $python -I -c '
import json
sample = json.load(open("/tmp/sample"))
assert sample["node"]["architecture"] == "aarch64", sample["node"]
assert sample["memory"]["total_bytes"] > 0 and sample["cpu"]["logical_cores"] > 0
states = {each["name"]: each["state"] for each in sample["plugins"]}
assert {states[name] for name in ("cpu", "memory", "disks", "host")} == {"active"}, states
assert "broken" not in states.values(), states'
check "SM2, TLS, sqlite, docker and the meters load" $python -I -c '
import ssl, sqlite3, hashlib, docker, msgspec, yaml, psutil, gmssl.sm2, apscheduler, pymodbus
from agent.security import self_test
assert hashlib.new("sm3", b"abc").hexdigest().startswith("66c7f0f4")'

finish
