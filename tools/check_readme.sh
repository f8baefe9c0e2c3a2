#!/bin/bash
# usage: tools/check_readme.sh [FILE...]    Runs the commands that README.md (and others) shows, as they stand there.
#
# Taken are ```sh blocks below a line <!-- run -->; with <!-- run: COMMANDS --> those are run instead of the block (a
# shorter training, say). Blocks run in order, each command must succeed, in a folder of their own that looks like the
# clone but for runs/.
set -u
cd "$(dirname "$0")/.." || exit 1
[ $# -gt 0 ] || set -- README.md
source=$PWD place=$PWD/build/readme
rm -rf "$place" && mkdir -p "$place" || exit 1
for entry in *; do [ "$entry" = runs ] || ln -s "$source/$entry" "$place/$entry"; done
passed=0 failed=0
while IFS= read -r -d '' block; do
  # A shell of its own: inside of an `if`, set -e of a subshell is without effect.
  if (cd "$place" && exec bash -eu -o pipefail -c "$block") </dev/null >build/readme.log 2>&1; then
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
