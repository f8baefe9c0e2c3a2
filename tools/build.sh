#!/bin/bash
# usage: tools/build.sh FOLDER [-DOPTION=...]... [TARGET...]     Configures FOLDER where needed and builds targets.
#
# All output goes to FOLDER/build.log; what fails is shown. LYCEUM_JOBS sets how many compilers run at once (default:
# one per core, and no more than memory holds at 1.5 GiB each).
set -u
cd "$(dirname "$0")/.." || exit 1
folder=${1:?usage: tools/build.sh FOLDER [-DOPTION=...]... [TARGET...]}
shift
options=() targets=()
for argument in "$@"; do
  case $argument in -D*) options+=("$argument") ;; *) targets+=("$argument") ;; esac
done

mkdir -p "$folder" || exit 1
log=$folder/build.log
# A folder that was configured elsewhere (a moved or copied clone) is configured anew.
if [ -f "$folder/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$folder/CMakeCache.txt"; then
  rm -rf "$folder/CMakeCache.txt" "$folder/CMakeFiles"
fi
configured() {
  [ -f "$folder/build.ninja" ] && [ -f "$folder/CMakeCache.txt" ] || return 1
  for option in ${options[@]+"${options[@]}"}; do
    local name=${option#-D}
    grep -qE "^${name%%=*}:[A-Z]+=${name#*=}\$" "$folder/CMakeCache.txt" || return 1
  done
}
if ! configured && ! cmake -S . -B "$folder" -G Ninja ${options[@]+"${options[@]}"} >"$log" 2>&1; then
  grep -A 8 -E 'CMake Error|Could not' "$log" | head -n 20 >&2
  echo "build: configuring failed (all of it: $log)" >&2
  exit 1
fi

jobs=${LYCEUM_JOBS:-}
if [ -z "$jobs" ]; then
  jobs=$(nproc)
  room=$(awk '/MemAvailable/ { print int($2 / 1572864) }' /proc/meminfo 2>/dev/null)
  [ "${room:-$jobs}" -ge "$jobs" ] || jobs=$((room > 1 ? room : 1))
fi
show() { # the progress of ninja, "[12/90]", as one line that redraws itself
  if [ -t 2 ]; then
    tee "$log" | awk -v columns="${COLUMNS:-100}" '
      /^\[[0-9]+\/[0-9]+\]/ { printf "\r\033[K  building %s", substr($1 " " $NF, 1, columns - 14) > "/dev/stderr"; fflush("/dev/stderr") }
      END { printf "\r\033[K" > "/dev/stderr" }'
  else
    cat >"$log"
  fi
}
ninja -C "$folder" -j "$jobs" ${targets[@]+"${targets[@]}"} 2>&1 | show
status=${PIPESTATUS[0]}
if [ "$status" != 0 ]; then
  grep -E -A 12 '^FAILED:|error:|ninja: error' "$log" | head -n 40 >&2
  echo "build: failed (all of it: $log)" >&2
fi
exit "$status"
