#include "audio/notes.h"

#include "audio/flux.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    STEPS = 4,          /* states a semitone                                              */
    ENTRY_REACH = 16,   /* a note may begin this many states around the pitch that sounds */
    LONGEST_GAP = 6,    /* unvoiced frames over which a vibrato is followed               */
    PIECE = 20000       /* frames whose back pointers are held at a time                  */
};

/* Log probabilities, per frame of 10 ms. */
static const double VOICED_IN_REST = -2.5, UNVOICED_IN_REST = -0.1;
static const double VOICED_IN_NOTE = -0.1, UNVOICED_IN_NOTE = -1.6;
static const double ATTACK_STAYS = -0.2, ATTACK_ENDS = -1.7;
static const double SUSTAIN_STAYS = -0.01, SUSTAIN_RESTS = -4.5;
static const double REST_STAYS = -0.05, REST_ENDS = -4.5;
static const double NEW_PITCH = -8.5, NEW_PITCH_WITH_ONSET = -3.5; /* a note that follows at another pitch */
/* What a note pays for going on over an onset. */
static const double ONSET_IGNORED = 10;
static const double SAME_PITCH = -16, SAME_PITCH_WITH_ONSET = -3.5;

static const float FADED_DB = 20;
static const float OFF_PITCH = 0.6f;
/* Where a note begins, and what is a scoop into the next one: frames of 10 ms, semitones over 20 ms. */
static const float   RISE_DB = 12, STILL = 0.25f, SCOOP_REACH = 3.5f;
static const int64_t EARLY = 12, SCOOP = 13, STEADY = 4;

typedef struct line {
    int64_t n;
    float  *pitch;  /* MIDI, vibrato removed; 0 where unvoiced                      */
    float  *raw;    /* MIDI as measured                                             */
    float  *attack; /* 0..1: evidence that something begins here                    */
    float  *near;   /* the same, or 0.8 of a neighbour's: onsets may be a frame off */
    float  *level;  /* dB relative to the loud frames                               */
} line;

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

double audio_tuning_cents(const audio_f0_track *f0)
{
    double re = 0, im = 0;
    const double turn = 2 * acos(-1.0);
    for (int64_t t = 3; t + 3 < f0->n_frames; t++) {
        const float hz = f0->f0_hz[t], before = f0->f0_hz[t - 3], after = f0->f0_hz[t + 3];
        if (hz <= 0 || before <= 0 || after <= 0)
            continue;
        const double midi = audio_hz_to_midi((double)hz);
        const double slope = fabs(audio_hz_to_midi((double)after) - audio_hz_to_midi((double)before));
        const double weight = exp(-slope * slope / (2 * 0.15 * 0.15)); /* glides say nothing about tuning */
        re += weight * cos(turn * midi);
        im += weight * sin(turn * midi);
    }
    return re == 0 && im == 0 ? 0 : 100 * atan2(im, re) / turn;
}

int audio_sung_pitch(const audio_sung_note *note, float tuning_cents)
{
    return (int)lroundf(note->pitch - tuning_cents / 100);
}

void audio_notes_free(audio_sung_notes *notes)
{
    free(notes->notes);
    free(notes->confidence);
    memset(notes, 0, sizeof *notes);
}

/* Vibrato out: where the pitch swings through at least three turning points at 3.5 to 9 Hz with swings
 * of like size, it is replaced by its mean over one period. */
static void remove_vibrato(const float *raw, float *pitch, int64_t n, double hop_s)
{
    const int64_t half_min = llround(0.5 / 9 / hop_s), half_max = llround(0.5 / 3.5 / hop_s);
    int64_t       turn[3] = { -1, -1, -1 };
    int           direction = 0;

    memcpy(pitch, raw, sizeof(float) * (size_t)n);
    int64_t extreme = -1; /* the running extreme in the present direction */
    for (int64_t t = 0; t < n; t++) {
        if (raw[t] <= 0) {
            int64_t gap = 0;
            while (t + gap < n && raw[t + gap] <= 0)
                gap++;
            if (gap > LONGEST_GAP) {
                turn[0] = turn[1] = turn[2] = extreme = -1;
                direction = 0;
            }
            t += gap - 1;
            continue;
        }
        if (extreme < 0) {
            extreme = t;
            continue;
        }
        const float swing = raw[t] - raw[extreme];
        if (direction == 0) {
            if (fabsf(swing) > 0.08f) {
                direction = swing > 0 ? 1 : -1;
                extreme = t;
            }
            continue;
        }
        if ((direction > 0) == (swing > 0)) {
            extreme = t;
            continue;
        }
        if (fabsf(swing) < 0.08f)
            continue;
        turn[0] = turn[1], turn[1] = turn[2], turn[2] = extreme;
        direction = -direction;
        extreme = t;
        if (turn[0] < 0)
            continue;
        const int64_t first = turn[1] - turn[0], second = turn[2] - turn[1];
        const float   up = fabsf(raw[turn[1]] - raw[turn[0]]), down = fabsf(raw[turn[2]] - raw[turn[1]]);
        if (first < half_min || first > half_max || second < half_min || second > half_max || up > 3.0f || down > 3.0f ||
            up < 0.55f * down || down < 0.55f * up)
            continue;
        /* The middle between a turning point and the line through its neighbours. */
        const float middle_first = 0.5f * (raw[turn[0]] + raw[turn[1]]), middle_second = 0.5f * (raw[turn[1]] + raw[turn[2]]);
        for (int64_t i = turn[0]; i <= turn[2]; i++)
            if (raw[i] > 0) {
                const float u = (float)(i - turn[0]) / (float)(turn[2] - turn[0]);
                pitch[i] = (1 - u) * middle_first + u * middle_second;
            }
    }
}

static void line_free(line *l)
{
    free(l->pitch), free(l->raw), free(l->attack), free(l->near), free(l->level);
}

/* Evidence of re-attacks: peaks of the flux, and rises out of a dip in loudness. */
static void mark_attacks(line *l, const audio_flux *flux, double hop_s)
{
    for (int64_t t = 0; t < l->n; t++) {
        double evidence = 0;
        if (flux) {
            const int64_t u = llround((double)t * hop_s / flux->hop_s);
            if (u > 2 && u + 3 < flux->n_frames) {
                const float here = flux->sum[u];
                float       around = 0;
                int         peak = 1;
                for (int64_t i = u - 3; i <= u + 3; i++)
                    peak = peak && flux->sum[i] <= here;
                for (int64_t i = u - 10 < 0 ? 0 : u - 10; i < u + 10 && i < flux->n_frames; i++)
                    around += flux->sum[i] / 20;
                if (peak)
                    evidence = (double)(here - 1.2f * around) / 0.9;
            }
        }
        /* The loudness now was lower than both shortly before and shortly after. */
        if (t >= 10 && t + 8 < l->n) {
            float before = -200, after = -200;
            for (int64_t i = t - 10; i < t; i++)
                before = l->level[i] > before ? l->level[i] : before;
            for (int64_t i = t + 1; i <= t + 8; i++)
                after = l->level[i] > after ? l->level[i] : after;
            const float dip = fminf(before, after) - l->level[t];
            if (l->level[t] <= l->level[t - 1] && l->level[t] <= l->level[t + 1])
                evidence = fmax(evidence, (double)(dip - 1.5f) / 5.0);
        }
        l->attack[t] = (float)fmin(1, fmax(0, evidence));
    }
    for (int64_t t = 0; t < l->n; t++) {
        const float before = t ? l->attack[t - 1] : 0, after = t + 1 < l->n ? l->attack[t + 1] : 0;
        l->near[t] = fmaxf(l->attack[t], 0.8f * fmaxf(before, after));
    }
}

static bl_status line_init(line *l, const audio_f0_track *f0, const audio_flux *flux, bl_error *err)
{
    const size_t n = (size_t)f0->n_frames;
    l->n = f0->n_frames;
    l->pitch = malloc(sizeof(float) * n), l->raw = malloc(sizeof(float) * n);
    l->attack = malloc(sizeof(float) * n), l->near = malloc(sizeof(float) * n), l->level = malloc(sizeof(float) * n);
    if (!l->pitch || !l->raw || !l->attack || !l->near || !l->level)
        return bl_fail(err, BL_ENOMEM, "notes: no memory");
    memcpy(l->level, f0->rms, sizeof(float) * n);
    qsort(l->level, n, sizeof(float), compare_floats);
    const double loud = fmax(1e-6, (double)l->level[(n - 1) * 95 / 100]);
    for (size_t t = 0; t < n; t++) {
        l->raw[t] = f0->f0_hz[t] > 0 ? (float)audio_hz_to_midi((double)f0->f0_hz[t]) : 0.0f;
        l->level[t] = (float)(20 * log10(fmax(1e-6, (double)f0->rms[t] / loud)));
    }
    remove_vibrato(l->raw, l->pitch, l->n, f0->hop_s);
    mark_attacks(l, flux, f0->hop_s);
    return BL_OK;
}

/* States: 0 rest, 1 .. P attack of pitch i, P+1 .. 2P sustain of pitch i. */
typedef struct note_search {
    int     pitches;
    double  lowest;
    double *now, *next;
    unsigned short *from; /* [PIECE, states] */
} note_search;

static double sustain_cost(double away)
{
    away = fabs(away);
    return -0.15 * away - fmin(6, fmax(0, away - 0.35) / 0.3);
}

static double attack_cost(double away)
{
    away = fabs(away);
    return -0.4 - fmin(2.5, fmax(0, away - 0.5) / 1.2);
}

/* The best way into a note of pitch i: from rest or from the sustain of any pitch. */
static double enter(const note_search *s, int i, double attack, int *from)
{
    const int    P = s->pitches;
    const double fresh = NEW_PITCH + attack * (NEW_PITCH_WITH_ONSET - NEW_PITCH);
    const double again = SAME_PITCH + attack * (SAME_PITCH_WITH_ONSET - SAME_PITCH);
    double       top = s->now[0] + REST_ENDS + 1.5 * attack;
    *from = 0;
    for (int k = 0; k < P; k++) {
        const int    apart = k > i ? k - i : i - k;
        const double score = s->now[1 + P + k] + (apart <= STEPS / 2 ? again : fresh - 0.06 * apart / STEPS);
        if (score > top) {
            top = score;
            *from = 1 + P + k;
        }
    }
    return top;
}

static void step(note_search *s, float pitch, double attack, double near, unsigned short *from)
{
    const int    P = s->pitches, voiced = pitch > 0;
    const double heard = voiced ? VOICED_IN_NOTE : UNVOICED_IN_NOTE;
    const int    at = voiced ? (int)lround(((double)pitch - s->lowest) * STEPS) : -1000;

    const double ignored = ONSET_IGNORED * fmax(0, attack - 0.2);

    double top = s->now[0] + REST_STAYS;
    from[0] = 0;
    for (int k = 0; k < P; k++) {
        const double score = s->now[1 + P + k] + SUSTAIN_RESTS;
        if (score > top) {
            top = score;
            from[0] = (unsigned short)(1 + P + k);
        }
    }
    s->next[0] = top + (voiced ? VOICED_IN_REST : UNVOICED_IN_REST);

    for (int i = 0; i < P; i++) {
        const double away = (double)(i - at) / STEPS;
        double       a = s->now[1 + i] + ATTACK_STAYS;
        int          a_from = 1 + i;
        if (voiced && i - at <= ENTRY_REACH && at - i <= ENTRY_REACH) {
            int          new_from;
            const double entry = enter(s, i, near, &new_from);
            if (entry > a) {
                a = entry;
                a_from = new_from;
            }
        }
        s->next[1 + i] = a + heard + (voiced ? attack_cost(away) : -0.4);
        from[1 + i] = (unsigned short)a_from;
        double b = s->now[1 + P + i] + SUSTAIN_STAYS;
        int    b_from = 1 + P + i;
        if (s->now[1 + i] + ATTACK_ENDS > b) {
            b = s->now[1 + i] + ATTACK_ENDS;
            b_from = 1 + i;
        }
        s->next[1 + P + i] = b + heard - ignored + (voiced ? sustain_cost(away) : 0);
        from[1 + P + i] = (unsigned short)b_from;
    }
    double *swap = s->now;
    s->now = s->next, s->next = swap;
}

/* state [n] of the best path. */
static bl_status find_states(const line *l, unsigned short *state, note_search *s, bl_error *err)
{
    float low = 200, high = 0;
    for (int64_t t = 0; t < l->n; t++)
        if (l->pitch[t] > 0) {
            low = fminf(low, l->pitch[t]);
            high = fmaxf(high, l->pitch[t]);
        }
    s->lowest = floor((double)low) - 1;
    s->pitches = high > 0 ? (int)(((double)ceilf(high) + 1 - s->lowest) * STEPS) + 1 : 1;
    const int    states = 1 + 2 * s->pitches;
    const size_t longest = (size_t)(l->n < PIECE ? l->n : PIECE);
    s->now = malloc(sizeof(double) * (size_t)states), s->next = malloc(sizeof(double) * (size_t)states);
    s->from = malloc(sizeof *s->from * longest * (size_t)states);
    if (!s->now || !s->next || !s->from)
        return bl_fail(err, BL_ENOMEM, "notes: no memory");
    s->now[0] = 0;
    for (int i = 1; i < states; i++)
        s->now[i] = -1e9;
    for (int64_t first = 0; first < l->n; first += PIECE) {
        const int64_t n = l->n - first < PIECE ? l->n - first : PIECE;
        for (int64_t t = 0; t < n; t++)
            step(s, l->pitch[first + t], (double)l->attack[first + t], (double)l->near[first + t],
                 s->from + t * states);
        int end = 0;
        for (int i = 1; i < states; i++)
            if (s->now[i] > s->now[end])
                end = i;
        for (int64_t t = n - 1; t >= 0; t--) {
            state[first + t] = (unsigned short)end;
            end = s->from[t * states + end];
        }
    }
    return BL_OK;
}

typedef struct span { int64_t from, to; float pitch, level; int alive; } span;

/* Median of the smoothed pitch over the settled middle of a note. */
static float settle(const line *l, int64_t from, int64_t to, float *scratch)
{
    const int64_t length = to - from, skip_front = length > 12 ? length / 5 : length > 5 ? 2 : 0;
    const int64_t skip_back = length > 12 ? length / 10 : 0;
    size_t        n = 0;
    for (int64_t t = from + skip_front; t < to - skip_back; t++)
        if (l->pitch[t] > 0)
            scratch[n++] = l->pitch[t];
    for (int64_t t = from; !n && t < to; t++)
        if (l->pitch[t] > 0)
            scratch[n++] = l->pitch[t];
    if (!n)
        return 0;
    qsort(scratch, n, sizeof(float), compare_floats);
    return n % 2 ? scratch[n / 2] : 0.5f * (scratch[n / 2 - 1] + scratch[n / 2]);
}

/* Where a path enters an attack state from another state, a note begins. */
static int64_t cut_spans(const line *l, const unsigned short *state, int pitches, span *out, float *scratch)
{
    int64_t n = 0, start = -1;
    for (int64_t t = 0; t <= l->n; t++) {
        const int now = t < l->n ? state[t] : 0, before = t ? state[t - 1] : 0;
        const int begins = now > 0 && now <= pitches && now != before, ends = start >= 0 && (begins || now == 0);
        if (ends) {
            int64_t from = start, to = t;
            while (from < to && l->raw[from] <= 0)
                from++;
            while (to > from && l->raw[to - 1] <= 0)
                to--;
            if (to > from) {
                float level = -200;
                for (int64_t i = from; i < to; i++)
                    level = fmaxf(level, l->level[i]);
                while (to > from + 1 && l->level[to - 1] < level - FADED_DB)
                    to--; /* reverberation and dying breath are not the note */
                out[n++] = (span){ from, to, settle(l, from, to, scratch), level, 1 };
            }
            start = -1;
        }
        if (begins)
            start = t;
    }
    return n;
}

/* A note begins with its vowel, where it has nearly come to its loudness, and not with the consonant or the breath of pitch
 * before: at the last rise through RISE_DB below the loudest of its first frames. */
static void trim_onset(span *s, const line *l)
{
    const int64_t end = s->from + EARLY < s->to ? s->from + EARLY : s->to;
    int64_t       loudest = s->from;
    for (int64_t t = s->from; t < end; t++)
        loudest = l->level[t] > l->level[loudest] ? t : loudest;
    for (int64_t t = loudest; t > s->from; t--)
        if (l->level[t - 1] < l->level[loudest] - RISE_DB) {
            s->from = t;
            return;
        }
}

/* Whether a short note runs into the next one and has no place where its pitch stays: a scoop. */
static int is_scoop(const span *s, const span *next, const line *l)
{
    int64_t steady = 0, longest = 0;
    if (s->to - s->from > SCOOP || next->from - s->to > 1 || fabsf(next->pitch - s->pitch) >= SCOOP_REACH)
        return 0;
    for (int64_t t = s->from + 2; t < s->to; t++) {
        const int still = l->raw[t] > 0 && l->raw[t - 2] > 0 && fabsf(l->raw[t] - l->raw[t - 2]) < STILL;
        steady = still ? steady + 1 : 0;
        longest = steady > longest ? steady : longest;
    }
    return longest < STEADY;
}

/* Notes that are too short, and scoops, become part of the neighbour they touch, or vanish. */
static void absorb_short(span *spans, int64_t n, int64_t shortest, const line *l, float *scratch)
{
    for (int64_t i = 0; i < n; i++) {
        const int scoop = i + 1 < n && is_scoop(&spans[i], &spans[i + 1], l);
        if (spans[i].to - spans[i].from >= shortest && !scoop)
            continue;
        int64_t before = i - 1, after = i + 1;
        while (before >= 0 && !spans[before].alive)
            before--;
        const int touches_before = before >= 0 && spans[i].from - spans[before].to <= 3;
        const int touches_after = after < n && spans[after].from - spans[i].to <= 3;
        const float to_before = touches_before ? fabsf(spans[before].pitch - spans[i].pitch) : 99;
        const float to_after = touches_after ? fabsf(spans[after].pitch - spans[i].pitch) : 99;
        spans[i].alive = 0;
        if (scoop || (to_after < 99 && to_after <= to_before)) {
            spans[after].from = spans[i].from; /* an ornament or glide up to the next note */
            spans[after].pitch = settle(l, spans[after].from, spans[after].to, scratch);
        } else if (to_before < 99) {
            spans[before].to = spans[i].to;
        }
    }
}

static void write_notes(const span *spans, int64_t n, const audio_f0_track *f0, const line *l, audio_sung_notes *out)
{
    const double hop_s = f0->hop_s;
    for (int64_t i = 0; i < n; i++) {
        if (!spans[i].alive || spans[i].pitch <= 0)
            continue;
        double sung = 0;
        for (int64_t t = spans[i].from; t < spans[i].to; t++)
            sung += l->pitch[t] > 0 && fabsf(l->pitch[t] - spans[i].pitch) < OFF_PITCH ? (double)f0->voiced[t] : 0;
        out->confidence[out->n_notes] = (float)(sung / (double)(spans[i].to - spans[i].from));
        audio_sung_note *note = &out->notes[out->n_notes++];
        note->onset_s = (double)spans[i].from * hop_s;
        note->offset_s = (double)spans[i].to * hop_s;
        note->pitch = spans[i].pitch;
        /* 0 dB (the recording's loud frames) is forte; 24 dB of range over 70 steps. */
        const long velocity = lround(100 + (double)spans[i].level * 70 / 24);
        note->velocity = (int)(velocity < 20 ? 20 : velocity > 127 ? 127 : velocity);
    }
}

bl_status audio_notes_run(const audio_f0_track *f0, const float *x, int64_t n_samples, int sample_rate,
                          audio_notes_config config, audio_sung_notes *out, bl_error *err)
{
    const double min_note_s = config.min_note_s > 0 ? config.min_note_s : 0.08;
    line         l = { 0 };
    note_search  search = { 0 };
    audio_flux   flux = { 0 };
    span        *spans = NULL;
    float       *scratch = NULL;
    unsigned short *state = NULL;
    bl_status    status;

    memset(out, 0, sizeof *out);
    if (f0->n_frames < 1 || min_note_s > 1)
        return bl_fail(err, BL_EARG, "notes: expected a pitch track and a shortest note of at most 1 s, got %lld "
                       "frames and %g s", (long long)f0->n_frames, min_note_s);
    if (x && n_samples > 0 && (status = audio_flux_run(x, n_samples, sample_rate, &flux, err)) != BL_OK)
        return status;
    const size_t n = (size_t)f0->n_frames;
    state = malloc(sizeof *state * n), scratch = malloc(sizeof(float) * n);
    spans = malloc(sizeof *spans * (n / 2 + 1));
    if (!state || !scratch || !spans) {
        status = bl_fail(err, BL_ENOMEM, "notes: no memory");
        goto done;
    }
    if ((status = line_init(&l, f0, flux.sum ? &flux : NULL, err)) != BL_OK ||
        (status = find_states(&l, state, &search, err)) != BL_OK)
        goto done;
    const int64_t n_spans = cut_spans(&l, state, search.pitches, spans, scratch);
    for (int64_t i = 0; i < n_spans; i++)
        trim_onset(&spans[i], &l);
    absorb_short(spans, n_spans, llround(min_note_s / f0->hop_s), &l, scratch);
    out->notes = malloc(sizeof *out->notes * (size_t)(n_spans + 1));
    out->confidence = malloc(sizeof *out->confidence * (size_t)(n_spans + 1));
    if (!out->notes || !out->confidence) {
        audio_notes_free(out);
        status = bl_fail(err, BL_ENOMEM, "notes: no memory");
        goto done;
    }
    out->tuning_cents = (float)audio_tuning_cents(f0);
    write_notes(spans, n_spans, f0, &l, out);
done:
    line_free(&l);
    audio_flux_free(&flux);
    free(search.now), free(search.next), free(search.from);
    free(spans), free(scratch), free(state);
    return status;
}
