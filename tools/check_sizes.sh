#!/bin/bash
# usage: tools/check_sizes.sh       No file above 600 lines, no function above 120; prints the largest and the median.
set -u
cd "${LYCEUM_CHECK_ROOT:-$(dirname "$0")/..}" || exit 1
shopt -s nullglob
files=$(find src tests bench tools examples cmake -type f \( -name '*.h' -o -name '*.cc' -o -name '*.sh' -o -name '*.py' \
  -o -name '*.cmake' -o -name '*.js' -o -name CMakeLists.txt \) -not -path 'tests/goldens/*' 2>/dev/null | sort)
status=0
while read -r lines file; do
  [ "$file" != total ] && [ "$lines" -gt 600 ] && { echo "$file has $lines lines; 600 at most: split it by what its parts do"; status=1; }
done < <(xargs wc -l <<<"$files")
# A function here: from a line that begins at the margin and ends in "{" to the "}" at the margin.
grep -E '\.(h|cc)$' <<<"$files" | xargs awk '
  FNR == 1 { inside = 0 }
  /^[A-Za-z~].*\{$/ && !/^(namespace|class|struct|union|enum|extern)/ && !/=/ { inside = FNR }
  /^[A-Za-z~].*\)( const| noexcept)* \{$/ || /^TEST/ { inside = FNR }
  /^}/ { if (inside && FNR - inside > 120) { printf "%s:%d: a function of %d lines; 80 is the aim, 120 the most\n", FILENAME, inside, FNR - inside; bad = 1 } inside = 0 }
  END { exit bad }' || status=1
xargs wc -l <<<"$files" | grep -v ' total$' | sort -n | awk '{ n[NR] = $1; f[NR] = $2 } END { printf "%d files, median %d lines, largest %d (%s)\n", NR, n[int((NR + 1) / 2)], n[NR], f[NR] }'
exit $status
