# Sourced by the life scripts: a configuration, and the platform that it names.
code=11010800005020000001
platform=/root/platform

# The platform is the simulator of a copy of the package, so that no upgrade stops it.
start_simulator() {
  mkdir -p $platform
  cp -a /opt/computility-agent $platform/agent
  (cd $platform && exec $platform/agent/python/bin/python3.13 -I -B -m agent simulate --json \
    --key key.pem --listen 127.0.0.1:8088 --poll-seconds 1 --no-control \
    >$platform/events 2>&1 </dev/null) &
  within 20 test -s $platform/key.pem.pub.pem
}

simulator_saw() { grep -q "\"operation\": *\"$1\".*\"accepted\": *true" $platform/events; }

# The platform calls the device with the credentials that it was told.
simulator_read_back() { grep -q '"kind": *"read_back"' $platform/events; }

write_configuration() {
  local folder=/etc/computility-agent
  install -m 0600 -o computility-agent -g computility-agent /dev/null $folder/device-api.password
  echo "a password of this test" >$folder/device-api.password
  install -m 0644 $platform/key.pem.pub.pem $folder/simulator.pem
  sed -i "s/code: \"\"/code: \"$code\"/" $folder/config.yaml
  cat >$folder/conf.d/10-platform.yaml <<YAML
node: {address: 127.0.0.1}
acsmp:
  - {name: simulator, url: "http://127.0.0.1:8088", sm2_public_key_file: simulator.pem}
YAML
}

state=/var/lib/computility-agent/state.db
# sqlite of the package's own Python: the root has none.
state_query() {
  $platform/agent/python/bin/python3.13 -I -c '
import sqlite3, sys
with sqlite3.connect(sys.argv[1], isolation_level=None) as database:
    for row in database.execute(sys.argv[2]):
        print(*row)' $state "$1"
}
state_instance() { state_query "SELECT value FROM meta WHERE key = 'instance'"; }
state_is_newer() { [ "$(state_query 'PRAGMA user_version')" = 999 ]; }
newer_state() {
  former_version=$(state_query 'PRAGMA user_version')
  state_query 'PRAGMA user_version = 999'
}
older_state() { state_query "PRAGMA user_version = $former_version"; }

# With an engine, an algorithm service runs through the whole life.
docker_socket=/mnt/docker.sock
containers() {
  $platform/agent/python/bin/python3.13 -I /tests/containers.py "$1" $docker_socket "$instance"
}

load_service() {
  [ -S $docker_socket ] || return 0
  getent group "$(stat -c %g $docker_socket)" >/dev/null || groupadd --gid "$(stat -c %g $docker_socket)" docker
  mkdir -p /etc/systemd/system/$unit.d
  # The example, as it is; the group of this machine's socket may have another name.
  sed "s/=docker$/=$(stat -c %g $docker_socket)/" /drop-ins/docker.conf \
    >/etc/systemd/system/$unit.d/docker.conf
  echo "runtime: {socket: unix://$docker_socket}" >/etc/computility-agent/conf.d/40-runtime.yaml
  systemctl daemon-reload
  check "with docker's group it starts" systemctl restart $unit
  instance=$(state_instance)
  check "a package is pushed" within 20 computility-agent packages push /algorithm.tar --id life-test
  check "a service is loaded" computility-agent services load life-test
  must "its container runs" within 30 service_runs
  containers list >/root/containers
}

service_runs() { containers list | grep -q running; }

service_survived() {
  [ -S $docker_socket ] || return 0
  check "the algorithm container runs on" same_containers
}

same_containers() { service_runs && diff /root/containers <(containers list); }

remove_service() {
  [ -S $docker_socket ] || return 0
  check "it can be removed by hand" containers remove
}
