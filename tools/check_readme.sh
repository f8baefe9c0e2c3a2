#!/bin/bash
# usage: tools/check_readme.sh [FILE...]    Runs the commands that README.md (and others) shows, as they stand there.
#
# Taken are ```sh blocks below a line <!-- run -->; with <!-- run: COMMANDS --> those are run instead of the block (a
# shorter training, say). What would go to runs/ goes to build/readme-runs/. Blocks run in order, each command must succeed.
set -u
cd "$(dirname "$0")/.." || exit 1
[ $# -gt 0 ] || set -- README.md
rm -rf build/readme-runs
passed=0 failed=0
while IFS= read -r -d '' block; do
  command=${block//runs\//build/readme-runs/}
  if (set -e; eval "$command") </dev/null >build/readme.log 2>&1; then
    passed=$((passed + 1))
    echo "ok: ${block%%$'\n'*}"
  else
    failed=$((failed + 1))
    echo "FAILED: $block"
    tail -n 10 build/readme.log
  fi
done < <(awk '
  /^<!-- run: .* -->$/ { instead = $0; sub(/^<!-- run: /, "", instead); sub(/ -->$/, "", instead); armed = 1; next }
  /^<!-- run -->$/ { armed = 1; instead = ""; next }
  armed && /^```sh$/ { inside = 1; body = ""; next }
  inside && /^```$/ { printf "%s%c", instead != "" ? instead : body, 0; inside = armed = 0; next }
  inside { body = body $0 "\n" }' "$@")
echo "commands of $*: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
