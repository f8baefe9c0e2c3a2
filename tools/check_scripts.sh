#!/bin/bash
# usage: tools/check_scripts.sh     Every script parses, may be executed, and names only packages that exist once.
set -u
cd "$(dirname "$0")/.." || exit 1
status=0 n=0
for script in test quickstart .ci/run tools/*.sh tests/fuzz/*.sh; do
  [ -e "$script" ] || continue
  n=$((n + 1))
  case $(head -n 1 "$script") in
    '#!/bin/bash') bash -n "$script" || status=1 ;;
    '#!/bin/sh') sh -n "$script" || status=1 ;;
    *) echo "$script: wanted #!/bin/bash or #!/bin/sh on the first line"; status=1 ;;
  esac
  [ -x "$script" ] || { echo "$script: not executable"; status=1; }
done
twice=$(awk 'NF && $1 !~ /^[#[]/ { print $1 }' tools/packages.txt | sort | uniq -d)
[ -z "$twice" ] || { echo "tools/packages.txt names twice: $twice"; status=1; }
# Libraries that a .cc file includes without a package in the list would only be missed on somebody else's machine.
while read -r header; do
  case $header in
    nlohmann/*) p=nlohmann-json3-dev ;; CLI/*) p=libcli11-dev ;; toml++/*) p=libtomlplusplus-dev ;;
    pcre2.h) p=libpcre2-dev ;; utf8proc.h) p=libutf8proc-dev ;; zlib.h) p=zlib1g-dev ;; zstd*) p=libzstd-dev ;;
    lzma.h) p=liblzma-dev ;; xxhash.h) p=libxxhash-dev ;; sqlite3.h) p=libsqlite3-dev ;;
    google/*) p=libprotobuf-dev ;; gtest/*) p=libgtest-dev ;; benchmark/*) p=libbenchmark-dev ;;
    */*.h | */*.hpp) case $header in sys/* | linux/* | asm/*) continue ;; esac
      echo "#include <$header>: which package of tools/packages.txt has it? Tell tools/check_scripts.sh"; status=1; continue ;;
    *) continue ;;
  esac
  grep -qE "^$p( |\$)" tools/packages.txt || { echo "#include <$header> needs $p, which tools/packages.txt lacks"; status=1; }
done < <(grep -rhoE '^ *# *include <[^>]+>' src tests bench examples 2>/dev/null | sed 's/.*<//; s/>//' | sort -u)
echo "$n scripts"
exit $status
