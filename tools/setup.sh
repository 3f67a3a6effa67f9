#!/bin/sh
# Installs the Debian packages that are missing, then builds: the first command on a fresh machine.
#
#   tools/setup.sh demo      packages, then make demo
#   tools/setup.sh check     packages, then make check
#   tools/setup.sh all       packages, then make
#   tools/setup.sh packages [NAME]...  packages only, and these (the Makefile calls this when something is missing)
#
# More words go to make: tools/setup.sh check BUILD=asan. Needs neither make nor a compiler to start with.
# Nothing is installed, and nothing said, when nothing is missing.
set -eu

libraries='libfftw3-dev libsndfile1-dev libsamplerate0-dev libebur128-dev libinih-dev
libhdf5-dev libcmocka-dev libpng-dev libjansson-dev libfluidsynth-dev fluid-soundfont-gm'
modules='sndfile samplerate libebur128 hdf5 libpng jansson fluidsynth inih fftw3f fftw3 cmocka'

have() { command -v "$1" >/dev/null 2>&1; }
fail() { echo "setup.sh: $*" >&2; exit 1; }
usage() { sed -n '4,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Prints what is missing, on one line. A compiler or make from elsewhere counts.
missing() {
    have cc && have make || printf 'build-essential '
    have pkg-config || printf 'pkg-config '
    for package in $libraries; do
        installed "$package" || printf '%s ' "$package"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install() {
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Use-Pty=0 $1
}

# A fresh image has no package lists; old lists name files that the mirror no longer has.
lists_know() {
    for package in $1; do
        apt-cache policy "$package" 2>/dev/null | grep -q 'Candidate: [^(]' || return 1
    done
}

packages() {
    if ! have dpkg-query; then
        # shellcheck disable=SC2086
        if have make && have cc && have pkg-config && pkg-config --exists $modules; then return; fi
        fail "this system has no Debian packages; install by its own means: a C compiler, make, pkg-config and" \
             "$(echo "$libraries" | tr '\n' ' ')"
    fi
    need=$(missing)
    [ -n "$need" ] || return 0
    echo "setup.sh: these packages are missing: ${need% }"
    have apt-get || fail "apt-get, which would install them, is not here; install them by other means and run this again"
    [ "$(id -u)" = 0 ] || have sudo ||
        fail "installing needs root and there is no sudo; as root run: apt-get install ${need% }"
    lists_know "$need" || as_root apt-get update -qq || fail "apt-get update failed (is the network reachable?)"
    install "$need" || { as_root apt-get update -qq && install "$need"; } ||
        fail "apt-get could not install: ${need% }"
    need=$(missing)
    [ -z "$need" ] || fail "still missing after installing: ${need% }"
    echo "setup.sh: installed"
}

[ $# -ge 1 ] || usage
what=$1
shift
cd "$(dirname "$0")/.."
case $what in
packages) libraries="$libraries $*" && packages ;;
demo | check | all) packages && exec make "$what" "$@" ;;
*) usage ;;
esac
