#include "audio/key.h"

#include "audio/key_tables.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODES = 2, KEYS = AUDIO_KEYS };

static const char *const names_major[12] = { "C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B" };
static const char *const names_minor[12] = { "C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B" };

/* Temperley 2007 ("Music and Probability"): share of the pieces' segments that hold each degree. */
static const double temperley[MODES][12] = {
    { .748, .060, .488, .082, .670, .460, .096, .715, .104, .366, .057, .400 },
    { .712, .084, .474, .618, .049, .460, .105, .747, .404, .067, .133, .330 },
};

/* Albrecht & Shanahan 2013: share of notes over 490 works of the common practice. */
static const double albrecht[MODES][12] = {
    { .238, .006, .111, .006, .137, .094, .016, .214, .009, .080, .008, .081 },
    { .220, .006, .104, .123, .019, .103, .012, .214, .062, .022, .061, .052 },
};

audio_key audio_key_make(int tonic, int is_minor)
{
    audio_key key = { .tonic = ((tonic % 12) + 12) % 12, .is_minor = is_minor != 0, .confidence = 1 };
    snprintf(key.name, sizeof key.name, "%s %s", (is_minor ? names_minor : names_major)[key.tonic],
             is_minor ? "minor" : "major");
    return key;
}

int audio_key_has(const audio_key *key, int pitch)
{
    static const char major[] = "101011010101", minor[] = "101101011011"; /* minor: 7th degree and leading tone */
    const int degree = (((pitch - key->tonic) % 12) + 12) % 12;
    return (key->is_minor ? minor : major)[degree] == '1';
}

bl_status audio_key_parse(const char *text, audio_key *out, bl_error *err)
{
    static const int  letter_pitch[7] = { 9, 11, 0, 2, 4, 5, 7 }; /* A .. G */
    static const char *const minors[] = { "m", "min", "minor", "moll", "aeolian" }, *const majors[] = { "", "maj", "major", "dur", "M", "ionian" };
    const char *p = text;
    char        mode[16];
    size_t      n = 0;

    while (isspace((unsigned char)*p))
        p++;
    const int letter = toupper((unsigned char)*p);
    if (letter < 'A' || letter > 'G')
        goto wrong;
    int tonic = letter_pitch[letter - 'A'];
    for (p++; *p == '#' || *p == 'b'; p++)
        tonic += *p == '#' ? 1 : -1;
    while (isspace((unsigned char)*p) || *p == ':' || *p == '-')
        p++;
    for (; *p && !isspace((unsigned char)*p) && n + 1 < sizeof mode; p++)
        mode[n++] = *p;
    mode[n] = '\0';
    while (isspace((unsigned char)*p))
        p++;
    if (*p)
        goto wrong;
    if (strcmp(mode, "M") != 0 && strcmp(mode, "m") != 0)
        for (size_t i = 0; i < n; i++)
            mode[i] = (char)tolower((unsigned char)mode[i]);
    for (size_t i = 0; i < sizeof minors / sizeof *minors; i++)
        if (!strcmp(mode, minors[i])) {
            *out = audio_key_make(tonic, 1);
            return BL_OK;
        }
    for (size_t i = 0; i < sizeof majors / sizeof *majors; i++)
        if (!strcmp(mode, majors[i])) {
            *out = audio_key_make(tonic, 0);
            return BL_OK;
        }
wrong:
    return bl_fail(err, BL_EARG, "expected a key such as \"A minor\", \"Am\", \"F# major\" or \"Bb\", got \"%s\"", text);
}

static double correlation(const double *profile, int tonic, const double *heard)
{
    double mean_p = 0, mean_h = 0, pp = 0, hh = 0, ph = 0;
    for (int i = 0; i < 12; i++) {
        mean_p += profile[i] / 12;
        mean_h += heard[i] / 12;
    }
    for (int i = 0; i < 12; i++) {
        const double p = profile[i] - mean_p, h = heard[(i + tonic) % 12] - mean_h;
        pp += p * p, hh += h * h, ph += p * h;
    }
    return pp > 0 && hh > 0 ? ph / sqrt(pp * hh) : 0;
}

static void add_profiles(const double *heard, double *score)
{
    for (int k = 0; k < KEYS; k++)
        score[k] += correlation(temperley[k / 12], k % 12, heard) + 0.5 * correlation(albrecht[k / 12], k % 12, heard);
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* An onset three times longer ago than usual, or a silence, ends a phrase. */
static double phrase_gap(const audio_sung_note *notes, int n)
{
    double *gap = n > 1 ? malloc(sizeof(double) * (size_t)(n - 1)) : NULL, result = 1.0;
    if (gap) {
        for (int i = 0; i + 1 < n; i++)
            gap[i] = notes[i + 1].onset_s - notes[i].onset_s;
        qsort(gap, (size_t)(n - 1), sizeof *gap, compare_doubles);
        result = 2.5 * gap[(n - 1) / 2];
    }
    free(gap);
    return result;
}

/* Notes on the beat and on the bar say more than passing notes. */
static double metric_weight(const audio_rhythm *rhythm, double onset_s)
{
    if (!rhythm || rhythm->n_beats < 2)
        return 1;
    const double at = audio_rhythm_position(rhythm, onset_s), beat = floor(at + 0.5);
    if (fabs(at - beat) > 0.13)
        return 1;
    const int in_bar = ((int)beat - rhythm->first_downbeat) % rhythm->beats_per_bar;
    return in_bar == 0 ? 1.25 : 1.12;
}

static void add_notes(const audio_sung_note *notes, int n, float tuning_cents, const audio_rhythm *rhythm, double *score)
{
    double heard[12] = { 0 };
    if (n < 1)
        return;
    for (int i = 0; i < n; i++)
        heard[((audio_sung_pitch(&notes[i], tuning_cents) % 12) + 12) % 12] +=
            fmin(2.0, notes[i].offset_s - notes[i].onset_s) * metric_weight(rhythm, notes[i].onset_s);
    add_profiles(heard, score);

    const double gap = phrase_gap(notes, n);
    for (int k = 0; k < KEYS; k++) {
        const int mode = k / 12, tonic = k % 12;
        double    next = 0, end = 0;
        int       n_ends = 0;
        for (int i = 0; i < n; i++) {
            const int degree = (audio_sung_pitch(&notes[i], tuning_cents) - tonic + 1200) % 12;
            if (i + 1 < n)
                next -= degree_next[mode][degree][(audio_sung_pitch(&notes[i + 1], tuning_cents) - tonic + 1200) % 12] / 100.0;
            if (i + 1 < n && notes[i + 1].onset_s - notes[i].onset_s > gap) {
                end -= degree_phrase_end[mode][degree] / 100.0;
                n_ends++;
            }
            if (i + 1 == n)
                score[k] -= 0.05 * degree_last[mode][degree] / 100.0;
        }
        score[k] += (n > 1 ? next / (n - 1) : 0) + (n_ends ? 0.1 * end / n_ends : 0);
    }
}

/* Fitted on melodies: of keys found with a confidence of 0.8, about 0.8 are right. */
static const double SHARPNESS = 5.8;

void audio_key_weigh(const audio_sung_note *notes, int n_notes, float tuning_cents, const audio_rhythm *rhythm, double log_p[AUDIO_KEYS])
{
    double score[AUDIO_KEYS] = { 0 }, top = -INFINITY, sum = 0;
    add_notes(notes, notes ? n_notes : 0, tuning_cents, rhythm, score);
    for (int k = 0; k < AUDIO_KEYS; k++)
        top = fmax(top, log_p[k] = SHARPNESS * score[k]);
    for (int k = 0; k < AUDIO_KEYS; k++)
        sum += exp(log_p[k] - top);
    for (int k = 0; k < AUDIO_KEYS; k++)
        log_p[k] -= top + log(sum);
}

audio_key audio_key_decide(const double log_p[AUDIO_KEYS])
{
    int best = 0;
    for (int k = 1; k < AUDIO_KEYS; k++)
        if (log_p[k] > log_p[best])
            best = k;
    audio_key key = audio_key_make(best % 12, best / 12);
    key.confidence = (float)exp(log_p[best]);
    return key;
}

audio_key audio_key_from_notes(const audio_sung_note *notes, int n_notes, float tuning_cents, const audio_rhythm *rhythm)
{
    double log_p[AUDIO_KEYS];
    audio_key_weigh(notes, n_notes, tuning_cents, rhythm, log_p);
    return audio_key_decide(log_p);
}
