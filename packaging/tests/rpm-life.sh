# Runs in a booted root with rpm and dnf: the whole life of the rpm. /repository holds two versions.
#   rpm-life.sh FIRST NEXT
first=$1 next=$2
. /tests/checks.sh
. /tests/site.sh

mkdir -p /etc/rpm /etc/yum.repos.d
echo '%_dbpath /var/lib/rpm' >/etc/rpm/macros
# An offline mirror, as docs/install.md tells to make one.
printf '[computility-agent]\nname=computility-agent\nbaseurl=file:///repository\ngpgcheck=0\n' \
  >/etc/yum.repos.d/computility-agent.repo
rpm --initdb
groupadd --force render
dnf_quietly() { dnf --assumeyes --releasever=1 --setopt=install_weak_deps=0 "$@" 2>&1 | tee /root/dnf.out; }
installed() { [ "$(rpm --query computility-agent)" = "computility-agent-$1.$(uname -m)" ]; }
verified() { silent rpm --verify "$@" computility-agent; }

check "dnf installs what stands for the system" dnf_quietly install test-base

echo "== installed and not configured"
must "dnf installs $first" dnf_quietly install "computility-agent-$first"
check "it is installed" installed "$first"
check "rpm verifies every file" verified
check "what to do next was printed" grep -q "computility-agent setup" /root/dnf.out
check "the unit is enabled" systemctl is-enabled $unit
check "the service was not tried: there is no configuration" is ActiveState inactive
check "the command is there" computility-agent --version
check "the configuration is the agent's alone" mode /etc/computility-agent/config.yaml 640:root:computility-agent
check "its folder too" mode /etc/computility-agent 750:root:computility-agent
check "conf.d too" mode /etc/computility-agent/conf.d 750:root:computility-agent
check "the user cannot log in" grep -q '^computility-agent:.*:/sbin/nologin$' /etc/passwd
check "the user is in the groups of devices" grep -qw render <(id -nG computility-agent)
check "the user is not in docker's group" refuse grep -qw docker <(id -nG computility-agent)
check "a start without a configuration ends with 2" refuse systemctl start $unit
check "exit status 2" is ExecMainStatus 2
check "and is not repeated" is ActiveState failed

echo "== configured"
start_simulator
write_configuration
must "the service starts" systemctl restart $unit
must "it registers with the simulator" within 20 computility-agent status
check "and the simulator reads its device API" within 20 simulator_read_back
check "it runs as its own user" mode "/proc/$(property MainPID)" 555:computility-agent:computility-agent
mkdir -p /etc/systemd/system/$unit.d
printf '[Service]\nRestartSec=100ms\n' >/etc/systemd/system/$unit.d/test.conf
systemctl daemon-reload
pid=$(property MainPID)
systemctl kill --signal=KILL $unit
check "killed, it is back" within 15 restarted "$pid"
check "a reload is taken up" systemctl reload $unit

echo "== upgrade and downgrade"
load_service
echo '# edited by the operator' >>/etc/computility-agent/config.yaml
instance=$(state_instance)
pid=$(property MainPID)
check "dnf upgrades to $next" dnf_quietly upgrade computility-agent
check "$next is installed" installed "$next"
check "the edited configuration is kept" grep -q 'edited by the operator' /etc/computility-agent/config.yaml
check "no other version of it lies beside" absent /etc/computility-agent/config.yaml.rpm{new,save,orig}
check "every other file verifies" verified --noconfig
check "the service is restarted" within 5 restarted "$pid"
check "and registered" within 20 computility-agent status
check "its state is the former" test "$(state_instance)" = "$instance"
service_survived
check "it is still enabled" systemctl is-enabled $unit
systemctl stop $unit
check "dnf downgrades to $first" dnf_quietly downgrade "computility-agent-$first"
check "it is installed" installed "$first"
check "what was stopped stays stopped" is ActiveState inactive
check "and starts with the state of the newer one" systemctl start $unit
check "and registers" within 20 computility-agent status
systemctl disable --quiet $unit
pid=$(property MainPID)
check "dnf upgrades again" dnf_quietly upgrade computility-agent
check "what was disabled and ran is restarted" within 5 restarted "$pid"
check "what was disabled stays disabled" refuse systemctl --quiet is-enabled $unit
echo 'node: {code: "1"}' >/etc/computility-agent/conf.d/30-bad.yaml
systemctl restart $unit
check "with a bad configuration it has failed" is ActiveState failed
rm /etc/computility-agent/conf.d/30-bad.yaml
check "dnf downgrades a failed service" dnf_quietly downgrade "computility-agent-$first"
check "which is tried again" within 10 is ActiveState active
service_survived

echo "== removed"
systemctl enable --quiet $unit
check "dnf removes it" dnf_quietly remove computility-agent
check "the service has ended" is ActiveState inactive
check "no process of its user is left" refuse has_process computility-agent
check "no program file is left" absent /opt/computility-agent /usr/bin/computility-agent \
  /usr/lib/systemd/system/$unit /etc/systemd/system/multi-user.target.wants/$unit
check "the edited configuration is saved" grep -q 'edited by the operator' /etc/computility-agent/config.yaml.rpmsave
check "what the operator wrote beside it is kept" ls /etc/computility-agent/conf.d/10-platform.yaml
check "the state is kept: rpm knows no purge" test -s "$state"
service_survived
mv /etc/computility-agent/config.yaml.rpmsave /etc/computility-agent/config.yaml
check "dnf installs it again" dnf_quietly install "computility-agent-$next"
check "it runs as before" within 20 computility-agent status
check "with the former state" test "$(state_instance)" = "$instance"
service_survived
remove_service

finish
