/* Progress on stderr: one line that redraws itself on a terminal, a plain line every few seconds
 * when piped, nothing when quiet. Shows what is done, the rate and the time left.
 *
 *     bl_progress p;
 *     bl_progress_start(&p, "rendering", "songs", n_songs, quiet);
 *     for (...) bl_progress_step(&p, i + 1, "");          // extra text at the end of the line
 *     bl_progress_end(&p);
 */
#ifndef BL_BASE_PROGRESS_H
#define BL_BASE_PROGRESS_H

#include <stdint.h>

typedef struct bl_progress {
    const char *what, *unit;
    int64_t     total, first;  /* first: where a resumed run started */
    int         quiet, terminal, drawn;
    double      start_s, last_s;
} bl_progress;

void bl_progress_start(bl_progress *p, const char *what, const char *unit, int64_t total, int quiet);
void bl_progress_step(bl_progress *p, int64_t done, const char *extra);
void bl_progress_end(bl_progress *p);

/* "1 h 02 min", "3 min 20 s", "12 s". */
const char *bl_format_duration(double seconds, char out[32]);

/* Ctrl-C and SIGTERM set a flag once; the second Ctrl-C ends the program as usual. */
void bl_catch_interrupt(void);
int  bl_interrupted(void);

#endif
