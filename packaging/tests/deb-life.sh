# Runs in a booted Debian root: the whole life of the deb. /repository holds two versions of it.
#   deb-life.sh FIRST NEXT
first=$1 next=$2
. /tests/checks.sh
. /tests/site.sh
export DEBIAN_FRONTEND=noninteractive

installed() { [ "$(dpkg-query --show --showformat '${Version} ${db:Status-Abbrev}' computility-agent)" = "$1 ii " ]; }
apt_install() { apt-get -y --allow-downgrades install "computility-agent=$1" 2>&1 | tee /root/install.out; }

# An offline mirror, as docs/install.md tells to make one.
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
echo "deb [trusted=yes] file:/repository ./" >/etc/apt/sources.list.d/computility-agent.list
groupadd --force render
check "apt reads the folder of packages" apt-get update

echo "== installed and not configured"
must "apt installs $first" apt_install "$first"
check "the package is configured" installed "$first"
check "what to do next was printed" grep -q "computility-agent setup" /root/install.out
check "the unit is enabled" systemctl is-enabled $unit
check "the service was not tried: there is no configuration" is ActiveState inactive
check "no unit has failed" refuse grep -q . <(systemctl --failed --no-legend)
check "the command is there" computility-agent --version
check "the configuration is the agent's alone" mode /etc/computility-agent/config.yaml 640:root:computility-agent
check "its folder too" mode /etc/computility-agent 750:root:computility-agent
check "conf.d too" mode /etc/computility-agent/conf.d 750:root:computility-agent
check "the user cannot log in" grep -q '^computility-agent:.*:/usr/sbin/nologin$' /etc/passwd
check "the user is in the groups of devices" grep -qw render <(id -nG computility-agent)
check "the user is not in docker's group" refuse grep -qw docker <(id -nG computility-agent)
check "systemd finds no fault in the unit" silent systemd-analyze verify --man=no $unit
check "a start without a configuration ends with 2" refuse systemctl start $unit
check "exit status 2" is ExecMainStatus 2
check "and is not repeated" is ActiveState failed
check "the journal says what is missing" logged 'node.code'

echo "== configured"
start_simulator
write_configuration
check "check-config finds it good" computility-agent check-config
must "the service starts" systemctl restart $unit
pid=$(property MainPID)
check "it told systemd so" is Type notify
check "systemd watches it" is WatchdogUSec 1min
check "systemctl status says how it fares" grep -q . <(property StatusText)
check "it runs as its own user" mode "/proc/$pid" 555:computility-agent:computility-agent
check "its state is its own" mode /var/lib/computility-agent 750:computility-agent:computility-agent
must "it registers with the simulator" within 20 computility-agent status
check "the simulator holds it as registered" within 20 simulator_saw Register
check "and reads its device API" within 20 simulator_read_back
. /tests/sandbox.sh

echo "== reload"
check "a good configuration is taken up" systemctl reload $unit
echo 'log: {level: debug}' >/etc/computility-agent/conf.d/20-log.yaml
check "conf.d is read" systemctl reload $unit
check "and in force" grep -q 'level: debug' <(computility-agent print-config)
echo 'log: {level: loud}' >/etc/computility-agent/conf.d/20-log.yaml
check "a bad one fails the reload" refuse systemctl reload $unit
check "the journal names file and line" within 5 logged 'conf.d/20-log.yaml:1:'
check "the service goes on with the old one" is MainPID "$pid"
rm /etc/computility-agent/conf.d/20-log.yaml
check "reload with the former" systemctl reload $unit

echo "== a secret that root alone may read"
mkdir -p /etc/systemd/system/$unit.d
cp /drop-ins/credentials.conf /etc/systemd/system/$unit.d/
former=$(stat -c %a:%U:%G /etc/computility-agent/device-api.password)
chown root:root /etc/computility-agent/device-api.password
chmod 0600 /etc/computility-agent/device-api.password
echo 'device_api: {password_file: device-api.password}' >/etc/computility-agent/conf.d/30-secret.yaml
systemctl daemon-reload
check "systemd hands it to the service" systemctl restart $unit
check "which registers with it" within 20 computility-agent status
check "and takes up a reload" systemctl reload $unit
check "with the secret still there" within 5 computility-agent status
rm /etc/computility-agent/conf.d/30-secret.yaml /etc/systemd/system/$unit.d/credentials.conf
chown "$(cut -d: -f2- <<<"$former")" /etc/computility-agent/device-api.password
chmod "$(cut -d: -f1 <<<"$former")" /etc/computility-agent/device-api.password
systemctl daemon-reload
systemctl restart $unit
pid=$(property MainPID)

echo "== crash, hang, bad configuration"
mkdir -p /etc/systemd/system/$unit.d
printf '[Service]\nWatchdogSec=2\nRestartSec=100ms\n' >/etc/systemd/system/$unit.d/test.conf
systemctl daemon-reload
systemctl restart $unit
pid=$(property MainPID)
systemctl kill --signal=KILL $unit
check "killed, it is back" within 15 restarted "$pid"
check "and registered again" within 20 computility-agent status
pid=$(property MainPID)
# It can neither work nor tell systemd so.
systemctl kill --kill-who=main --signal=STOP $unit
check "hung, the watchdog ends it" within 20 logged 'Watchdog timeout'
check "and it is back" within 15 restarted "$pid"
rm /etc/systemd/system/$unit.d/test.conf
systemctl daemon-reload
check "stop ends it with success" systemctl stop $unit
check "exit status 0" is ExecMainStatus 0
check "no process is left" absent /sys/fs/cgroup/systemd/system.slice/$unit/cgroup.procs
echo 'node: {code: "1"}' >/etc/computility-agent/conf.d/30-bad.yaml
check "a bad configuration does not start" refuse systemctl start $unit
check "exit status 2" is ExecMainStatus 2
check "and is not repeated" is ActiveState failed
rm /etc/computility-agent/conf.d/30-bad.yaml
systemctl reset-failed $unit
check "the good one does" systemctl start $unit

echo "== upgrade and downgrade"
load_service
echo '# edited by the operator' >>/etc/computility-agent/config.yaml
instance=$(state_instance)
pid=$(property MainPID)
check "apt upgrades to $next without a question" apt_install "$next"
check "$next is installed" installed "$next"
check "the edited configuration is kept" grep -q 'edited by the operator' /etc/computility-agent/config.yaml
check "no other version of it lies beside" absent /etc/computility-agent/config.yaml.dpkg-{dist,new,old}
check "the service is restarted" restarted "$pid"
check "and registered" within 20 computility-agent status
check "its state is the former" test "$(state_instance)" = "$instance"
service_survived
check "its rights are kept" mode /etc/computility-agent/config.yaml 640:root:computility-agent
systemctl stop $unit
check "apt downgrades to $first" apt_install "$first"
check "what was stopped stays stopped" is ActiveState inactive
check "and starts with the state of the newer one" systemctl start $unit
check "and registers" within 20 computility-agent status
systemctl disable --quiet $unit
pid=$(property MainPID)
check "apt upgrades again" apt_install "$next"
check "what was disabled and ran is restarted" within 5 restarted "$pid"
check "what was disabled stays disabled" refuse systemctl --quiet is-enabled $unit
systemctl enable --quiet $unit
newer_state
pid=$(property MainPID)
check "with a state of a newer schema the service goes on" systemctl restart $unit
check "and says what to do" within 10 logged 'written by a newer version'
check "does not loop" is NRestarts 0
check "stays registered" within 20 computility-agent status
check "and leaves the state alone" state_is_newer
older_state
check "the state is usable again" systemctl restart $unit
service_survived

echo "== removed and purged"
check "apt removes it" apt-get -y remove computility-agent
check "the service has ended" is ActiveState inactive
check "no process of its user is left" refuse has_process computility-agent
check "no program file is left" absent /opt/computility-agent /usr/bin/computility-agent /usr/lib/systemd/system/$unit
check "configuration and state are kept" ls /etc/computility-agent/config.yaml /var/lib/computility-agent/state.db
service_survived
# An empty conf.d, as setup leaves it, would have gone as well.
mv /etc/computility-agent/conf.d /root/
check "apt installs it again" apt_install "$next"
check "conf.d is the agent's again" mode /etc/computility-agent/conf.d 750:root:computility-agent
check "and the service is started" within 5 is ActiveState active
cp -p /root/conf.d/* /etc/computility-agent/conf.d/
systemctl restart $unit
check "it runs as before" within 20 computility-agent status
check "with the former state" test "$(state_instance)" = "$instance"
service_survived
check "apt purges it" apt-get -y purge computility-agent
check "nothing is left" absent /etc/computility-agent /var/lib/computility-agent /opt/computility-agent \
  /run/computility-agent /run/computility-agent.reinstalled /etc/systemd/system/$unit.d \
  /etc/systemd/system/multi-user.target.wants/$unit /var/lib/systemd/deb-systemd-helper-enabled/$unit.dsh-also \
  /usr/share/doc/computility-agent
check "no unit has failed" refuse grep -q . <(systemctl --failed --no-legend)
service_survived
remove_service

finish
