#!/bin/sh
# Usage: level_symbols.sh <level> <object file>...
#
# Code of a level above the baseline must not define a symbol that the linker may merge with one from elsewhere: the surviving
# copy could hold instructions the machine lacks. Such symbols are weak functions (W) or unique ones (u); they are harmless when
# their mangled name contains the level's namespace, because then no other level defines them. Weak data (V: type information,
# unwind references) holds no instructions.
set -eu
level=$1
shift
# tk::<level> in a mangled name; the compiler abbreviates a tk it has spelled before to S_, S0_, ...
namespace="(2tk|S[0-9A-Z]*_)${#level}${level}"
if [ $# -eq 0 ]; then
  echo "level_symbols: no object files for level $level" >&2
  exit 2
fi
# With "-P -A" each line is: file: name type value size.
symbols=$(nm -P -A --defined-only "$@")
offenders=$(printf '%s\n' "$symbols" | awk -v namespace="$namespace" '
  $3 ~ /^[Wu]$/ && $2 !~ namespace { print $1, $3, $2 }')
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
