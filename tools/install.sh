#!/bin/bash
# usage: tools/install.sh SECTION...     Installs what is missing of these sections of tools/packages.txt.
#
# Silent and quick when nothing is missing. Needs apt-get, and root or sudo, only when something is. Exit code 1 and
# one line that says what to do when a package cannot be had.
set -u
cd "$(dirname "$0")/.." || exit 1
[ $# -gt 0 ] || { echo "usage: tools/install.sh SECTION..." >&2; exit 2; }

wanted=$(awk -v sections=" $* " '
  /^\[/ { name = $1; gsub(/[][]/, "", name); inside = index(sections, " " name " "); next }
  inside && NF && $1 !~ /^#/ { print $1 }' tools/packages.txt)
[ -n "$wanted" ] || { echo "install: no packages in section $* of tools/packages.txt" >&2; exit 2; }

if ! command -v dpkg-query >/dev/null; then
  echo "install: not a Debian machine, so nothing was installed; needed:" $wanted >&2
  exit 0 # the build says what it misses
fi
# shellcheck disable=SC2086
present=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p')
missing=$(comm -23 <(sort -u <<<"$wanted") <(sort -u <<<"$present"))
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
  if command -v sudo >/dev/null; then as_root=sudo; else
    echo "install: these packages are missing and only root may install them. Run as root: apt-get install" $missing >&2
    exit 1
  fi
fi
mkdir -p build
log=build/install.log
echo "installing from Debian:" $missing >&2
started=$SECONDS
# Lists may be old or absent (bare images have none); when they cannot be fetched, what is there may still do.
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update >"$log" 2>&1 || true
# shellcheck disable=SC2086
if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0 \
    -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2 install $missing >>"$log" 2>&1; then
  grep -E '^(E|W|Err):' "$log" | tail -n 3 >&2
  echo "install: apt-get failed after $((SECONDS - started)) s (all of it: $log); try: apt-get install" $missing >&2
  exit 1
fi
echo "installed in $((SECONDS - started)) s" >&2
