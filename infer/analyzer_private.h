/* What the analyzer's files share; not for others. One file, one idea:
 *
 *     analyzer.c             the file is read; the order in which one thing heard helps the next
 *     analyzer_pieces.c      recordings of any length, heard in pieces
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

/* A recording whose loudest sample is below this (-66 dBFS) holds nothing to accompany. */
#define INFER_SILENCE 0.0005f
float     infer_peak(const audio_clip *clip);

/* Path, length and format into the plan; BL_EFORMAT for a rate that is too low. */
bl_status infer_take_format(const char *path, const audio_clip *clip, infer_plan *plan, bl_error *err);

/* The rate at which a recording is listened to. */
int       infer_listen_rate(int sample_rate);

/* What the recording is, into the plan: "vocal", "song", "instrumental", "silent". */
bl_status infer_judge_input(const audio_clip *clip, infer_plan *plan, bl_error *err);

/* What is heard in the audio of a song, or of a piece of it, and kept in the song for the decisions below; what the plan has
 * is not heard. */
bl_status infer_hear_melody(infer_song *song, const infer_plan *plan, bl_error *err);
bl_status infer_hear_form(infer_song *song, const infer_plan *plan, bl_error *err);
bl_status infer_hear_genre(infer_song *song, const infer_plan *plan, const char *model_dir, bl_error *err);

/* The notes that were heard into the plan. */
bl_status infer_take_melody(infer_song *song, infer_plan *plan, bl_error *err);

/* The plan's own melody, for those who listen to it. */
bl_status infer_melody_of(const infer_plan *plan, audio_sung_notes *sung, bl_error *err);

/* Tempo, meter, beats and downbeats: what the plan lacks of them. */
bl_status infer_find_beats(const infer_song *song, infer_plan *plan, const audio_sung_notes *sung, bl_error *err);

/* Whether a melody is all there is: then it tells beats, key and chords. The harmony was heard before. */
int       infer_is_alone(const infer_song *song, const infer_plan *plan);

bl_status infer_find_key(const infer_song *song, infer_plan *plan, const audio_sung_notes *sung, bl_error *err);

/* Sections of the song and phrases of the singer. */
bl_status infer_find_structure(const infer_song *song, infer_plan *plan, const audio_sung_notes *sung, bl_error *err);

/* The index of the plan's beat next to time_s. */
int infer_nearest_beat(const infer_plan *plan, double time_s);

#endif
