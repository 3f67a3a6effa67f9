#!/bin/sh
# What a compiler does not check: every header compiles alone, modules use only those below them, each outside library is
# included where CONTRIBUTING.md says, and no header is unfinished. Prints what is wrong; exit status 1 if anything is.
cd "$(dirname "$0")/.." || exit 1
modules='base nn audio music data blocks train infer'
bad=0
complain() { echo "lint: $*"; bad=1; }

flags="-std=c11 -I. -fopenmp -Wall -Wextra -Wpedantic $(pkg-config --cflags hdf5)"
for header in $(git ls-files '*.h' | grep -v '^tests/'); do
    # shellcheck disable=SC2086
    ${CC:-cc} $flags -fsyntax-only -x c "$header" 2>/dev/null || complain "$header does not compile alone"
done

allowed=''
for module in $modules; do
    allowed="$allowed $module"
    pattern=$(echo $allowed | tr ' ' '|')
    for line in $(grep -nE '^#include "[a-z]+/' $module/*.[ch] $module/*/*.[ch] 2>/dev/null |
        grep -vE "#include \"($pattern)/" | tr ' ' '_'); do
        # train and infer are programs beside each other: neither uses the other
        complain "$line"
    done
done
grep -nE '^#include "(audio|music|data|blocks)/' nn/*.[ch] nn/*/*.[ch] && complain 'nn must know nothing of audio'
grep -nE '^#include "train/' infer/*.[ch] && complain 'infer must not use train'

one_home() { # header, files that may include it
    for file in $(grep -lE "^#include <$1>" $(git ls-files '*.c' '*.h' | grep -v '^tests/')); do
        case " $2 " in *" $file "*) ;; *) complain "$file includes $1; only $2 may" ;; esac
    done
}
one_home hdf5.h nn/checkpoint.c
one_home sndfile.h audio/soundfile.c
one_home samplerate.h audio/resample.c
one_home fftw3.h base/fft.c
one_home ini.h base/config.c
one_home png.h audio/canvas.c
one_home ebur128.h audio/loudness.c
one_home fluidsynth.h data/soundfont.c

grep -nE 'omp for.*(dynamic|guided)' $(git ls-files '*.c' '*.h' | grep -v '^base/parallel') && complain 'base/parallel.h says how'
git ls-files '*.h' | xargs grep -nwE 'TODO|FIXME|XXX' && complain 'unfinished headers'
exit $bad
