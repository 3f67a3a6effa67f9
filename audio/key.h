/* Key of a melody from its sung notes.
 *
 * The pitch-class profile of the notes (weighted by duration and place in the beat) is correlated with
 * key profiles; the last note, phrase endings and the leading tone decide between relatives.
 *
 * Shapes   notes [n_notes]; log_p [AUDIO_KEYS], 12 minor + tonic, log-probabilities that sum to 1
 * Options  rhythm may be NULL: no metric weight. tuning_cents as in audio/notes.h.
 * Errors   parse: BL_EARG with the accepted forms. The finders cannot fail: without notes every key is as likely, and
 *          the first, C major, is decided with confidence 1/24.
 * Source   Krumhansl, "Cognitive Foundations of Musical Pitch", 1990; Temperley, "What's key for key?",
 *          1999; Albrecht & Shanahan, "The use of large corpora to train a new type of key-finding
 *          algorithm", 2013.
 * Tested   tests/audio/test_key.c
 */
#ifndef BL_AUDIO_KEY_H
#define BL_AUDIO_KEY_H

#include "audio/rhythm.h"

typedef struct audio_key {
    int   tonic;      /* 0 = C .. 11 = B            */
    int   is_minor;
    float confidence; /* 0..1: how probable it is   */
    char  name[16];   /* "A minor", "F# major", "Bb major" */
} audio_key;

enum { AUDIO_KEYS = 24 };

/* How probable each key is. */
void audio_key_weigh(const audio_sung_note *notes, int n_notes, float tuning_cents, const audio_rhythm *rhythm, double log_p[AUDIO_KEYS]);

/* The most probable one; its probability is the confidence. */
audio_key audio_key_decide(const double log_p[AUDIO_KEYS]);

/* Both. */
audio_key audio_key_from_notes(const audio_sung_note *notes, int n_notes, float tuning_cents, const audio_rhythm *rhythm);

/* "A minor", "Am", "a min", "F# major", "F#", "Bb", "Ebm", "C:maj", "Db:min". */
bl_status audio_key_parse(const char *text, audio_key *out, bl_error *err);

/* The name used for a tonic in this mode ("Eb" for 3). */
audio_key audio_key_make(int tonic, int is_minor);

/* Is the pitch class (any int, modulo 12) in the key's scale? Minor: natural, plus the leading tone. */
int audio_key_has(const audio_key *key, int pitch);

#endif
