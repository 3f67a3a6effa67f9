/* Key of a song: from its sung notes, or from the chroma of a mix.
 *
 * The pitch-class profile of the notes (weighted by duration and place in the beat) is correlated with
 * key profiles; the last note, phrase endings and the leading tone decide between relatives.
 *
 * Shapes   chroma [12, n_frames], row 0 is C, as audio_features.chroma; notes [n_notes]
 * Options  beats may be NULL: no metric weight. tuning_cents as in audio/notes.h.
 * Errors   parse: BL_EARG with the accepted forms. The finders cannot fail: nothing to hear gives
 *          C major with confidence 0.
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
    float confidence; /* 0..1                       */
    char  name[16];   /* "A minor", "F# major", "Bb major" */
} audio_key;

audio_key audio_key_from_notes(const audio_sung_note *notes, int n_notes, float tuning_cents,
                               const audio_rhythm *rhythm);
audio_key audio_key_from_chroma(const float *chroma, int64_t n_frames);

/* Both kinds of evidence, for a voice with instruments; weight of the chroma 0..1. */
audio_key audio_key_combine(const audio_sung_note *notes, int n_notes, float tuning_cents,
                            const audio_rhythm *rhythm, const float *chroma, int64_t n_frames,
                            double chroma_weight);

/* "A minor", "Am", "a min", "F# major", "F#", "Bb", "Ebm", "C:maj", "Db:min". */
bl_status audio_key_parse(const char *text, audio_key *out, bl_error *err);

/* The name used for a tonic in this mode ("Eb" for 3). */
audio_key audio_key_make(int tonic, int is_minor);

/* Is the pitch class (any int, modulo 12) in the key's scale? Minor: natural, plus the leading tone. */
int audio_key_has(const audio_key *key, int pitch);

#endif
