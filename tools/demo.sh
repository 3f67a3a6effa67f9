#!/bin/sh
# Renders a rock song from the demo vocal with the shipped models: tools/demo.sh [BIN] [OUT]. `make demo` builds and calls it.
set -eu
cd "$(dirname "$0")/.."
bin=${1:-bin}
out=${2:-demo}

mkdir -p "$out"
"$bin/infer" data/demo_vocal.flac -o "$out/song.wav" --genre rock --instruments "electric guitar, bass, drums" \
    --stems "$out/stems" --midi "$out/song.mid" --report "$out/report.json" --picture "$out/song.png"

echo
echo "the song:     $out/song.wav"
echo "its stems:    $out/stems/ ($(ls "$out/stems" | tr '\n' ' ' | sed 's/ $//'))"
echo "as MIDI:      $out/song.mid"
echo "the report:   $out/report.json    (edit it and hand it back with --plan)"
echo "piano roll:   $out/song.png"
