/* render_dataset: a dataset anybody can make. Songs that data/songwriter.h invents are rendered with a General
 * MIDI sound font; docs/datasets.md describes the folder.
 *
 * Jobs (a song, or one file of single tones) run in parallel, each on one thread with a sound font of its own,
 * and depend on nothing but their seed: the bytes are the same at any number of threads. A finished folder has
 * a truth.json, written last, that holds the job's recipe; folders with the same recipe are skipped. */
#define _POSIX_C_SOURCE 200809L
#include "audio/soundfile.h"
#include "base/cli.h"
#include "base/parallel.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/rng.h"
#include "data/songwriter.h"
#include "data/soundfont.h"
#include "music/midi.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SAMPLE_RATE = 44100, MAX_TRACKS = 16, MAX_GENRES = 16, RECIPE_VERSION = 1, TONE_PARTS = 4 };

static struct {
    int64_t     n_songs, seed, threads;
    double      seconds;
    const char *genres, *soundfont;
    int         tones, quiet;
} args = { 24, 1, 0, 30, "rock,pop,jazz,classical,blues,country,reggae,disco,metal,hip-hop", DATA_SOUNDFONT_PATH, 0, 0 };

static const bl_cli_program program = {
    "render_dataset", "[options] OUT_DIR",
    "Renders a dataset of invented songs: mixtures, stems, notes, metadata.",
    "  tools/render_dataset songs\n"
    "  tools/render_dataset songs --songs 100 --genres rock,jazz --seconds 60 --tones\n", 1, 1, NULL, NULL
};

static const bl_cli_option options[] = {
    { "songs", 'n', BL_CLI_INT, &args.n_songs, "N", "how many songs, dealt to the genres in turn (24)" },
    { "genres", 'g', BL_CLI_TEXT, &args.genres, "LIST", "of rock,pop,jazz,classical,blues,country,reggae,disco,metal,hip-hop (all)" },
    { "seconds", 's', BL_CLI_REAL, &args.seconds, "S", "length of a song, 8 to 600 (30)" },
    { "seed", 0, BL_CLI_INT, &args.seed, "N", "other songs (1)" },
    { "threads", 'j', BL_CLI_INT, &args.threads, "N", "songs rendered at once (all processors)" },
    { "tones", 0, BL_CLI_FLAG, &args.tones, NULL, "also single notes of every instrument, in OUT_DIR/tones" },
    { "soundfont", 0, BL_CLI_TEXT, &args.soundfont, "FILE", "General MIDI sound font (" DATA_SOUNDFONT_PATH ")" },
    { "quiet", 'q', BL_CLI_FLAG, &args.quiet, NULL, "no progress" },
    { 0 }
};

/* ---- single tones: what is rendered ---- */

typedef struct tone_preset {
    const char *folder, *instrument;
    int         program, is_drums, low, high; /* drums: the list below */
    const char *genres[2];                    /* dealt to the files in turn */
} tone_preset;

static const tone_preset tone_presets[] = {
    { "electric_guitar-clean", "electric guitar", 27, 0, 40, 86, { "pop", "rock" } },
    { "electric_guitar-jazz", "electric guitar", 26, 0, 40, 84, { "jazz", "jazz" } },
    { "electric_guitar-overdriven", "electric guitar", 29, 0, 40, 86, { "rock", "rock" } },
    { "electric_guitar-distorted", "electric guitar", 30, 0, 40, 86, { "rock", "rock" } },
    { "acoustic_guitar-steel", "acoustic guitar", 25, 0, 40, 84, { "pop", "rock" } },
    { "acoustic_guitar-nylon", "acoustic guitar", 24, 0, 40, 84, { "pop", "classical" } },
    { "bass-finger", "bass", 33, 0, 28, 60, { "rock", "pop" } },
    { "bass-pick", "bass", 34, 0, 28, 60, { "rock", "pop" } },
    { "double_bass-plucked", "double bass", 32, 0, 28, 60, { "jazz", "jazz" } },
    { "piano-grand", "piano", 0, 0, 28, 100, { "classical", "jazz" } },
    { "electric_piano-tine", "electric piano", 4, 0, 28, 96, { "pop", "pop" } },
    { "organ-rock", "organ", 18, 0, 36, 96, { "rock", "rock" } },
    { "strings-ensemble", "strings", 48, 0, 36, 96, { "pop", "classical" } },
    { "violin-solo", "violin", 40, 0, 55, 96, { "classical", "classical" } },
    { "cello-solo", "cello", 42, 0, 36, 76, { "classical", "classical" } },
    { "trumpet-solo", "trumpet", 56, 0, 54, 86, { "jazz", "jazz" } },
    { "saxophone-alto", "saxophone", 65, 0, 49, 81, { "jazz", "pop" } },
    { "saxophone-tenor", "saxophone", 66, 0, 44, 76, { "jazz", "jazz" } },
    { "flute-solo", "flute", 73, 0, 60, 96, { "classical", "pop" } },
    { "vibraphone-mallets", "vibraphone", 11, 0, 53, 89, { "jazz", "jazz" } },
    { "drums-standard", "drums", 0, 1, 0, 0, { "rock", "pop" } },
    { "drums-power", "drums", 16, 1, 0, 0, { "rock", "rock" } },
    { "drums-room", "drums", 8, 1, 0, 0, { "pop", "rock" } },
    { "drums-brush", "drums", 40, 1, 0, 0, { "jazz", "jazz" } },
};
static const int drum_keys[] = { 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 53, 55, 57 };
static const int tone_velocities[] = { 40, 64, 90, 115 };
static const double tone_seconds[] = { 0.25, 1.0 };

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* ---- jobs ---- */

typedef struct job {
    char               name[64];    /* folder below OUT_DIR                        */
    char               recipe[240];
    char               row[1280];   /* of metadata.csv                             */
    char               genre[16];   /* songs                                       */
    uint64_t           seed;
    const tone_preset *preset;      /* tones, else NULL                            */
    int                part;
} job;

static bl_status write_text(const char *folder, const char *name, const char *text, size_t n_bytes, bl_error *err)
{
    char path[BL_PATH_MAX];
    bl_path_join(path, folder, name, err);
    return err->code ? err->code : bl_write_file(path, text, n_bytes, err);
}

static bl_status write_flac(const char *folder, const char *stem, float *samples, int64_t n_samples, bl_error *err)
{
    char path[BL_PATH_MAX], name[80];
    const audio_clip clip = { samples, n_samples, 1, SAMPLE_RATE };
    snprintf(name, sizeof name, "%s.flac", stem);
    bl_path_join(path, folder, name, err);
    return err->code ? err->code : audio_write(path, &clip, AUDIO_ENCODING_PCM16, err);
}

static bl_status write_midi(const char *folder, const char *stem, const music_score *score, bl_error *err)
{
    char path[BL_PATH_MAX], name[80];
    snprintf(name, sizeof name, "%s.mid", stem);
    bl_path_join(path, folder, name, err);
    return err->code ? err->code : music_midi_write(path, score, err);
}

/* Root mean square of the 50 ms frames within 30 dB of the loudest: how loud it is where it plays. */
static double active_rms(const float *x, int64_t n)
{
    enum { FRAME = SAMPLE_RATE / 20 };
    double loudest = 0, sum = 0;
    int64_t used = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t t = 0; t + FRAME <= n; t += FRAME) {
            double e = 0;
            for (int i = 0; i < FRAME; i++)
                e += (double)x[t + i] * (double)x[t + i];
            if (pass == 0)
                loudest = fmax(loudest, e);
            else if (e > 1e-3 * loudest) {
                sum += e;
                used += FRAME;
            }
        }
    return used ? sqrt(sum / (double)used) : 0;
}

/* ---- a song ---- */

typedef struct stems {
    const char *name[MAX_TRACKS];
    int         of_track[MAX_TRACKS], n;
    float      *audio; /* [n, n_samples] */
} stems;

static void find_stems(const data_composition *song, stems *s)
{
    s->n = 0;
    for (int i = 0; i < song->score.n_tracks; i++) {
        int k = 0;
        while (k < s->n && strcmp(s->name[k], song->parts[i].stem))
            k++;
        if (k == s->n)
            s->name[s->n++] = song->parts[i].stem;
        s->of_track[i] = k;
    }
}

/* Every track at its level, summed per stem; then one gain for the song, and rounding to 16 bits, so that the
 * mixture is the exact sum of the stems as they are in the files. */
static bl_status render_stems(const data_composition *song, data_soundfont *font, stems *s, int64_t n, float *mixture, float *track, bl_error *err)
{
    const double full = 32768, vocal_rms = 0.1, peak_wanted = 0.8;
    double peak = 0;
    for (int i = 0; i < song->score.n_tracks; i++) {
        float *stem = s->audio + s->of_track[i] * n;
        memset(track, 0, (size_t)n * sizeof *track);
        if (data_soundfont_render(font, &song->score.tracks[i], &song->parts[i].expression, n, track, err) != BL_OK)
            return err->code;
        const double rms = active_rms(track, n);
        const double gain = rms > 0 ? vocal_rms / rms * pow(10, song->parts[i].gain_db / 20) : 0;
        for (int64_t t = 0; t < n; t++)
            stem[t] += (float)gain * track[t];
    }
    for (int64_t t = 0; t < n; t++) {
        double sum = 0;
        for (int k = 0; k < s->n; k++)
            sum += (double)s->audio[k * n + t];
        peak = fmax(peak, fabs(sum));
        for (int k = 0; k < s->n; k++) /* a stem alone must not clip either */
            peak = fmax(peak, fabs((double)s->audio[k * n + t]));
    }
    const double gain = peak > 0 ? peak_wanted / peak : 1;
    for (int64_t t = 0; t < n; t++) {
        double sum = 0;
        for (int k = 0; k < s->n; k++) {
            const double q = rint(gain * (double)s->audio[k * n + t] * full) / full;
            s->audio[k * n + t] = (float)q;
            sum += q;
        }
        mixture[t] = (float)sum;
    }
    return BL_OK;
}

/* The notes of the tracks of one stem (stem < 0: of all) with the song's tempo, meter, chords and sections. */
static bl_status write_stem_midi(const char *folder, const char *name, const data_composition *song, const stems *s, int stem, bl_error *err)
{
    music_track tracks[MAX_TRACKS];
    music_score score = song->score;
    score.tracks = tracks;
    score.n_tracks = 0;
    for (int i = 0; i < song->score.n_tracks; i++)
        if (stem < 0 || s->of_track[i] == stem)
            tracks[score.n_tracks++] = song->score.tracks[i];
    return write_midi(folder, name, &score, err);
}

/* Harte's chord syntax, as annotated corpora have it. */
static void harte(const char *name, char *out, size_t size)
{
    static const struct { music_quality quality; const char *text; } names[] = {
        { MUSIC_MAJ, "maj" }, { MUSIC_MIN, "min" }, { MUSIC_DIM, "dim" }, { MUSIC_AUG, "aug" }, { MUSIC_SUS2, "sus2" },
        { MUSIC_SUS4, "sus4" }, { MUSIC_7, "7" }, { MUSIC_MAJ7, "maj7" }, { MUSIC_MIN7, "min7" }, { MUSIC_MINMAJ7, "minmaj7" },
        { MUSIC_DIM7, "dim7" }, { MUSIC_M7B5, "hdim7" }, { MUSIC_6, "maj6" }, { MUSIC_MIN6, "min6" }, { MUSIC_9, "9" }
    };
    music_chord chord;
    if (music_chord_parse(name, &chord) && chord.root >= 0)
        for (int i = 0; i < COUNT(names); i++)
            if (names[i].quality == chord.quality) {
                snprintf(out, size, "%s:%s", music_class_name(chord.root, strchr(name, 'b') != NULL), names[i].text);
                return;
            }
    snprintf(out, size, "N");
}

static bl_status write_truth(const char *folder, const data_composition *song, const char *recipe, bl_error *err)
{
    char *text = NULL, key[16];
    size_t n_bytes = 0;
    FILE *f = open_memstream(&text, &n_bytes);
    if (!f)
        return bl_fail(err, BL_ENOMEM, "no memory for truth.json");
    music_key_format(song->key, key);
    fprintf(f, "{\"recipe\": \"%s\",\n \"genre\": \"%s\", \"feel\": \"%s\", \"tempo\": %.6f, \"beats_per_bar\": %d,\n", recipe, song->genre,
            song->feel, song->bpm, song->beats_per_bar);
    fprintf(f, " \"key\": \"%s:%s\", \"beats\": [", music_class_name(song->key.tonic, music_key_has_flats(song->key)), song->key.minor ? "min" : "maj");
    for (int i = 0; i < song->n_beats; i++)
        fprintf(f, "%s%.6f", i ? ", " : "", song->beats_s[i]);
    fprintf(f, "],\n \"downbeats\": [");
    for (int i = 0; i < song->n_beats; i += song->beats_per_bar)
        fprintf(f, "%s%.6f", i ? ", " : "", song->beats_s[i]);
    fprintf(f, "],\n \"chords\": [");
    for (int i = 0; i < song->score.n_chords; i++) {
        const music_chord_span *c = &song->score.chords[i];
        char name[32];
        harte(c->name, name, sizeof name);
        fprintf(f, "%s[%.6f, %.6f, \"%s\"]", i ? ", " : "", c->start_s, c->end_s, name);
    }
    fprintf(f, "],\n \"melody\": [");
    for (int i = 0; i < song->score.tracks[0].n_notes; i++) {
        const music_note *m = &song->score.tracks[0].notes[i];
        fprintf(f, "%s[%.6f, %.6f, %d, %d]", i ? ", " : "", m->onset_s, m->offset_s, m->pitch, m->velocity);
    }
    fprintf(f, "],\n \"sections\": [");
    for (int i = 0; i < song->score.n_markers; i++)
        fprintf(f, "%s[%.6f, \"%s\"]", i ? ", " : "", song->score.markers[i].time_s, song->score.markers[i].text);
    fprintf(f, "],\n \"parts\": [");
    for (int i = 0; i < song->score.n_tracks; i++)
        fprintf(f, "%s\n  {\"stem\": \"%s\", \"instrument\": \"%s\", \"program\": %d, \"drums\": %s, \"role\": \"%s\", \"style\": \"%s\"}", i ? "," : "",
                song->parts[i].stem, song->score.tracks[i].name, song->score.tracks[i].program, song->score.tracks[i].is_drums ? "true" : "false",
                song->parts[i].role, song->parts[i].style);
    fprintf(f, "]}\n");
    if (fclose(f) != 0)
        bl_fail(err, BL_ENOMEM, "no memory for truth.json");
    else
        write_text(folder, "truth.json", text, n_bytes, err);
    free(text);
    return err->code;
}

static bl_status render_song(const job *j, const char *folder, data_soundfont *font, bl_error *err)
{
    data_composition song;
    stems s = { .n = 0 };
    float *mixture = NULL, *track = NULL;
    const int64_t n = (int64_t)llround(args.seconds * SAMPLE_RATE);
    if (data_compose(&song, j->genre, args.seconds, j->seed, err) != BL_OK)
        return err->code;
    BL_ASSERT(song.score.n_tracks <= MAX_TRACKS);
    find_stems(&song, &s);
    s.audio = calloc((size_t)(s.n * n), sizeof *s.audio);
    mixture = malloc((size_t)n * sizeof *mixture);
    track = malloc((size_t)n * sizeof *track);
    if (!s.audio || !mixture || !track) {
        bl_fail(err, BL_ENOMEM, "no memory for a song of %g s with %d stems", args.seconds, s.n);
        goto done;
    }
    if (render_stems(&song, font, &s, n, mixture, track, err) != BL_OK)
        goto done;
    for (int k = 0; k < s.n && !err->code; k++) {
        write_flac(folder, s.name[k], s.audio + k * n, n, err);
        write_stem_midi(folder, s.name[k], &song, &s, k, err);
    }
    if (!err->code && write_flac(folder, "mixture", mixture, n, err) == BL_OK && write_stem_midi(folder, "song", &song, &s, -1, err) == BL_OK)
        write_truth(folder, &song, j->recipe, err);
done:
    free(track);
    free(mixture);
    free(s.audio);
    data_composition_free(&song);
    return err->code;
}

static void describe_song(job *j, const data_composition *song)
{
    stems s;
    char instruments[256] = "", key[16];
    size_t used = 0;
    find_stems(song, &s);
    for (int i = 0; i < song->score.n_tracks; i++) {
        int first = 1;
        for (int k = 0; k < i; k++)
            first &= s.of_track[k] != s.of_track[i];
        if (first && used < sizeof instruments)
            used += (size_t)snprintf(instruments + used, sizeof instruments - used, "%s%s", used ? ";" : "",
                                     i == 0 ? "voice" : song->score.tracks[i].name);
    }
    music_key_format(song->key, key);
    snprintf(j->row, sizeof j->row, "%s/mixture.flac,%s,%s,%s,%s,%d,%.3f,%d-%02d-%02dT%02d:00:00Z,FluidSynth,%s,%.3f,%s\n", j->name, song->genre, song->title,
             song->artist, song->album, song->year, song->duration_s, song->year, 1 + (int)(j->seed % 12), 1 + (int)(j->seed / 12 % 28),
             8 + (int)(j->seed / 336 % 12), instruments, song->bpm, key);
}

/* ---- tones ---- */

static void stem_name(const char *instrument, char out[64])
{
    snprintf(out, 64, "%s", instrument);
    for (char *c = out; *c; c++)
        *c = *c == ' ' ? '_' : *c;
}

/* Which pitches, velocities and durations go into file `part` of a preset: pitches are dealt out, so that a
 * validation file holds notes that no training file has; drums, where every key is a thing of its own, deal
 * their velocities. */
static int list_tones(const tone_preset *p, int part, music_note *notes, int capacity)
{
    int n = 0;
    const int n_pitches = p->is_drums ? COUNT(drum_keys) : p->high - p->low + 1;
    for (int i = 0; i < n_pitches; i++)
        for (int v = 0; v < COUNT(tone_velocities); v++)
            for (int d = p->is_drums ? 1 : 0; d < COUNT(tone_seconds); d++) {
                const int pitch = p->is_drums ? drum_keys[i] : p->low + i;
                if ((p->is_drums ? v : pitch) % TONE_PARTS != part)
                    continue;
                BL_ASSERT(n < capacity);
                notes[n++] = (music_note){ 0, tone_seconds[d], pitch, tone_velocities[v] };
            }
    return n;
}

static bl_status render_tones(const job *j, const char *folder, data_soundfont *font, bl_error *err)
{
    enum { MAX_NOTES = 400, GRID = SAMPLE_RATE / 100, LONGEST = 5 * SAMPLE_RATE / 2, FADE = SAMPLE_RATE / 20 };
    const tone_preset *p = j->preset;
    music_note notes[MAX_NOTES];
    const int n_notes = list_tones(p, j->part, notes, MAX_NOTES);
    const int64_t capacity = (int64_t)n_notes * (LONGEST + 20 * GRID) + SAMPLE_RATE;
    float *audio = calloc((size_t)capacity, sizeof *audio), peak = 0;
    music_score score = { 0 };
    music_track *track = music_score_add_track(&score, p->instrument, p->program, p->is_drums, err);
    char stem[64], text[400];
    int64_t at = 10 * GRID;
    if (!audio || !track) {
        bl_fail(err, BL_ENOMEM, "no memory for the tones of %s", p->folder);
        goto done;
    }
    /* 125 bpm: ten milliseconds are exactly twenty ticks of the MIDI file. */
    music_score_add_tempo(&score, 0, 125, err);
    music_score_add_meter(&score, 0, 4, 4, err);
    if (data_soundfont_program(font, p->program, p->is_drums, err) != BL_OK)
        goto done;
    for (int i = 0; i < n_notes; i++) {
        const int64_t n = data_soundfont_note(font, notes[i].pitch, notes[i].velocity, notes[i].offset_s, NULL, LONGEST, audio + at);
        const double onset_s = (double)at / SAMPLE_RATE;
        for (int64_t k = n == LONGEST ? LONGEST - FADE : n; k < n; k++)
            audio[at + k] *= (float)(n - k) / FADE;
        music_track_add(track, onset_s, onset_s + fmin(notes[i].offset_s, (double)n / SAMPLE_RATE), notes[i].pitch, notes[i].velocity, err);
        at += (n / GRID + 10) * GRID;
    }
    for (int64_t t = 0; t < at; t++)
        peak = fmaxf(peak, fabsf(audio[t]));
    for (int64_t t = 0; t < at && peak > 0; t++)
        audio[t] *= 0.7f / peak;
    stem_name(p->instrument, stem);
    if (!err->code && write_flac(folder, stem, audio, at, err) == BL_OK && write_midi(folder, stem, &score, err) == BL_OK) {
        const int length = snprintf(text, sizeof text, "{\"recipe\": \"%s\",\n \"genre\": \"%s\", \"tones\": %d,\n \"parts\": [{\"stem\": \"%s\", \"instrument\": \"%s\", \"program\": %d, \"drums\": %s, \"role\": \"tones\", \"style\": \"%s\"}]}\n",
                                    j->recipe, j->genre, n_notes, stem, p->instrument, p->program, p->is_drums ? "true" : "false", p->folder);
        write_text(folder, "truth.json", text, (size_t)length, err);
    }
done:
    music_score_free(&score);
    free(audio);
    return err->code;
}

/* ---- the list of jobs ---- */

static bl_status split_genres(const char *text, char genres[MAX_GENRES][16], int *n, bl_error *err)
{
    *n = 0;
    while (*text) {
        const size_t length = strcspn(text, ",");
        if (length == 0 || length > 15 || *n == MAX_GENRES)
            return bl_fail(err, BL_EARG, "--genres: expected up to %d names with commas between, got \"%.80s\"", MAX_GENRES, args.genres);
        snprintf(genres[(*n)++], 16, "%.*s", (int)length, text);
        text += length + (text[length] == ',');
    }
    return *n ? BL_OK : bl_fail(err, BL_EARG, "--genres: expected a list such as rock,jazz");
}

static bl_status plan_songs(job *jobs, bl_error *err)
{
    char genres[MAX_GENRES][16];
    int n_genres = 0;
    if (split_genres(args.genres, genres, &n_genres, err) != BL_OK)
        return err->code;
    for (int64_t i = 0; i < args.n_songs && !err->code; i++) {
        job *j = &jobs[i];
        data_composition song;
        const int64_t number = i / n_genres + 1;
        snprintf(j->genre, sizeof j->genre, "%s", genres[i % n_genres]);
        snprintf(j->name, sizeof j->name, "%s-%03d", j->genre, (int)number);
        j->seed = bl_hash(bl_hash((uint64_t)args.seed + 1, j->genre, strlen(j->genre)), &number, sizeof number);
        snprintf(j->recipe, sizeof j->recipe, "render_dataset %d song %s seed %lld seconds %.6g font %.60s", RECIPE_VERSION, j->name,
                 (long long)args.seed, args.seconds, bl_path_name(args.soundfont));
        if (data_compose(&song, j->genre, args.seconds, j->seed, err) != BL_OK)
            return err->code;
        describe_song(j, &song);
        data_composition_free(&song);
    }
    return BL_OK;
}

static void plan_tones(job *jobs)
{
    char stem[64];
    for (int i = 0; i < COUNT(tone_presets) * TONE_PARTS; i++) {
        job *j = &jobs[i];
        j->preset = &tone_presets[i / TONE_PARTS];
        j->part = i % TONE_PARTS;
        snprintf(j->genre, sizeof j->genre, "%s", j->preset->genres[j->part % 2]);
        snprintf(j->name, sizeof j->name, "tones/%s-%d", j->preset->folder, j->part + 1);
        snprintf(j->recipe, sizeof j->recipe, "render_dataset %d %s font %.60s", RECIPE_VERSION, j->name, bl_path_name(args.soundfont));
        stem_name(j->preset->instrument, stem);
        snprintf(j->row, sizeof j->row, "%s/%s.flac,%s,%s tones %d,,,,,,FluidSynth,%s,,\n", j->name, stem, j->genre, j->preset->folder, j->part + 1, j->preset->instrument);
    }
}

static bl_status write_metadata(const char *out, const job *jobs, int64_t n, bl_error *err)
{
    char *text = NULL;
    size_t n_bytes = 0;
    FILE *f = open_memstream(&text, &n_bytes);
    if (!f)
        return bl_fail(err, BL_ENOMEM, "no memory for metadata.csv");
    fprintf(f, "file,genre,title,artist,album,release,duration,timestamp,producer,instruments,tempo,key\n");
    for (int64_t i = 0; i < n; i++)
        fputs(jobs[i].row, f);
    if (fclose(f) != 0)
        bl_fail(err, BL_ENOMEM, "no memory for metadata.csv");
    else
        write_text(out, "metadata.csv", text, n_bytes, err);
    free(text);
    return err->code;
}

/* ---- doing them ---- */

/* truth.json begins with {"recipe": "...". */
static int is_finished(const job *j, const char *folder)
{
    static const char before[] = "{\"recipe\": \"";
    char path[BL_PATH_MAX], *text = NULL;
    size_t n_bytes = 0;
    bl_error ignored = { 0 };
    int same = 0;
    if (bl_path_join(path, folder, "truth.json", &ignored) == BL_OK && bl_is_file(path) &&
        bl_read_file(path, 1 << 24, &text, &n_bytes, &ignored) == BL_OK) {
        const size_t n = strlen(j->recipe), m = strlen(before);
        same = n_bytes > m + n && !strncmp(text, before, m) && !strncmp(text + m, j->recipe, n) && text[m + n] == '"';
    }
    free(text);
    return same;
}

/* A folder of another recipe would keep stems that the new song has not: its sounds and notes go, if we made them. */
static void clear_folder(const char *folder)
{
    char path[BL_PATH_MAX], **names = NULL;
    int n = 0;
    bl_error ignored = { 0 };
    if (bl_path_join(path, folder, "truth.json", &ignored) != BL_OK || !bl_is_file(path))
        return;
    unlink(path);
    if (bl_list_folder(folder, &names, &n, &ignored) != BL_OK)
        return;
    for (int i = 0; i < n; i++)
        if ((!strcmp(bl_path_extension(names[i]), "flac") || !strcmp(bl_path_extension(names[i]), "mid")) &&
            bl_path_join(path, folder, names[i], &ignored) == BL_OK)
            unlink(path);
    bl_names_free(names, n);
}

static bl_status run_job(const job *j, const char *out, data_soundfont **font, bl_error *err)
{
    char folder[BL_PATH_MAX];
    if (bl_path_join(folder, out, j->name, err) != BL_OK || is_finished(j, folder))
        return err->code;
    if (!*font && !(*font = data_soundfont_new(args.soundfont, SAMPLE_RATE, err)))
        return err->code;
    clear_folder(folder);
    if (bl_make_folder(folder, err) != BL_OK)
        return err->code;
    return j->preset ? render_tones(j, folder, *font, err) : render_song(j, folder, *font, err);
}

static bl_status run_jobs(const char *out, const job *jobs, int64_t n, bl_error *err)
{
    bl_progress progress;
    int64_t done = 0, next = 0;
    bl_progress_start(&progress, "rendering", "folders", n, args.quiet);
#pragma omp parallel num_threads((int)args.threads)
    {
        data_soundfont *font = NULL;
        for (int64_t i; (i = bl_take(&next)) < n;) {
            bl_error own = { 0 };
            int stop;
#pragma omp critical(render_dataset)
            stop = err->code != BL_OK || bl_interrupted();
            if (!stop)
                run_job(&jobs[i], out, &font, &own);
#pragma omp critical(render_dataset)
            {
                if (own.code != BL_OK)
                    bl_fail(err, own.code, "%s", own.msg);
                if (!stop && own.code == BL_OK)
                    bl_progress_step(&progress, ++done, jobs[i].name);
            }
        }
        data_soundfont_free(font);
    }
    bl_progress_end(&progress);
    if (err->code == BL_OK && bl_interrupted())
        bl_fail(err, BL_ESTOP, "interrupted after %lld of %lld folders; the same command goes on from here", (long long)done, (long long)n);
    return err->code;
}

static bl_status render(const char *out, bl_error *err)
{
    const int64_t n_tones = args.tones ? COUNT(tone_presets) * TONE_PARTS : 0, n = args.n_songs + n_tones;
    job *jobs = calloc((size_t)n, sizeof *jobs);
    if (!jobs)
        return bl_fail(err, BL_ENOMEM, "no memory for %lld songs", (long long)args.n_songs);
    if (n_tones)
        plan_tones(jobs + args.n_songs);
    /* A font that cannot be read is found out before anything is written. */
    data_soundfont_free(data_soundfont_new(args.soundfont, SAMPLE_RATE, err));
    if (!err->code && plan_songs(jobs, err) == BL_OK && bl_make_folder(out, err) == BL_OK && run_jobs(out, jobs, n, err) == BL_OK)
        write_metadata(out, jobs, n, err);
    free(jobs);
    return err->code;
}

int main(int argc, char **argv)
{
    const char *out = NULL;
    int n_out = 0;
    bl_error err = { 0 };
    const int status = bl_cli_parse(&program, options, argc, argv, &out, &n_out);
    if (status >= 0)
        return status;
    if (args.n_songs < 0 || args.n_songs > 10000 || (args.n_songs == 0 && !args.tones))
        bl_fail(&err, BL_EARG, "--songs: expected 1 to 10000, got %lld", (long long)args.n_songs);
    if (args.threads < 0 || args.threads > 1024)
        bl_fail(&err, BL_EARG, "--threads: expected 1 to 1024, got %lld", (long long)args.threads);
    if (args.threads == 0)
        args.threads = omp_get_max_threads();
    if (!bl_is_file(args.soundfont))
        bl_fail(&err, BL_EIO, "%s: no such sound font (Debian's package is fluid-soundfont-gm)", args.soundfont);
    bl_catch_interrupt();
    if (err.code != BL_OK || render(out, &err) != BL_OK)
        return bl_cli_fail(&program, &err);
    if (!args.quiet)
        printf("%s: %lld songs%s\n", out, (long long)args.n_songs, args.tones ? " and the tones of every instrument" : "");
    return 0;
}
