#!/bin/sh
# Usage: level_symbols.sh <level> <object file>...
#
# Code of a level above the baseline must not define a symbol that the linker may merge with one from elsewhere: the surviving
# copy could hold instructions the machine lacks. Such symbols are weak (W, V) or unique (u); they are harmless when their
# mangled name contains the level's namespace, because then no other level defines them.
set -eu
level=$1
shift
namespace="2tk${#level}${level}"
if [ $# -eq 0 ]; then
  echo "level_symbols: no object files for level $level" >&2
  exit 2
fi
# With "-P -A" each line is: file: name type value size. DW.ref.* are data words that unwind tables point to, not code.
offenders=$(nm -P -A --defined-only "$@" | awk -v namespace="$namespace" '
  $3 ~ /^[WVu]$/ && index($2, namespace) == 0 && $2 !~ /^DW\.ref\./ { print $1, $3, $2 }')
if [ -n "$offenders" ]; then
  echo "level_symbols: shared symbols outside namespace tk::$level:" >&2
  if command -v c++filt >/dev/null 2>&1; then
    printf '%s\n' "$offenders" | c++filt >&2
  else
    printf '%s\n' "$offenders" >&2
  fi
  exit 1
fi
echo "level_symbols: $# objects of level $level define no shared symbols"
