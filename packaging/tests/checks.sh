# Sourced by the scripts that run inside a root: counts checks and prints each with its time.
cd /
set -o pipefail
unit=computility-agent.service
checks=0 failures=0 began=$(date +%s%N)

# check WORDS COMMAND…: the command has to succeed.
check() {
  local words=$1 from=$(date +%s%N) mark=ok
  shift
  checks=$((checks + 1))
  if ! "$@" >/tmp/check.out 2>&1; then
    mark=FAIL
    failures=$((failures + 1))
  fi
  printf '%-4s %5.1f s  %s\n' "$mark" "$(elapsed "$from")" "$words"
  if [ $mark = FAIL ]; then uniq /tmp/check.out | tail -n 15 | sed 's/^/       | /'; fi
}

# must WORDS COMMAND…: nothing after it makes sense without it.
must() {
  local before=$failures
  check "$@"
  [ "$failures" = "$before" ] || {
    journalctl --unit $unit --no-pager --lines 20 --output cat | sed 's/^/       | /'
    finish
    exit 1
  }
}

# The root may lack awk and bc.
elapsed() {
  local tenths=$((($(date +%s%N) - $1) / 100000000))
  echo "$((tenths / 10)).$((tenths % 10))"
}

refuse() { ! "$@"; }
silent() { "$@" 2>&1 | tee /tmp/said; [ ! -s /tmp/said ]; }

# within SECONDS COMMAND…: the command succeeds at last.
within() {
  local until=$(($(date +%s%N) + $1 * 1000000000))
  shift
  while ! "$@"; do
    [ "$(date +%s%N)" -lt "$until" ] || return 1
    sleep 0.1
  done
}

property() { systemctl show --property "$1" --value $unit; }
is() { [ "$(property "$1")" = "$2" ] || { echo "$1 is $(property "$1"), not $2"; false; }; }
logged() { journalctl --unit $unit --no-pager --output cat | grep -E -- "$1"; }
absent() { for each; do [ ! -e "$each" ] && [ ! -L "$each" ] || { echo "$each is there"; return 1; }; done; }
mode() { [ "$(stat -c %a:%U:%G "$1")" = "$2" ] || { stat -c '%a:%U:%G %n' "$1"; false; }; }

# The process is another one, and systemd holds it for started: "active" alone may be the old one.
restarted() { [ "$(property MainPID)" != "$1" ] && [ "$(property MainPID)" != 0 ] && systemctl --quiet is-active $unit; }

has_process() { stat --format %U /proc/[0-9]* 2>/dev/null | grep -qx "$1"; }

finish() {
  printf '%d checks, %d failed, %.0f s\n' $checks $failures "$(elapsed "$began")"
  [ $failures = 0 ]
}
