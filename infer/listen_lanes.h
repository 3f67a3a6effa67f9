/* The lanes of a system of infer/listen_picture.h and infer/roll_picture.h; not for others. */
#ifndef BL_INFER_LISTEN_LANES_H
#define BL_INFER_LISTEN_LANES_H

#include "audio/canvas.h"
#include "infer/listen_picture.h"

enum { LANE_PAPER = 0xFFFFFF, LANE_INK = 0x26262E, LANE_GREY = 0x8A8A96, LANE_FAINT = 0xE9E9F0, LANE_BAR = 0xB9B9C9 };

/* A stretch of time on the canvas. */
typedef struct infer_system {
    audio_canvas           *canvas;
    const infer_heard_song *song;
    double                  from_s, to_s;
    int                     x, width;      /* of the lanes; names stand to the left */
    int                     low, high;     /* MIDI numbers of the notes' lane       */
    float                   peak;          /* of the whole song's waveform          */
    int                     loudest;       /* level of the whole song's spectrum    */
} infer_system;

/* Each draws into the rows y .. y + height. */
void infer_lane_form(const infer_system *s, int y, int height);
void infer_lane_phrases(const infer_system *s, int y, int height);
void infer_lane_bars(const infer_system *s, int y, int height);
void infer_lane_wave(const infer_system *s, int y, int height);
void infer_lane_chords(const infer_system *s, int y, int height);
void infer_lane_notes(const infer_system *s, int y, int height);
void infer_lane_spectrum(const infer_system *s, int y, int height);
void infer_lane_seconds(const infer_system *s, int y);

/* Downbeats through all lanes. */
void infer_lane_downbeats(const infer_system *s, int y, int height, double opacity);

/* For further lanes: time to pixels; the part x0 .. x1 of a stretch that lies in the system, 0: nothing does; the outline
 * of a box; the name to the left of a lane. */
double infer_lane_x(const infer_system *s, double time_s);
int    infer_lane_within(const infer_system *s, double start_s, double end_s, int *x0, int *x1);
void   infer_lane_frame(const infer_system *s, int x0, int x1, int y, int height, uint32_t colour);
void   infer_lane_name(const infer_system *s, int y, int height, const char *text);

#endif
