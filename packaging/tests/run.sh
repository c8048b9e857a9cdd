#!/usr/bin/env bash
# Installs the packages in real roots and shows their life: each check with its time.
#   packaging/tests/run.sh [deb|rpm|arm64|lint|unit|all]…      (default: all)
# SUITES="bullseye bookworm trixie" tries the deb on these (default: bookworm).
# PACKAGES=FOLDER takes what is there, built before (default: builds what is missing).
set -euo pipefail
cd "$(dirname "$0")/../.."
tests=packaging/tests
[ "$(id -u)" = 0 ] || { echo "this needs root: it boots roots" >&2; exit 2; }
first=1.0.0 next=1.1.0
packages=${PACKAGES:-.cache/test-packages}
mkdir -p .cache
# Roots share one control group of this machine: one run at a time.
exec 8>.cache/life.lock
flock 8
work=$(mktemp -d "$PWD/.cache/life-XXXXXX")
tidy_up() {
  # What a life that broke off left in the engine.
  if command -v docker >/dev/null 2>&1; then
    docker ps --all --quiet --filter label=computility-agent.package=life-test 2>/dev/null |
      xargs --no-run-if-empty docker rm --force >/dev/null 2>&1 || true
  fi
  rm -rf "$work"
}
trap tidy_up EXIT
failed=()
began=$SECONDS

# section WORDS COMMAND…
section() {
  local words=$1 from=$SECONDS
  shift
  echo "=== $words"
  "$@" || failed+=("$words")
  echo "=== $words: $((SECONDS - from)) s"
}

# begin WORDS COMMAND…: beside the sections; what it says comes at the end.
beside=()
begin() {
  local words=$1 said=$work/said-${#beside[@]}
  shift
  (
    from=$SECONDS
    "$@" >"$said" 2>&1 || status=$?
    echo "=== $words: $((SECONDS - from)) s, beside the others" >>"$said"
    exit "${status:-0}"
  ) &
  beside+=("$! $said $words")
}
end_all() {
  local pid said words each
  for each in "${beside[@]}"; do
    read -r pid said words <<<"$each"
    echo "=== $words"
    wait "$pid" || failed+=("$words")
    cat "$said"
  done
}

unpacked() { # KIND [SUITE] → a fresh root
  local root=$work/$1-${2:-bookworm}
  mkdir "$root"
  tar --extract --file "$("$tests/root" "$@")" --directory "$root" --numeric-owner
  echo "$root"
}

build_amd64() {
  [ -z "${PACKAGES:-}" ] || return 0
  packaging/build.sh --arch amd64 --version $first --compression gzip --output "$packages"
  packaging/build.sh --arch amd64 --version $next --compression gzip --output "$packages" --no-stage
}

# It runs beside the lives, and no other package of arm64 is tried.
arm64_smoke() {
  [ -n "${PACKAGES:-}" ] || packaging/build.sh --arch arm64 --version $first --compression gzip \
    --format deb --output "$packages" || return
  "$tests/arm64" "$packages/computility-agent_$first-1_arm64.deb" "$("$tests/root" arm64)" "$work"
}

# The engine's socket and an algorithm for it, where this machine has one.
engine_options=()
find_engine() {
  if [ -S /var/run/docker.sock ]; then
    PYTHONPATH=.:tests/bench .venv/bin/python "$tests/make-algorithm.py" "$work/algorithm.tar"
    engine_options=(--bind=/var/run/docker.sock:/mnt/docker.sock "--bind-ro=$work/algorithm.tar:/algorithm.tar")
  elif [ "${CI:-}" = true ]; then
    echo "no docker engine: the life of containers cannot be shown" >&2
    exit 1
  fi
}

boot() { # ROOT SCRIPT ARGUMENT… [-- OPTION…]
  local root=$1 script=$2
  shift 2
  local arguments=()
  while [ "$#" -gt 0 ] && [ "$1" != -- ]; do arguments+=("$1"); shift; done
  [ "$#" -eq 0 ] || shift
  "$tests/booted" "$root" "/tests/$script" "${arguments[@]}" -- --private-network --suppress-sync=yes \
    "--bind-ro=$PWD/$tests:/tests" "--bind-ro=$PWD/systemd/examples:/drop-ins" \
    "--bind-ro=$work/repository:/repository" "$@"
}

deb_life() { # SUITE
  rm -rf "$work/repository"
  mkdir "$work/repository"
  cp "$packages"/computility-agent_{$first,$next}-1_amd64.deb "$work/repository/"
  (cd "$work/repository" && apt-ftparchive packages . >Packages)
  boot "$(unpacked deb "$1")" deb-life.sh $first-1 $next-1 -- "${engine_options[@]}"
}

rpm_life() {
  rm -rf "$work/repository"
  mkdir "$work/repository"
  cp "$packages"/computility-agent-{$first,$next}-1.x86_64.rpm "$work/repository/"
  "$tests/fake-base" "$work/repository"
  createrepo_c --quiet "$work/repository"
  boot "$(unpacked rpm)" rpm-life.sh $first-1 $next-1 -- "${engine_options[@]}"
}

check_unit() {
  systemd-analyze security --offline=true --threshold=25 --no-pager systemd/computility-agent.service | tail -n 1
  # The gate is the exit status, which a pipe hides.
  systemd-analyze security --offline=true --threshold=25 --no-pager systemd/computility-agent.service >/dev/null
}

[ "$#" -gt 0 ] || set -- all
[ "$1" != all ] || set -- unit lint arm64 deb rpm
mkdir -p "$packages"
case " $* " in *" deb "* | *" rpm "* | *" lint "*) build_amd64 ;; esac
case " $* " in *" deb "* | *" rpm "*) find_engine ;; esac
for part; do
  case $part in
    unit) section "unit" check_unit ;;
    lint) begin "lint" "$tests/../lint/run" "$packages" $first ;;
    deb) for suite in ${SUITES:-bookworm}; do section "deb on $suite" deb_life "$suite"; done ;;
    rpm) section "rpm by dnf" rpm_life ;;
    arm64) begin "arm64" arm64_smoke ;;
    *) echo "no part is called $part: unit lint deb rpm arm64 all" >&2; exit 2 ;;
  esac
done
end_all
echo "=== $((SECONDS - began)) s in all${failed[*]:+; failed: }$(IFS=,; echo "${failed[*]:-}")"
[ "${#failed[@]}" = 0 ]
