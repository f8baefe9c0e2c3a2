#!/bin/bash
# usage: tools/check_layers.sh      Holds the includes of src/ against the levels written in src/CMakeLists.txt.
#
# A file includes its own folder and folders of lower levels, nothing beside or above; what it includes exists; headers
# have #pragma once (but for kernels/**/generic/, which is included once per instruction set), no `using namespace`, and none of the heavy headers that would be paid for in every
# file, unless their first lines say "For .cc files of this folder".
set -u
cd "${LYCEUM_CHECK_ROOT:-$(dirname "$0")/..}" || exit 1
find src -name '*.h' -o -name '*.cc' | sort | xargs awk '
  function complain(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; ++bad }
  BEGIN {
    while ((getline row < "src/CMakeLists.txt") > 0)
      if (match(row, /^lyceum_folder\([a-z_]+ LEVEL [0-9]+/)) {
        split(substr(row, RSTART + 14, RLENGTH - 14), part, " ")
        level[part[1]] = part[3] + 0
        ++folders
      }
    level["cli"] = 10
    if (folders < 3) { print "src/CMakeLists.txt: no rows of lyceum_folder(name LEVEL n) found"; bad = 1; exit }
  }
  FNR == 1 {
    if (header != "" && !once && header !~ /\/generic\//) { printf "%s: a header without #pragma once\n", header; ++bad }
    split(FILENAME, path, "/"); own = path[2]; ++files
    header = FILENAME ~ /\.h$/ ? FILENAME : ""; once = 0; internal = 0
    if (!(own in level)) complain("folder " own " has no row in src/CMakeLists.txt")
  }
  /^#pragma once/ { once = 1 }
  FNR < 4 && /For \.cc files of this folder/ { internal = 1 }
  header != "" && /^ *using namespace/ { complain("`using namespace` in a header") }
  header != "" && !internal && /^#include <(nlohmann\/json\.hpp|CLI\/|toml\+\+|pcre2|google\/|gtest|boost)/ {
    complain("a heavy header in a header: " $2 "; include it in the .cc file that needs it")
  }
  /^#include "/ {
    name = $2; gsub(/"/, "", name); folder = name; sub(/\/.*/, "", folder); ++includes
    if (folder == own) { }
    else if (!(folder in level)) complain("includes " name ", which names no folder of src/: paths are relative to src/")
    else if (level[folder] >= level[own])
      complain(sprintf("%s (level %d) includes %s (level %d): arrows point down", own, level[own], name, level[folder]))
    if (name !~ /\.pb\.h$/ && (getline one < ("src/" name)) < 0) complain("includes " name ", which does not exist")
    close("src/" name)
  }
  END {
    if (header != "" && !once && header !~ /\/generic\//) { printf "%s: a header without #pragma once\n", header; ++bad }
    printf "%d includes in %d files, %d against the rules\n", includes, files, bad
    exit bad > 0
  }'
