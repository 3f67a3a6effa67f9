#!/bin/sh
# Runs test programs, one per processor at a time, and adds up what cmocka printed: tests/run.sh PROGRAM...
# A program that crashes or prints no result counts as one failed test. What a test says it skipped is repeated. Last line: N
# passed, N failed.
logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"' EXIT
export logs
export OMP_WAIT_POLICY=passive # many programs share the processors: spinning at barriers would slow them all
one='
log=$logs/$(echo "$1" | tr / _)
start=$(date +%s)
"$1" >"$log" 2>&1; echo "exit status $?" >>"$log"
passed=$(sed -n "s/^\[  PASSED  \] \([0-9]*\) test(s).*/\1/p" "$log" | tail -n 1)
failed=$(sed -n "s/^\[  FAILED  \] \([0-9]*\) test(s), listed below.*/\1/p" "$log" | tail -n 1)
skipped=$(sed -n "s/^\[  SKIPPED \] \([0-9]*\) test(s), listed below.*/\1/p" "$log" | tail -n 1)
status=$(sed -n "s/^exit status //p" "$log" | tail -n 1)
[ -n "$passed" ] || passed=0
[ -n "$failed" ] || failed=0
[ -n "$skipped" ] || skipped=0
[ "$status" = 0 ] || [ "$failed" != 0 ] || failed=1
[ "$passed$failed$skipped" != 000 ] || failed=1
echo "$passed $failed" >"$log.sum"
printf "  %-6s %-48s %3d passed, %d failed (%d s)\n" TEST "${1##*/tests/}" "$passed" "$failed" $(($(date +%s) - start))
[ "$failed" = 0 ] || cat "$log"
sed -n "s/^skipped: /         skipped: /p" "$log"
'
printf '%s\n' "$@" | xargs -P "${JOBS:-$(nproc)}" -I{} sh -c "$one" sh {}
cat "$logs"/*.sum | awk '{ p += $1; f += $2 } END { printf "%d passed, %d failed\n", p, f; exit f > 0 || p == 0 }'
