#!/bin/sh
# The library as others use it: installed under $INSTALLED, found by pkg-config. Prints results as cmocka does.
cd "$(dirname "$0")/../.." || exit 1
PKG_CONFIG_PATH=$INSTALLED/lib/pkgconfig
LD_LIBRARY_PATH=$INSTALLED/lib
export PKG_CONFIG_PATH LD_LIBRARY_PATH
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
claim() { # name, then a command that must succeed
    name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "[  FAILED  ] $name"
        cat "$work/log"
    fi
}

# shellcheck disable=SC2046
compile() { ${CC:-cc} -std=c11 -Wall -Wextra -Werror -o "$work/example" tests/install/example.c $(pkg-config --cflags --libs backline); }
run_it() { "$work/example" >"$work/out" && [ "$(wc -l <"$work/out")" = 24 ] && ! grep -qv '^-\{0,1\}0\.[0-9e-]*$' "$work/out"; }
only_our_names() {
    nm -D --defined-only "$INSTALLED/lib/libbackline.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' >"$work/names"
    grep -q '^nn_backward$' "$work/names" && grep -q '^audio_' "$work/names" && ! grep -vE '^(bl|nn|audio|music|data|blocks|infer)_' "$work/names"
}
soname_has_a_version() { objdump -p "$INSTALLED/lib/libbackline.so" | grep -q 'SONAME  *libbackline\.so\.[0-9]'; }
headers_compile_alone() {
    for header in $(cd "$INSTALLED/include/backline" && find . -name '*.h'); do
        # shellcheck disable=SC2046
        echo "#include \"$header\"" | ${CC:-cc} -std=c11 -fopenmp -fsyntax-only -x c $(pkg-config --cflags backline) - ||
            return 1
    done
}
claim 'a program outside the tree compiles' compile
claim 'and runs' run_it
claim 'the library exports only names with a prefix of ours' only_our_names
claim 'its soname has a version' soname_has_a_version
claim 'installed headers compile' headers_compile_alone
echo "[  PASSED  ] $passed test(s)."
[ $failed = 0 ] || echo "[  FAILED  ] $failed test(s), listed below:"
exit $failed
