/* A picture in memory: rectangles, lines, text in a built-in 5x7 font, and writing it as PNG.
 *
 * Units    pixels from the top left corner; colours 0xRRGGBB. Everything is clipped at the edges.
 * Errors   audio_canvas_new: BL_EARG (not 1 .. 16384 pixels a side), BL_ENOMEM. _write: BL_EIO, BL_ENOMEM.
 * Memory   release with audio_canvas_free, which leaves a zeroed struct.
 */
#ifndef BL_AUDIO_CANVAS_H
#define BL_AUDIO_CANVAS_H

#include "base/error.h"

#include <stdint.h>

typedef struct audio_canvas {
    int            width, height;
    unsigned char *rgb;   /* [height, width, 3] */
} audio_canvas;

bl_status audio_canvas_new(audio_canvas *canvas, int width, int height, uint32_t colour, bl_error *err);
void      audio_canvas_free(audio_canvas *canvas);

/* opacity 0..1 blends with what is there. */
void audio_canvas_pixel(audio_canvas *canvas, int x, int y, uint32_t colour, double opacity);
void audio_canvas_rect(audio_canvas *canvas, int x, int y, int width, int height, uint32_t colour, double opacity);
void audio_canvas_line(audio_canvas *canvas, double x0, double y0, double x1, double y1, double thickness, uint32_t colour);

/* (x, y) is the top left corner of the first letter, each 6*scale wide and 7*scale high (a tail
 * 8*scale); letters beyond ASCII show as '?'. _up writes from bottom to top, (x, y) being the bottom left corner of the text. */
void audio_canvas_text(audio_canvas *canvas, int x, int y, int scale, uint32_t colour, const char *text);
void audio_canvas_text_up(audio_canvas *canvas, int x, int y, int scale, uint32_t colour, const char *text);
int  audio_canvas_text_width(const char *text, int scale);

/* PNG, atomically. */
bl_status audio_canvas_write(const audio_canvas *canvas, const char *path, bl_error *err);

#endif
