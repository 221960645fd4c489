#!/bin/sh
# run_planted.sh BINARY...: runs each binary with a planted bug until a seed finds it; fails when one survives.
survivors=0
for binary in "$@"; do
  "$binary" --count 20000 --workers 2 --find "${binary##*_planted_}" || survivors=$((survivors + 1))
done
echo "planted bugs: $# in all, $survivors survived"
[ "$survivors" -eq 0 ]
