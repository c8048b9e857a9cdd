# Sourced by the life scripts: what the running service can and cannot do in its sandbox.
# A unit of the same words runs one command in the place of the agent.
probe() {
  local file=/run/systemd/system/probe.service
  sed -e '/^ExecReload=/d; /^Wants=/d; /^Restart/d; /^WatchdogSec=/d; /^RuntimeDirectory=/d' \
    -e "s|^Type=.*|Type=oneshot|; s|^ExecStart=.*|ExecStart=$1|" \
    -e 's|^\[Service\]|[Service]\nStandardOutput=file:/run/probe.out\nStandardError=journal|' \
    /usr/lib/systemd/system/$unit >$file
  systemctl daemon-reload
  rm -f /run/probe.out # systemd 247 knows no "truncate:"
  systemctl start probe.service || { journalctl --unit probe --no-pager --lines 5; return 1; }
}
collect='/opt/computility-agent/bin/computility-agent collect --json'
part() { /opt/computility-agent/python/bin/python3.13 -I -c '
import json, sys
found = json.load(open(sys.argv[1]))
part = found[sys.argv[2]]
if sys.argv[2] == "disks":
    part = [(each["mount_path"], each["total_bytes"]) for each in part]
elif sys.argv[2] == "memory":
    part = part["total_bytes"]
elif sys.argv[2] == "plugins":
    part = [(each["name"], each["state"], each["detail"]) for each in part]
print(part)' "$1" "$2"; }

outside=/root/outside.json
$collect >$outside 2>/dev/null
check "in the sandbox a sample is taken" probe "$collect"
cp /run/probe.out /root/inside.json
for name in node memory disks plugins; do
  check "in the sandbox $name is what it is outside" diff <(part $outside $name) <(part /root/inside.json $name)
done
check "it may not write outside of its state" refuse probe "/bin/sh -c ': >/etc/computility-agent/x || : >/opt/computility-agent/x || : >/usr/x'"
check "it may not become somebody else" refuse probe "/bin/sh -c 'setpriv --reuid=0 true'"
check "it may not mount" refuse probe "/bin/mount -t tmpfs none /mnt"
check "it may not load modules or set the clock" refuse probe "/bin/date --set=@0"
check "it may write its state" probe "/bin/sh -c 'echo >/var/lib/computility-agent/probe && rm /var/lib/computility-agent/probe'"
rm -f /run/systemd/system/probe.service
systemctl daemon-reload
