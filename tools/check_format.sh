#!/bin/bash
# usage: tools/check_format.sh [--fix]      Holds all C++ against .clang-format; exit 77 without clang-format-16.
set -u
cd "$(dirname "$0")/.." || exit 1
command -v clang-format-16 >/dev/null || { echo "skipped: clang-format-16 is not installed"; exit 77; }
mode=(--dry-run -Werror)
[ "${1:-}" = --fix ] && mode=(-i)
mapfile -t files < <(find src tests bench examples \( -name '*.h' -o -name '*.cc' \) 2>/dev/null | sort)
if printf '%s\0' "${files[@]}" | xargs -0 -n 20 -P "$(nproc)" clang-format-16 "${mode[@]}" 2>&1 | grep -E 'error:' | cut -d: -f1 | sort | uniq -c | sort -rn | grep .; then
  echo "places that clang-format-16 would change; tools/check_format.sh --fix changes them"
  exit 1
fi
echo "${#files[@]} files as .clang-format says"
