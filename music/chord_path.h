/* Which chords were played, and when they changed: one path through what a listener thought of every moment.
 *
 * The song is cut at beats and half beats. A chord lasts or gives way, with the odds of a change at a bar line, in the middle
 * of a bar, at another beat or between beats; a new chord is the likelier, the more often its degree is played in the key.
 *
 *     score(path) = sum over units u of  evidence * (log p(chord_u | sound) summed over the unit's frames)
 *                   + log P(change or not at the unit's place) + key_weight * log P(new chord | key)
 *
 * The best path is Viterbi's; a span's confidence is the mean over its units of the chord's posterior (forward-backward).
 * Where the lowest note is clearly another chord tone, the chord is inverted: "C/E".
 *
 * Shapes   chord [n_frames, MUSIC_HEARD_CLASSES], bass [n_frames, 12] log-probabilities (bass may be NULL: no inversions);
 *          beats_s [n_beats] rising; is_downbeat [n_beats] or NULL (then every beats_per_bar-th from the first).
 * Units    seconds; frame t is centred at t * hop_s. The spans cover start_s .. end_s without gaps and change at beats or half
 *          beats only; with fewer than two beats, at quarters of a second.
 * Errors   BL_EARG: no frames, end_s <= start_s, beats not rising; BL_ENOMEM.
 * Memory   *spans is malloc'ed; release with free.
 * Cost     Time and memory grow with the number of beats, 2 kB each.
 * Source   Sheh & Ellis, "Chord segmentation and recognition using EM-trained hidden Markov models", ISMIR 2003; change at beats:
 *          Mauch & Dixon, "Simultaneous estimation of chords and musical context from audio", IEEE TASLP 2010. The odds of changes
 *          and degrees were counted on POP909 (Wang et al., ISMIR 2020).
 * Tested   tests/music/test_chord_path.c
 */
#ifndef BL_MUSIC_CHORD_PATH_H
#define BL_MUSIC_CHORD_PATH_H

#include "music/heard_chord.h"
#include "music/score.h"

typedef struct music_chord_path_input {
    const float     *chord, *bass;
    int64_t          n_frames;
    double           hop_s;
    const double    *beats_s;
    int              n_beats;
    const int       *is_downbeat;
    int              beats_per_bar;
    const music_key *key;            /* NULL: not known */
    double           start_s, end_s;
} music_chord_path_input;

bl_status music_chord_path(const music_chord_path_input *input, music_chord_span **spans, int *n_spans, bl_error *err);

#endif
