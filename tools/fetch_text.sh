#!/bin/sh
# Downloads small Debian packages of documentation and unpacks them, without installing anything:
#
#   tools/fetch_text.sh DIR        -> DIR/<package>/usr/share/...
#
# Images often leave documentation out, and prose and other languages are on few machines; this gives `lyceum data
# ingest --machine --packages DIR` both. What cannot be downloaded is named and left out; without a network nothing is
# fetched and the exit code is still 0. A package that is already there is not fetched again.
set -u
[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
mkdir -p "$1" || exit 1
dir=$(cd "$1" && pwd)

packages="anarchism fortunes debian-reference-en debian-reference-zh-cn developers-reference
  manpages-zh fortunes-zh manpages-fr manpages-de manpages-es manpages-it python3.11-doc bible-kjv-text bible-kjv"
# What a bare image lacks although it is a Debian machine: pages of its own manual, and sources in Python and Perl.
[ -n "$(find /usr/share/man/man1 -name '*.gz' 2>/dev/null | head -n 100 | tail -n +100)" ] ||
  packages="$packages manpages manpages-dev coreutils bash git-man findutils tar util-linux openssl perl-doc gcc-12-doc"
[ -n "$(find /usr/lib/python3* -name '*.py' 2>/dev/null | head -n 200 | tail -n +200)" ] ||
  packages="$packages libpython3.11-stdlib libpython3.11-minimal python3-setuptools"
[ -d /usr/share/perl ] || packages="$packages perl-modules-5.36"

missing=
for p in $packages; do
  [ -e "$dir/$p/.complete" ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  echo "note: no apt-get here: going on with the text that this machine has" >&2
  exit 0
fi

work=$(mktemp -d "$dir/.fetch.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
# One call fetches all; if one package is unknown or fails, the rest are tried one by one.
# shellcheck disable=SC2086
apt-get -q -o APT::Sandbox::User=root -o Acquire::Retries=1 -o Acquire::http::Timeout=15 download $missing >log 2>&1 ||
  for p in $missing; do
    ls "${p}"_*.deb >/dev/null 2>&1 ||
      timeout 60 apt-get -q -o APT::Sandbox::User=root -o Acquire::http::Timeout=15 download "$p" >>log 2>&1 ||
      echo "note: $p could not be downloaded (no network, or not in this release): left out" >&2
    if grep -qE 'Could not resolve|Temporary failure|Network is unreachable' log; then
      echo "note: no network: going on with the text that this machine has" >&2
      break
    fi
  done

for p in $missing; do
  deb=$(ls "${p}"_*.deb 2>/dev/null | head -n 1)
  [ -n "$deb" ] || continue
  rm -rf "${dir:?}/$p"
  mkdir "$p" && dpkg-deb -x "$deb" "$p" && mv "$p" "$dir/$p" && : >"$dir/$p/.complete"
done

# The King James Bible is stored in a form of its own that only its program reads: unpacked as well, it prints all
# verses, a line each; every chapter becomes a file.
program="$dir/bible-kjv/usr/bin/bible"
if [ -x "$program" ] && [ -r "$dir/bible-kjv-text/usr/lib/bible.data" ] && [ ! -d "$dir/bible-kjv-text/bible" ]; then
  mkdir bible chapters
  if "$program" -l4000 -p "$dir/bible-kjv-text/usr/lib/" gen1:1-rev22:21 </dev/null >all 2>/dev/null; then
    awk '/^[1-3]? ?[A-Z][A-Za-z ]* [0-9]+$/ { name = $0; gsub(/ /, "_", name); file = "chapters/" name ".txt" }
         file { sub(/^ +/, ""); print > file }' all
    [ -z "$(ls chapters)" ] || mv chapters "$dir/bible-kjv-text/bible"
  else
    echo "note: the program of bible-kjv does not run here (it needs libreadline8): the Bible is left out" >&2
  fi
fi
exit 0
