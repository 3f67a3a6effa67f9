#!/bin/sh
# The dataset of the shipped separator, made from recordings with free licences, MIDI files and sound fonts.
#
#     tools/separation_set.sh DATA OUT [HELD_OUT_SONG]...
#     bin/train_separator --config configs/separator.ini OUT --out models
#
# DATA holds vocals/, phrases/, songs/ and midi/ (docs/separator.md). HELD_OUT_SONG: 2.Lithium, 4.Potassium, 7.Francium go to
# OUT/validation instead of OUT/train. SONGS (default 48, as shipped) scales what is rendered.
# Needs flite, fluidsynth, FluidR3_GM.sf2 and MuseScore_General_Lite.sf3 (Debian: flite fluidsynth fluid-soundfont-gm
# musescore-general-soundfont-small), python3 with numpy, scipy, soundfile, mido.
set -e
[ $# -ge 2 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 2; }
data=$1 out=$2
shift 2
songs=${SONGS:-48}
tools=$(dirname "$0") bin=${BIN:-$(dirname "$0")/../bin} python=${PYTHON:-/usr/bin/python3}
fluid=/usr/share/sounds/sf2/FluidR3_GM.sf2 muse=/usr/share/sounds/sf3/MuseScore_General_Lite.sf3
mkdir -p "$out/made" "$out/train/real" "$out/train/rendered" "$out/train/melodies" "$out/train/synths" "$out/train/sung"

"$bin/render_dataset" "$out/made/fluid" --songs "$songs" --genres rock,pop,jazz,classical --seconds 30 --seed 101 --soundfont "$fluid"
"$bin/render_dataset" "$out/made/muse" --songs "$songs" --genres rock,pop,jazz,classical --seconds 30 --seed 202 --soundfont "$muse"
for song in "$out"/made/fluid/*/ "$out"/made/muse/*/; do
    name=$(basename "$(dirname "$song")")-$(basename "$song")
    mkdir -p "$out/train/rendered/$name"
    for stem in "$song"*.flac; do
        case $stem in */mixture.flac | */vocals.flac) ;; *) ln -f "$stem" "$out/train/rendered/$name/" ;; esac
    done
    case $name in *pop-001 | *rock-002 | *jazz-003)
        mkdir -p "$out/train/sung/$name"
        ln -f "${song}vocals.flac" "$out/train/sung/$name/" ;;
    esac
done
"$python" "$tools/render_accompaniments.py" "$out/train/melodies" --midi "$data/midi" --soundfont "$fluid" --songs $((songs / 2)) --seed 11
"$python" "$tools/render_accompaniments.py" "$out/train/melodies" --midi "$data/midi" --soundfont "$muse" --songs $((songs / 2)) --seed 12
"$python" "$tools/render_synths.py" "$out/train/synths" --songs $((songs * 5 / 6)) --seed 31
"$python" "$tools/render_synths.py" "$out/train/synths" --songs $((songs * 35 / 24)) --seed 32
"$python" "$tools/sing_voices.py" "$out/train/sung" --melodies "$data/midi/pop909" --timbre "$data/vocals/vocadito_1.flac" \
    --timbre "$data/vocals/nit_song070_f001_004.flac" --timbre "$data/vocals/sms_singing-female.flac" --flite --per-timbre 4 --seconds 25
mkdir -p "$out/train/sung/demo"
cp "$tools/../data/demo_vocal.flac" "$out/train/sung/demo/vocals.flac"

real() { mkdir -p "$out/train/real/$2" && cp "$data/$1" "$out/train/real/$2/$3"; }
for voice in vocadito_1 nit_song070_f001_004 nit_song070_f001_007 sms_singing-female; do
    real "vocals/$voice.flac" "$voice" vocals.flac
done
for phrase in librosa_solo_trumpet:trumpet sms_bendir:percussion sms_cello-double-2:cello sms_cello-phrase:cello \
    sms_mridangam:percussion sms_piano:piano sms_sax-phrase-short:saxophone sonicpi_guit_e_fifths:electric_guitar \
    sonicpi_guit_e_slide:electric_guitar sonicpi_guit_em9:electric_guitar sonicpi_guit_harmonics:electric_guitar \
    sonicpi_loop_breakbeat:drums; do
    real "phrases/${phrase%%:*}.flac" "${phrase%%:*}" "${phrase##*:}.flac"
done
mkdir -p "$out/train/real/mdn"
cp "$data"/songs/stems_mdn_multitrack/*.mp3 "$out/train/real/mdn/"
for song in 2.Lithium 4.Potassium 7.Francium; do
    to=train/real
    case " $* " in *" $song "*) to=validation ;; esac
    mkdir -p "$out/$to/$song"
    cp "$data/songs/stems_$song"/*.flac "$out/$to/$song/"
done
rm -r "$out/made"
