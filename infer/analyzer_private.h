/* What the analyzer's files share; not for others. One file, one idea:
 *
 *     analyzer.c             the file is read; the order in which one thing heard helps the next
 *     analyzer_voice.c       voice and accompaniment; one channel to listen to; the sung notes
 *     analyzer_beats.c       tempo, beats, bars
 *     analyzer_key_chords.c  key, chords
 *     analyzer_structure.c   the song's sections, the singer's phrases
 *     analyzer_genre.c       genre and the instruments in the recording
 *     analyzer_tracks.c      the accompaniment that stays, as instrument tracks
 *
 * Errors   BL_ENOMEM, and what the blocks say.
 */
#ifndef BL_INFER_ANALYZER_PRIVATE_H
#define BL_INFER_ANALYZER_PRIVATE_H

#include "audio/notes.h"
#include "infer/analyzer.h"

/* The sung notes of the lead, into the plan too. `sung` zeroed; the caller frees it with audio_notes_free. */
bl_status infer_find_melody(infer_song *song, infer_plan *plan, audio_sung_notes *sung, bl_error *err);

/* The plan's own melody, for those who listen to it. */
bl_status infer_melody_of(const infer_plan *plan, audio_sung_notes *sung, bl_error *err);

/* Tempo, meter, beats and downbeats: what the plan lacks of them. */
bl_status infer_find_beats(const infer_song *song, infer_plan *plan, const audio_sung_notes *sung, bl_error *err);

bl_status infer_find_key(const infer_song *song, infer_plan *plan, const audio_sung_notes *sung, bl_error *err);

/* Sections of the song and phrases of the singer. */
bl_status infer_find_structure(const infer_song *song, infer_plan *plan, const audio_sung_notes *sung, bl_error *err);

/* The index of the plan's beat next to time_s. */
int infer_nearest_beat(const infer_plan *plan, double time_s);

#endif
