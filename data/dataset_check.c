/* Dataset reader: what is in a dataset, for people. */
#include "audio/soundfile.h"
#include "data/dataset_private.h"
#include "data/instruments.h"

#include <math.h>
#include <stdlib.h>

enum { SKIPPED_SHOWN = 20 };
static const float SILENT_PEAK = 1e-4f;  /* -80 dBFS */
static const float CLIPPED_PEAK = 0.999f;
enum { CLIPPED_RUN = 4 };                /* samples in a row at full scale: no wave does that by itself */

static void look_at_levels(data_dataset *d, const char *path, data_summary *s, double *peak, double *power, double *n)
{
    bl_error local = { 0 };
    audio_clip clip = { 0 };
    const bl_status status = audio_read(path, data_max_file_s(d), &clip, &local);
    if (status != BL_OK) {
        s->n_not_finite += status == BL_ENAN;
        data_dataset_skip(d, path, local.msg);
        return;
    }
    float highest = 0;
    int run = 0, longest = 0;
    const int64_t total = clip.n_samples * clip.n_channels;
    for (int64_t i = 0; i < total; i++) {
        const float a = fabsf(clip.samples[i]);
        highest = a > highest ? a : highest;
        run = a >= CLIPPED_PEAK ? run + 1 : 0;
        longest = run > longest ? run : longest;
        *power += (double)a * (double)a;
    }
    *n += (double)total;
    *peak = (double)highest > *peak ? (double)highest : *peak;
    s->n_silent += highest < SILENT_PEAK;
    s->n_clipped += longest >= CLIPPED_RUN;
    audio_clip_free(&clip);
}

bl_status data_dataset_check(data_dataset *d, int levels, data_summary *s, bl_error *err)
{
    double peak = 0, power = 0, n = 0;
    *s = (data_summary){ .n_songs = d->n_songs, .has_levels = levels };
    s->genre_songs = calloc((size_t)d->n_genres + 1, sizeof *s->genre_songs);
    s->genre_seconds = calloc((size_t)d->n_genres + 1, sizeof *s->genre_seconds);
    s->instrument_stems = calloc((size_t)data_instrument_count(), sizeof *s->instrument_stems);
    s->instrument_seconds = calloc((size_t)data_instrument_count(), sizeof *s->instrument_seconds);
    if (!s->genre_songs || !s->genre_seconds || !s->instrument_stems || !s->instrument_seconds) {
        data_summary_free(s);
        return bl_fail(err, BL_ENOMEM, "%s: no memory for the summary", d->path);
    }
    for (int i = 0; i < d->n_songs; i++) {
        const data_song *song = &d->songs[i];
        *(song->split == DATA_TRAIN ? &s->n_train : &s->n_validation) += 1;
        s->seconds += song->duration_s;
        if (song->genre < 0)
            s->n_without_genre++;
        else {
            s->genre_songs[song->genre]++;
            s->genre_seconds[song->genre] += song->duration_s;
        }
        int annotated = song->midi_path != NULL;
        for (int k = 0; k < song->n_stems; k++) {
            const data_stem *stem = &song->stems[k];
            annotated |= stem->midi_path != NULL || stem->pitch >= 0;
            s->n_files++;
            s->stem_seconds += stem->duration_s;
            if (stem->instrument < 0)
                s->n_unknown_stems++;
            else {
                s->instrument_stems[stem->instrument]++;
                s->instrument_seconds[stem->instrument] += stem->duration_s;
            }
            if (levels)
                look_at_levels(d, stem->path, s, &peak, &power, &n);
        }
        s->n_annotated += annotated;
        if (song->mixture) {
            s->n_files++;
            if (levels)
                look_at_levels(d, song->mixture, s, &peak, &power, &n);
        }
    }
    s->n_skipped = d->n_skipped;
    s->peak_db = peak > 0 ? 20 * log10(peak) : -HUGE_VAL;
    s->mean_level_db = power > 0 ? 10 * log10(power / n) : -HUGE_VAL;
    return BL_OK;
}

void data_summary_free(data_summary *s)
{
    free(s->genre_songs);
    free(s->genre_seconds);
    free(s->instrument_stems);
    free(s->instrument_seconds);
    *s = (data_summary){ 0 };
}

void data_summary_print(const data_dataset *d, const data_summary *s, FILE *out)
{
    static const char *const layouts[DATA_N_LAYOUTS] = { "loose files", "files in genre folders", "folders of stems", "NSynth notes" };
    fprintf(out, "%s: %d song%s in %d file%s, %.1f minutes", d->path, s->n_songs, s->n_songs == 1 ? "" : "s", s->n_files,
            s->n_files == 1 ? "" : "s", s->seconds / 60);
    if (s->stem_seconds > 0)
        fprintf(out, " (stems %.1f)", s->stem_seconds / 60);
    fprintf(out, "\n  layout      ");
    for (int i = 0, first = 1; i < DATA_N_LAYOUTS; i++)
        if (d->layout_count[i]) {
            fprintf(out, "%s%d %s", first ? "" : ", ", d->layout_count[i], layouts[i]);
            first = 0;
        }
    fprintf(out, "\n  split       %d train, %d validation\n", s->n_train, s->n_validation);
    fprintf(out, "  notes       %d song%s with note annotations\n", s->n_annotated, s->n_annotated == 1 ? "" : "s");
    for (int i = 0; i < d->n_genres; i++)
        fprintf(out, "  %-11s %-20s %5d songs %8.1f minutes\n", i ? "" : "genres", d->genres[i], s->genre_songs[i],
                s->genre_seconds[i] / 60);
    if (s->n_without_genre)
        fprintf(out, "  %-11s %-20s %5d songs\n", d->n_genres ? "" : "genres", "(none given)", s->n_without_genre);
    for (int i = 0, first = 1; i < data_instrument_count(); i++)
        if (s->instrument_stems[i]) {
            fprintf(out, "  %-11s %-20s %5d stems %8.1f minutes\n", first ? "instruments" : "", data_instrument_name(i),
                    s->instrument_stems[i], s->instrument_seconds[i] / 60);
            first = 0;
        }
    if (s->n_unknown_stems)
        fprintf(out, "  %-11s %-20s %5d stems\n", "", "(unknown)", s->n_unknown_stems);
    if (s->has_levels)
        fprintf(out, "  levels      peak %.1f dBFS, mean %.1f dBFS; %d clipped, %d silent, %d with values that are not finite\n",
                s->peak_db, s->mean_level_db, s->n_clipped, s->n_silent, s->n_not_finite);
    if (d->unmatched_rows)
        fprintf(out, "  metadata    %d row%s without a file, the first %s\n", d->unmatched_rows, d->unmatched_rows == 1 ? "" : "s",
                d->private_->first_unmatched ? d->private_->first_unmatched : "");
    fprintf(out, "  skipped     %d\n", d->n_skipped);
    for (int i = 0; i < d->n_skipped && i < SKIPPED_SHOWN; i++)
        fprintf(out, "    %s: %s\n", d->skipped[i].path, d->skipped[i].reason);
    if (d->n_skipped > SKIPPED_SHOWN)
        fprintf(out, "    ... and %d more\n", d->n_skipped - SKIPPED_SHOWN);
}
