#!/usr/bin/env bash
# Builds the packages from the checkout into dist/.
#   packaging/build.sh [--arch amd64|arm64|all] [--version V] [--compression gzip|xz] [--format deb|rpm|all]
#                      [--no-stage] [--output FOLDER]
# --version      default: that of pyproject.toml
# --compression  default: xz, which is smaller; gzip is faster to make
# --no-stage     packs again what was staged before (another version of the same files)
set -euo pipefail
cd "$(dirname "$0")/.."
arches="amd64 arm64"
formats="deb rpm"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
compression=xz
output=dist
is_staged=
usage() {
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
while [ "$#" -gt 0 ]; do
  case $1 in
    --no-stage) is_staged=yes; shift; continue ;;
    --arch | --version | --compression | --format | --output) [ "$#" -ge 2 ] || usage ;;
    *) usage ;;
  esac
  case $1=$2 in
    --arch=all) arches="amd64 arm64" ;;
    --arch=amd64 | --arch=arm64) arches=$2 ;;
    --format=all) formats="deb rpm" ;;
    --format=deb | --format=rpm) formats=$2 ;;
    --compression=gzip | --compression=xz) compression=$2 ;;
    --version=?*) version=$2 ;;
    --output=?*) output=$2 ;;
    *) usage ;;
  esac
  shift 2
done

export LC_ALL=C
umask 022
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
tools=$(packaging/tools)
mkdir -p "$output" build
exec 9>build/lock
flock 9 # one build of a checkout at a time
rm -rf build/stage/.stage-* # what a killed one left

for arch in $arches; do
  stage=build/stage/$arch
  [ -n "$is_staged" ] || packaging/stage "$arch" "$stage"
  pack=$(mktemp -d)
  trap 'rm -rf "$pack"' EXIT
  {
    echo "computility-agent ($version-1) stable; urgency=medium"
    echo
    echo "  * What changed stands in CHANGELOG.md of the project."
    echo
    echo " -- $(sed -n 's/^maintainer: //p' packaging/nfpm.yaml)  $(date -u -R -d "@$SOURCE_DATE_EPOCH")"
  } | gzip -9n >"$pack/changelog.Debian.gz"
  find "$pack" -exec touch --date "@$SOURCE_DATE_EPOCH" {} +
  sed -e "s|\${ARCH}|$arch|; s|\${VERSION}|$version|; s|\${COMPRESSION}|$compression|" \
    -e "s|\${STAGE}|$stage|; s|\${PACK}|$pack|" packaging/nfpm.yaml >"$pack/nfpm.yaml"
  for format in $formats; do
    "$tools/bin/nfpm" package --config "$pack/nfpm.yaml" --packager "$format" --target "$output/" >/dev/null
  done
  cp "$stage/opt/computility-agent/sbom.cdx.json" "$output/computility-agent_${version}_$arch.cdx.json"
  rm -rf "$pack"
done
(cd "$output" && ls -l -- *"$version"*) >&2
