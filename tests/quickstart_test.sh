#!/bin/bash
# usage: tests/quickstart_test.sh PROGRAM      The quick start from end to end on a little text: this project's own.
# Oracles: the xz program for its column, the files themselves for what a second run may not do again.
set -u
lyceum=$(realpath "${1:?usage: tests/quickstart_test.sh build/lyceum}")
cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

check() { # SENTENCE CONDITION...
  local sentence=$1
  shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $sentence"; tail -n 5 "$work/err"; fi
}
number() { sed -n "s/^ *\"$2\": \([0-9.e+-]*\),*\$/\1/p" "$1" | head -n "${3:-1}" | tail -n 1; } # FILE KEY [WHICH]
mkdir -p "$work/text/source" "$work/text/tests" "$work/text/words"
cp -r src/* "$work/text/source"
cp tests/*.cc "$work/text/tests"
cp ./*.md docs/*.md tests/goldens/README.md tools/*.sh "$work/text/words" 2>/dev/null
start() { "$lyceum" quickstart --run "$work/run" --text "$work/text" "$@" >"$work/out" 2>"$work/err" </dev/null; status=$?; }

start --minutes 0.1
check "the first run ends well" test "$status" = 0
for file in summary.json report.html recipe.toml metrics.jsonl checkpoint/config.json checkpoint/tokenizer.json data/data_report.json; do
  check "it makes $file" test -s "$work/run/$file"
done
check "the last words are commands to try" grep -q '^Try next' "$work/out"
for domain in source tests words; do
  check "the table has the domain $domain" grep -qE "^  $domain +[0-9]" "$work/out"
  if command -v xz >/dev/null; then
    bytes=$(wc -c <"$work/run/data/heldout_text/$domain.txt")
    packed=$(xz -9 -T1 -c "$work/run/data/heldout_text/$domain.txt" | wc -c)
    want=$(awk -v a="$packed" -v b="$bytes" 'BEGIN { printf "%.3f", 8 * a / b }')
    check "xz's column for $domain is what the program xz gives: $want" grep -qE "^  $domain .* $want( |\$)" "$work/out"
  else
    skipped=$((skipped + 1))
  fi
done
steps=$(number "$work/run/summary.json" steps)
check "it took steps" test "${steps:-0}" -ge 1
before=$(cat "$work/run/checkpoint/model.safetensors" "$work/run/scores.json" | cksum)

start --minutes 0.1
check "the second run ends well" test "$status" = 0
check "the second run trains nothing again" test "$(number "$work/run/summary.json" steps)" = "$steps"
check "the second run leaves the model and the scores as they were" test "$(cat "$work/run/checkpoint/model.safetensors" "$work/run/scores.json" | cksum)" = "$before"

start --minutes 0.2
check "more minutes train on" test "$(number "$work/run/summary.json" steps)" -gt "${steps:-0}"

"$lyceum" quickstart --run "$work/run" --text "$work/text" --minutes 0.6 >"$work/out" 2>"$work/err" </dev/null &
process=$!
for _ in $(seq 200); do [ "$(tail -n 1 "$work/run/metrics.jsonl" | grep -c .)" = 1 ] && grep -q 'tokens/s' "$work/err" && break; sleep 0.1; done
kill -INT "$process" # a background process of a script may ignore it: then it simply ends
wait "$process"
status=$?
if [ "$status" = 0 ]; then
  skipped=$((skipped + 1))
else
  check "Ctrl-C ends with 130" test "$status" = 130
  check "and says that the same command goes on" grep -q 'the same command goes on' "$work/err"
fi
start --minutes 0.6
check "which it does" test "$status" = 0

"$lyceum" generate "$work/run" --prompt 'int main' --max-tokens 8 >"$work/out" 2>"$work/err" </dev/null
check "the model generates text" test -s "$work/out"

echo "quick start: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
