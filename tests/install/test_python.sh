#!/bin/sh
# python/backline.py with the installed library: the same numbers as in C and NumPy.
cd "$(dirname "$0")/../.." || exit 1
PYTHON=${PYTHON:-python3}
if ! "$PYTHON" -c 'import numpy' 2>/dev/null; then
    echo "left out: $PYTHON has no numpy"
    exit 0
fi
PKG_CONFIG_PATH=$INSTALLED/lib/pkgconfig
LD_LIBRARY_PATH=$INSTALLED/lib
PYTHONPATH=python
export PKG_CONFIG_PATH LD_LIBRARY_PATH PYTHONPATH
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2046
${CC:-cc} -std=c11 -o "$work/example" tests/install/example.c $(pkg-config --cflags --libs backline) &&
    "$work/example" >"$work/out" && "$PYTHON" tests/install/test_python.py "$work/out" &&
    "$PYTHON" python/examples/run_network.py configs/networks/wavegan.ini generator
