#!/bin/bash
# usage: check_weak_symbols.sh NM OBJECTS...   Objects compiled with ISA flags (x_avx*.cc, x_amx.cc) must define no weak symbol: the
# linker may keep that copy for everybody, and an older CPU then meets instructions it lacks.
nm=$1
shift
[ $# -gt 0 ] || { echo "wanted object files, found none"; exit 1; }
status=0
seen=0
for object in "$@"; do
  case $object in
    *_avx*.o | *_amx.*o) seen=$((seen + 1)) ;;
    *) continue ;;
  esac
  found=$("$nm" -C --defined-only "$object" | grep -E '^[0-9a-f]* [uVvWw] ') || continue
  echo "$object defines weak symbols:"
  echo "$found"
  status=1
done
[ $seen -gt 0 ] || { echo "found no object of an instruction set among $#"; exit 1; }
exit $status
