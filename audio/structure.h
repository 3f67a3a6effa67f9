/* A song's structure: sections that return, and the singer's phrases.
 *
 * Sections  Bars are the unit. Each bar is described by what sounds in its eighths: pitch classes, timbre, and the sung
 *           melody; all bars are compared with all others (self-similarity). Dynamic programming then cuts the song where
 *           blocks of bars are alike inside, where the music changes (novelty along the diagonal, and between the patterns
 *           of what returns), where the singer rests, and where eight bars, or a multiple of four, are complete. Sections
 *           that are the same bar by bar along some diagonal share a label.
 * Phrases   Sung notes parted by rests of at least rest_s. What is then longer than one breath lasts is parted where the
 *           singer rests most, if there is such a place.
 *
 * Shapes   chroma [n_frames, 12], mfcc [n_frames, n_mfcc] (the first, the loudness, is not looked at), as audio_features makes
 *          them but frame by frame; from one frame to the next it is `stride` values in both. Frame t is centred on t * hop_s.
 *          downbeats rising.
 * Output   Sections cover 0 .. duration_s without gap or overlap, at least one; inner boundaries are downbeats. Labels
 *          count from 0 in the order in which they first appear. Phrases are rising and do not overlap; none is no error.
 * Errors   BL_EARG: no duration, times that do not rise. BL_ENOMEM.
 * Memory   The functions fill zeroed structs; release with _free (zeroed struct allowed). Grows with the square of the
 *          number of bars up to 4 M pairs: longer songs are compared in steps of two bars, or four, ...
 * Cost     1 ms for a song of 3 minutes, 50 ms for an hour
 * Source   Foote, "Automatic audio segmentation using a measure of audio novelty", ICME 2000; Serra et al.,
 *          "Unsupervised music structure annotation by time series structure features and segment similarity", IEEE TMM
 *          16(5), 2014; Marmoret, Cohen & Bimbot, "Barwise music structure analysis with the correlation block-matching
 *          segmentation algorithm", TISMIR 6(1), 2023.
 * Tested   tests/audio/test_structure.c; measured by tools/evaluate/structure.py
 */
#ifndef BL_AUDIO_STRUCTURE_H
#define BL_AUDIO_STRUCTURE_H

#include "audio/notes.h"

typedef struct audio_section {
    double start_s, end_s;
    int    label;
} audio_section;

typedef struct audio_phrase {
    double start_s, end_s;
} audio_phrase;

typedef struct audio_structure_input {
    const float  *chroma, *mfcc;
    int           stride;
    int64_t       n_frames;
    int           n_mfcc;
    double        hop_s;
    const double *downbeats_s;
    int           n_downbeats;
    const audio_sung_note *notes;
    int           n_notes;
    double        duration_s;
} audio_structure_input;

typedef struct audio_sections {
    audio_section *sections;
    int            n;
} audio_sections;

typedef struct audio_phrases {
    audio_phrase *phrases;
    int           n;
} audio_phrases;

bl_status audio_sections_find(const audio_structure_input *in, audio_sections *out, bl_error *err);
void      audio_sections_free(audio_sections *sections);

/* rest_s 0: 0.6 */
bl_status audio_phrases_find(const audio_sung_note *notes, int n_notes, double rest_s, audio_phrases *out, bl_error *err);
void      audio_phrases_free(audio_phrases *phrases);

/* "A", "B", ... "Z", "AA", ... out holds at least 8. */
void audio_section_letter(int label, char out[8]);

#endif
