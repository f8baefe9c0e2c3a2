#!/bin/bash
# usage: tests/fuzz/run.sh SECONDS [TARGET...]
#
# Builds the fuzz targets into build-asan (clang, AddressSanitizer, UndefinedBehaviorSanitizer) and runs each for
# SECONDS, from the hand-made seeds and what earlier runs found. Exit code 1 and the path of the input if one fails,
# 77 without clang. Run an input again: build-asan/lyceum_fuzz_TARGET FILE.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:?usage: tests/fuzz/run.sh SECONDS [TARGET...]}
shift
compiler=$(command -v clang++-16 || command -v clang++ || true)
if [ -z "$compiler" ]; then
  echo "fuzz: skipped, no clang++ here (apt-get install clang-16)"
  exit 77
fi
if [ $# -eq 0 ]; then
  set -- $(sed -n 's/^lyceum_fuzz(\([a-z0-9_]*\) .*/\1/p' tests/fuzz/CMakeLists.txt)
fi
tools/build.sh build-asan -DCMAKE_CXX_COMPILER="$compiler" -DLYCEUM_FUZZ=ON -DLYCEUM_PCH=OFF "${@/#/lyceum_fuzz_}"

failed=0
for target in "$@"; do
  corpus=build-asan/corpus/$target
  mkdir -p "$corpus"
  log=build-asan/$target.log
  if LYCEUM_FUZZ_SEEDS=$corpus build-asan/lyceum_fuzz_"$target" "$corpus" -max_total_time="$seconds" -timeout=10 \
      -rss_limit_mb=1024 -max_len=65536 -artifact_prefix=build-asan/"$target"- >"$log" 2>&1; then
    echo "fuzz $target: $(grep -c . <(ls "$corpus")) inputs kept, $(sed -n 's/^Done \([0-9]*\) runs.*/\1 runs/p' "$log"), no failure"
  else
    failed=$((failed + 1))
    echo "fuzz $target: FAILED, see $log"
    grep -E "ERROR|runtime error|Test unit written|SUMMARY" "$log" || tail -5 "$log"
  fi
done
echo "fuzz, $seconds s each: $(($# - failed)) passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
