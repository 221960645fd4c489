#!/bin/sh
# run_planted.sh BINARY[=CASES]...: runs each binary with a planted bug until a seed finds it, or, with CASES (a filter of
# GoogleTest), until one of its cases does; fails when one survives.
survivors=0
for binary in "$@"; do
  case $binary in
    *=*)
      bug=${binary%%=*}
      found=$(timeout 120 "$bug" --gtest_filter="${binary#*=}" --gtest_fail_fast 2>&1 | sed -n 's/^\[  FAILED  \] \([^ ]*\) .*/\1/p' | head -n 1)
      if [ -n "$found" ]; then
        echo "planted ${bug##*_planted_}: found by $found"
      else
        echo "planted ${bug##*_planted_}: SURVIVED ${binary#*=}"
        survivors=$((survivors + 1))
      fi
      ;;
    *) "$binary" --count 20000 --workers 2 --find "${binary##*_planted_}" || survivors=$((survivors + 1)) ;;
  esac
done
echo "planted bugs: $# in all, $survivors survived"
[ "$survivors" -eq 0 ]
